//! Bytes in chunks -> the same as UTF-8, each invalid sequence replaced by U+FFFD, also across the chunks' borders.
//!
//! An event stream is decoded so, and begins behind its byte order mark: <https://encoding.spec.whatwg.org/#utf-8-decode>.
//! The client gives up on a line that is not UTF-8 instead, and would meet it again after each reconnect.

use bytes::{Bytes, BytesMut};

const BYTE_ORDER_MARK: &str = "\u{feff}";
const REPLACEMENT: &str = "\u{fffd}";

/// Decodes one stream from its first byte.
#[derive(Debug, Default)]
pub(crate) struct Utf8 {
    /// The start of a character whose rest has not come yet, at most three bytes.
    started: Bytes,
    begun: bool,
}

impl Utf8 {
    /// Takes the next bytes; they come out without a copy if they are valid.
    pub(crate) fn decode(&mut self, chunk: &Bytes) -> Bytes {
        let started = std::mem::take(&mut self.started);
        let bytes =
            if started.is_empty() { chunk.clone() } else { Bytes::from([&started[..], chunk].concat()) };
        let mut text = self.valid(bytes);
        if !self.begun && !text.is_empty() {
            self.begun = true;
            if text.starts_with(BYTE_ORDER_MARK.as_bytes()) {
                text = text.slice(BYTE_ORDER_MARK.len()..);
            }
        }
        text
    }

    fn valid(&mut self, mut bytes: Bytes) -> Bytes {
        let mut text = BytesMut::new();
        while let Err(error) = str::from_utf8(&bytes) {
            let valid = bytes.split_to(error.valid_up_to());
            let Some(invalid) = error.error_len() else {
                self.started = bytes;
                bytes = valid;
                break;
            };
            text.extend_from_slice(&valid);
            text.extend_from_slice(REPLACEMENT.as_bytes());
            bytes = bytes.split_off(invalid);
        }
        if text.is_empty() {
            return bytes;
        }
        text.extend_from_slice(&bytes);
        text.freeze()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(bytes: &[u8], sizes: &[usize]) -> (Vec<Bytes>, Utf8) {
        let (mut rest, mut sizes, mut utf8) =
            (Bytes::copy_from_slice(bytes), sizes.iter().cycle(), Utf8::default());
        let mut chunks = Vec::new();
        while !rest.is_empty() {
            let chunk = rest.split_to((*sizes.next().unwrap()).min(rest.len()));
            chunks.push(utf8.decode(&chunk));
        }
        (chunks, utf8)
    }

    #[test]
    fn valid_chunks_are_passed_on_without_a_copy() {
        let mut utf8 = Utf8::default();
        for text in ["data: Zürich\n\n", "", ":ok\n\n", "data: 👩\u{feff}\n"] {
            let chunk = Bytes::copy_from_slice(text.as_bytes());
            let passed = utf8.decode(&chunk);
            assert_eq!((passed.as_ptr(), passed.len()), (chunk.as_ptr(), chunk.len()));
        }
    }

    #[test]
    fn byte_order_mark_is_no_part_of_the_stream_wherever_it_is_split() {
        for size in 1..8 {
            let (chunks, _) = decoded("\u{feff}\u{feff}data: 1".as_bytes(), &[size]);
            assert_eq!(chunks.concat(), "\u{feff}data: 1".as_bytes(), "{size}");
        }
    }

    proptest! {
        #[test]
        fn invalid_bytes_are_replaced_as_in_the_whole_text_whatever_the_chunking(
            pieces in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 1..4),
                    prop_oneof![Just("x"), Just("é"), Just("€"), Just("👩")].prop_map(|text| text.as_bytes().to_vec()),
                    (prop_oneof![Just("é"), Just("€"), Just("👩")], 1..4_usize)
                        .prop_map(|(text, size)| text.bytes().take(size).collect()),
                ],
                0..60,
            ),
            sizes in prop::collection::vec(1..9_usize, 1..20),
        ) {
            // The byte order mark has a test of its own.
            let bytes = [b"x".as_slice(), &pieces.concat()].concat();
            let (chunks, utf8) = decoded(&bytes, &sizes);
            prop_assert!(chunks.iter().all(|chunk| str::from_utf8(chunk).is_ok()));
            prop_assert!(utf8.started.len() <= 3);
            let mut seen = String::from_utf8(chunks.concat()).unwrap();
            if !utf8.started.is_empty() {
                seen += REPLACEMENT;
            }
            prop_assert_eq!(seen, String::from_utf8_lossy(&bytes));
        }
    }
}
