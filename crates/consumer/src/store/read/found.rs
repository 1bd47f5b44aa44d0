//! Rows as they were found: packed values, each with the WRITETIME that it was stored with.

use std::collections::HashMap;

use crate::key::Key;
use crate::rows::{Cell, CellValue, Rows};
use crate::store::WriteError;

/// The rows of some keys, as they were found.
#[derive(Debug, Default)]
pub struct Found {
    /// A value and a WRITETIME for each of the columns.
    rows: Rows,
    places: HashMap<Key, usize>,
    /// Bytes of the largest row.
    largest: usize,
}

/// One row, as it was found.
#[derive(Debug, Clone, Copy)]
pub struct FoundRow<'a> {
    rows: &'a Rows,
    row: usize,
}

impl Found {
    /// No rows of that many columns yet.
    pub fn new(columns: usize) -> Self {
        Self { rows: Rows::new(2 * columns), places: HashMap::new(), largest: 0 }
    }

    /// The row of that key, if there is one.
    pub fn get(&self, key: &Key) -> Option<FoundRow<'_>> {
        self.places.get(key).map(|row| FoundRow { rows: &self.rows, row: *row })
    }

    /// Adds a row: a value and its WRITETIME for each column, `None` where there is nothing.
    ///
    /// # Errors
    /// The rows have more than 4 GiB together: a cell's place has four bytes.
    pub fn add<'a>(
        &mut self,
        key: Key,
        cells: impl Iterator<Item = Option<(&'a [u8], i64)>>,
    ) -> Result<(), WriteError> {
        let before = self.rows.bytes.len();
        self.places.insert(key, self.rows.len());
        self.rows.push(Cell::NULL);
        for (column, cell) in cells.enumerate() {
            let Some((value, writetime)) = cell else { continue };
            self.set(2 * column, value)?;
            self.set(2 * column + 1, &writetime.to_be_bytes())?;
        }
        self.largest = self.largest.max(self.rows.bytes.len() - before);
        Ok(())
    }

    fn set(&mut self, place: usize, bytes: &[u8]) -> Result<(), WriteError> {
        let start = self.rows.bytes.len();
        self.rows.bytes.extend_from_slice(bytes);
        let too_large = || WriteError::Failed(format!("{} rows have more than 4 GiB", self.places.len()));
        self.rows.set(place, start).ok_or_else(too_large)
    }

    /// Takes in the rows of another answer to the same question.
    ///
    /// # Errors
    /// As [`Found::add`].
    pub fn extend(&mut self, other: &Self) -> Result<(), WriteError> {
        for (key, row) in &other.places {
            self.add(key.clone(), FoundRow { rows: &other.rows, row: *row }.cells())?;
        }
        Ok(())
    }

    /// Bytes of the largest row.
    pub fn largest(&self) -> usize {
        self.largest
    }

    /// Bytes of all values.
    pub fn bytes(&self) -> usize {
        self.rows.bytes.len()
    }
}

impl<'a> FoundRow<'a> {
    /// Value and WRITETIME of each of the selected columns.
    pub fn cells(self) -> impl Iterator<Item = Option<(&'a [u8], i64)>> {
        (0..self.rows.width() / 2).map(move |column| self.cell(column))
    }

    /// Value and WRITETIME of a column, by its place among the selected ones.
    pub fn cell(self, column: usize) -> Option<(&'a [u8], i64)> {
        match (self.rows.cell(self.row, 2 * column), self.rows.cell(self.row, 2 * column + 1)) {
            (CellValue::Bytes(value), CellValue::Bytes(writetime)) => {
                Some((value, i64::from_be_bytes(*writetime.first_chunk()?)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_joined_and_the_largest_row_is_known() {
        let key = |name: &[u8]| Key::pack([name].into_iter());
        let [mut all, mut one] = [Found::new(2), Found::new(2)];
        all.add(key(b"a"), [Some((&b"value"[..], 7)), None].into_iter()).unwrap();
        one.add(key(b"b"), [None, Some((&[0; 900][..], 8))].into_iter()).unwrap();
        all.extend(&one).unwrap();
        let cells = |name| all.get(&key(name)).unwrap().cells().collect::<Vec<_>>();
        assert_eq!(cells(b"a"), [Some((&b"value"[..], 7)), None]);
        assert_eq!(cells(b"b"), [None, Some((&[0; 900][..], 8))]);
        assert_eq!((all.largest(), all.bytes()), (908, 13 + 908));
        assert!(all.get(&key(b"c")).is_none());
    }
}
