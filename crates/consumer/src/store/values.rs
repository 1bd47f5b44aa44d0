//! Packed rows as the driver's values: the cells' bytes go into the request as they are.

use scylla::errors::SerializationError;
use scylla::serialize::batch::{BatchValues, BatchValuesIterator};
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;

use crate::rows::{CellValue, Rows};

/// All rows of a batch, or the one row of a single insert.
pub(super) struct AllRows<'a>(pub(super) &'a Rows);

fn write(rows: &Rows, row: usize, writer: &mut RowWriter<'_>) -> Result<(), SerializationError> {
    for cell in rows.row(row) {
        let slot = writer.make_cell_writer();
        let _written = match cell {
            CellValue::Null => slot.set_null(),
            CellValue::Unset => slot.set_unset(),
            CellValue::Bytes(bytes) => slot.set_value(bytes).map_err(SerializationError::new)?,
        };
    }
    Ok(())
}

impl SerializeRow for AllRows<'_> {
    fn serialize(
        &self,
        _: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        write(self.0, 0, writer)
    }

    fn is_empty(&self) -> bool {
        self.0.width() == 0
    }
}

impl BatchValues for AllRows<'_> {
    type BatchValuesIter<'r>
        = RowsIterator<'r>
    where
        Self: 'r;

    fn batch_values_iter(&self) -> RowsIterator<'_> {
        RowsIterator { rows: self.0, next: 0 }
    }
}

pub(super) struct RowsIterator<'a> {
    rows: &'a Rows,
    next: usize,
}

impl<'a> BatchValuesIterator<'a> for RowsIterator<'a> {
    fn serialize_next(
        &mut self,
        _: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Option<Result<(), SerializationError>> {
        let row = self.next;
        self.skip_next()?;
        Some(write(self.rows, row, writer))
    }

    fn is_empty_next(&mut self) -> Option<bool> {
        self.skip_next().map(|()| self.rows.width() == 0)
    }

    fn skip_next(&mut self) -> Option<()> {
        self.next += 1;
        (self.next <= self.rows.len()).then_some(())
    }
}
