//! Strings: where they end, and what their escapes stand for.

use super::{Error, Reader};

impl<'a> Reader<'a> {
    /// Reads a string: a slice of the input, or of `scratch` where escapes had to be resolved.
    pub fn string<'s>(&mut self, scratch: &'s mut String) -> Result<&'s str, Error>
    where
        'a: 's,
    {
        let start = self.at + 1;
        self.at = start;
        self.plain_characters();
        if self.byte() == Some(b'"') {
            self.at += 1;
            return Ok(&self.text[start..self.at - 1]);
        }
        scratch.clear();
        let mut copied = start;
        loop {
            match self.byte() {
                Some(b'"') => {
                    scratch.push_str(&self.text[copied..self.at]);
                    self.at += 1;
                    return Ok(scratch);
                }
                Some(b'\\') => {
                    scratch.push_str(&self.text[copied..self.at]);
                    scratch.push(self.escape()?);
                    copied = self.at;
                    self.plain_characters();
                }
                Some(_) => return Err(self.error("unescaped control character in a string")),
                None => return Err(self.error("unterminated string")),
            }
        }
    }

    pub(super) fn skip_string(&mut self) -> Result<(), Error> {
        self.at += 1;
        loop {
            self.plain_characters();
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => drop(self.escape()?),
                Some(_) => return Err(self.error("unescaped control character in a string")),
                None => return Err(self.error("unterminated string")),
            }
        }
    }

    // Eight bytes at a time up to the next quote, backslash, control character or the end.
    // The bit tricks are those of "Determine if a word has a byte less than n" (Bit Twiddling Hacks, S. Anderson).
    fn plain_characters(&mut self) {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGHS: u64 = 0x8080_8080_8080_8080;
        let zero_byte = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
        let rest = &self.text.as_bytes()[self.at..];
        let (words, last) = rest.as_chunks::<8>();
        for word in words {
            let word = u64::from_le_bytes(*word);
            let quote = zero_byte(word ^ ONES.wrapping_mul(u64::from(b'"')));
            let backslash = zero_byte(word ^ ONES.wrapping_mul(u64::from(b'\\')));
            let control = word.wrapping_sub(ONES.wrapping_mul(0x20)) & !word & HIGHS;
            let special = quote | backslash | control;
            if special != 0 {
                self.at += special.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        let special = |byte: &u8| *byte == b'"' || *byte == b'\\' || *byte < 0x20;
        self.at += last.iter().position(special).unwrap_or(last.len());
    }

    fn escape(&mut self) -> Result<char, Error> {
        let start = self.at;
        self.at += 2;
        let plain = match self.text.as_bytes().get(start + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(start),
            _ => return Err(Error { at: start, what: "unknown escape" }),
        };
        Ok(plain)
    }

    fn unicode_escape(&mut self, start: usize) -> Result<char, Error> {
        let lone = Error { at: start, what: "lone surrogate in an escape" };
        let first = self.hex4()?;
        let code = match first {
            0xD800..=0xDBFF => {
                if self.text.as_bytes().get(self.at..self.at + 2) != Some(b"\\u") {
                    return Err(lone);
                }
                self.at += 2;
                let second = self.hex4()?;
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return Err(lone);
                }
                0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            code => code,
        };
        char::from_u32(code).ok_or(lone)
    }

    fn hex4(&mut self) -> Result<u32, Error> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let Some(digits) = digits else { return Err(self.error("expected four hex digits")) };
        let value = digits.iter().fold(0, |value, &digit| {
            let digit = char::from(digit).to_digit(16).unwrap_or_default();
            value << 4 | digit
        });
        self.at += 4;
        Ok(value)
    }
}
