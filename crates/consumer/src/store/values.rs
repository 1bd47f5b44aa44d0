//! Packed rows as the driver's values: the cells' bytes go into the request as they are.
//!
//! Rows have their WRITETIME behind the columns, where an insert binds it. A delete binds it first.

use scylla::errors::SerializationError;
use scylla::serialize::batch::{BatchValues, BatchValuesIterator};
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;

use crate::rows::{CellValue, Rows};

/// All rows of a batch, or the one row of a single statement.
#[derive(Clone, Copy)]
pub(super) struct AllRows<'a> {
    pub(super) rows: &'a Rows,
    pub(super) writetime_first: bool,
}

impl AllRows<'_> {
    fn write(self, row: usize, writer: &mut RowWriter<'_>) -> Result<(), SerializationError> {
        let mut cells = self.rows.row(row);
        if self.writetime_first
            && let Some(writetime) = cells.next_back()
        {
            write(writetime, writer)?;
        }
        cells.try_for_each(|cell| write(cell, writer))
    }
}

fn write(cell: CellValue<'_>, writer: &mut RowWriter<'_>) -> Result<(), SerializationError> {
    let slot = writer.make_cell_writer();
    let _written = match cell {
        CellValue::Null => slot.set_null(),
        CellValue::Unset => slot.set_unset(),
        CellValue::Bytes(bytes) => slot.set_value(bytes).map_err(SerializationError::new)?,
    };
    Ok(())
}

impl SerializeRow for AllRows<'_> {
    fn serialize(
        &self,
        _: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        self.write(0, writer)
    }

    fn is_empty(&self) -> bool {
        self.rows.width() == 0
    }
}

impl BatchValues for AllRows<'_> {
    type BatchValuesIter<'r>
        = RowsIterator<'r>
    where
        Self: 'r;

    fn batch_values_iter(&self) -> RowsIterator<'_> {
        RowsIterator { all: *self, next: 0 }
    }
}

pub(super) struct RowsIterator<'a> {
    all: AllRows<'a>,
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
        Some(self.all.write(row, writer))
    }

    fn is_empty_next(&mut self) -> Option<bool> {
        self.skip_next().map(|()| self.all.rows.width() == 0)
    }

    fn skip_next(&mut self) -> Option<()> {
        self.next += 1;
        (self.next <= self.all.rows.len()).then_some(())
    }
}
