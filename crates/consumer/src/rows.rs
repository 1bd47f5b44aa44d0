//! Decoded rows, packed: the cells of many rows of one table in one buffer, in the order of the statement.

use std::ops::Range;

/// One cell: a place in the buffer, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    start: u32,
    // CQL's own convention: -1 is null, -2 is unset.
    length: i32,
}

impl Cell {
    /// Deletes what is in the column.
    pub const NULL: Self = Self { start: 0, length: -1 };
    /// Leaves the column as it is.
    pub const UNSET: Self = Self { start: 0, length: -2 };

    /// The same, of a field that was there and null: the decoder tells it from one that has not come yet.
    #[must_use]
    pub fn of_null(self) -> Self {
        Self { start: 1, ..self }
    }

    /// Whether it has a value.
    pub fn is_set(self) -> bool {
        self.length >= 0
    }
}

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellValue<'a> {
    /// Null.
    Null,
    /// Unset.
    Unset,
    /// The value's bytes.
    Bytes(&'a [u8]),
}

/// Rows of `width` cells each.
#[derive(Debug, Default)]
pub struct Rows {
    /// The values' bytes; the decoder appends here.
    pub bytes: Vec<u8>,
    cells: Vec<Cell>,
    width: usize,
}

impl Rows {
    /// No rows yet, of that many cells each.
    pub fn new(width: usize) -> Self {
        Self { bytes: Vec::new(), cells: Vec::new(), width }
    }

    /// Starts a row with all cells alike; [`Rows::set`] fills them, [`Rows::pop`] takes the row back.
    pub fn push(&mut self, cell: Cell) {
        self.cells.resize(self.cells.len() + self.width, cell);
    }

    /// Removes the last row and its bytes, which began at `bytes`.
    pub fn pop(&mut self, bytes: usize) {
        self.cells.truncate(self.cells.len() - self.width);
        self.bytes.truncate(bytes);
    }

    /// The last row's cell in that column becomes what was appended to the bytes since `start`.
    /// `None` when the buffer has outgrown its 4 GiB.
    pub fn set(&mut self, column: usize, start: usize) -> Option<()> {
        let length = i32::try_from(self.bytes.len() - start).ok()?;
        let cell = Cell { start: u32::try_from(start).ok()?, length };
        *self.last_mut(column) = cell;
        Some(())
    }

    /// Sets the last row's cell in that column.
    pub fn set_cell(&mut self, column: usize, cell: Cell) {
        *self.last_mut(column) = cell;
    }

    /// The last row's cell in that column.
    pub fn last(&self, column: usize) -> Cell {
        self.cells[self.cells.len() - self.width + column]
    }

    fn last_mut(&mut self, column: usize) -> &mut Cell {
        let row = self.cells.len() - self.width;
        &mut self.cells[row + column]
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.cells.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The cells of one row.
    pub fn row(&self, row: usize) -> impl DoubleEndedIterator<Item = CellValue<'_>> + ExactSizeIterator {
        self.cells[row * self.width..][..self.width].iter().map(|cell| self.value(*cell))
    }

    /// One cell of one row.
    pub fn cell(&self, row: usize, column: usize) -> CellValue<'_> {
        self.value(self.cells[row * self.width + column])
    }

    /// The same rows again, those of `range` only.
    pub fn slice(&self, range: Range<usize>) -> Self {
        let mut part = Self::new(self.width);
        for row in range {
            part.append(self, row);
        }
        part
    }

    /// Moves the last row, whose bytes began at `bytes`, to the end of rows of the same width.
    pub fn move_last(&mut self, bytes: usize, to: &mut Self) {
        to.append(self, self.len() - 1);
        self.pop(bytes);
    }

    fn append(&mut self, from: &Self, row: usize) {
        self.push(Cell::UNSET);
        for (column, cell) in from.cells[row * from.width..][..from.width].iter().enumerate() {
            let copied = match from.value(*cell) {
                CellValue::Bytes(bytes) => {
                    let start = self.bytes.len();
                    self.bytes.extend_from_slice(bytes);
                    self.set(column, start)
                }
                CellValue::Null | CellValue::Unset => {
                    self.set_cell(column, *cell);
                    Some(())
                }
            };
            // Batches are cut long before.
            debug_assert!(copied.is_some(), "rows of more than 4 GiB");
        }
    }

    /// Cells of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Makes an empty buffer one for rows of that many cells.
    pub fn widen(&mut self, width: usize) {
        self.clear();
        self.width = width;
    }

    /// Forgets the rows, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.cells.clear();
    }

    fn value(&self, cell: Cell) -> CellValue<'_> {
        match cell.length {
            -1 => CellValue::Null,
            length => match usize::try_from(length) {
                Ok(length) => CellValue::Bytes(&self.bytes[cell.start as usize..][..length]),
                Err(_) => CellValue::Unset,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_has_the_same_cells() {
        let mut rows = Rows::new(2);
        for value in [b"one".as_slice(), b"", b"three"] {
            rows.push(Cell::UNSET);
            let start = rows.bytes.len();
            rows.bytes.extend_from_slice(value);
            rows.set(1, start).unwrap();
        }
        rows.set_cell(0, Cell::NULL);
        let part = rows.slice(1..3);
        assert_eq!(part.len(), 2);
        assert_eq!(part.row(0).collect::<Vec<_>>(), [CellValue::Unset, CellValue::Bytes(b"")]);
        assert_eq!(part.row(1).collect::<Vec<_>>(), [CellValue::Null, CellValue::Bytes(b"three")]);
    }
}
