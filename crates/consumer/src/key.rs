//! A row's primary key, packed: each column's length in four bytes, then its value.
//!
//! That is how the protocol binds values, and how a list of them is written, so that a key goes into a request as it is.

use crate::rows::{CellValue, Rows};

/// The primary key of one row, its columns in the order of the key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Box<[u8]>);

impl Key {
    /// The key of a decoded row; `places` are those of the key's columns in the row.
    pub fn of(rows: &Rows, row: usize, places: &[usize]) -> Self {
        Self::pack(places.iter().map(|place| match rows.cell(row, *place) {
            CellValue::Bytes(bytes) => bytes,
            // A row without its key never comes here.
            CellValue::Null | CellValue::Unset => &[],
        }))
    }

    /// A key of these values.
    pub fn pack<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut packed = Vec::new();
        for value in values {
            // The server takes keys of 64 KiB at most.
            packed.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
            packed.extend_from_slice(value);
        }
        Self(packed.into_boxed_slice())
    }

    /// Its values, in the order of the key.
    pub fn values(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (length, bytes) = rest.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            let (value, after) = bytes.split_at_checked(length)?;
            rest = after;
            Some(value)
        })
    }

    /// All of it.
    pub fn packed(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_values_that_it_was_packed_of() {
        let values: [&[u8]; 4] = [b"Ines", b"", &[0; 300], b"x"];
        let key = Key::pack(values.into_iter());
        assert_eq!(key.values().collect::<Vec<_>>(), values);
        let ambiguous = |left: &[u8], right: &[u8]| Key::pack([left, right].into_iter());
        assert_ne!(ambiguous(b"ab", b"c"), ambiguous(b"a", b"bc"));
    }
}
