//! One pass over a JSON text: each value that the plan wants goes into its cell when it is met.

use std::ops::Range;

use super::{Class, DataError, Decoder, too_large, unfit};
use crate::codec::{BYTES_MAX, ValueError};
use crate::json::{Kind, Reader};
use crate::plan::{Node, Plan};
use crate::rows::Rows;

impl Decoder {
    /// Reads the message's key as JSON.
    pub(super) fn read_key(
        &mut self,
        plan: &Plan,
        node: &Node,
        key: &[u8],
        rows: &mut Rows,
    ) -> Result<(), DataError> {
        let mut read = || {
            let mut reader = Reader::new(key)?;
            self.walk(plan, node, &mut reader, rows)?;
            Ok(reader.end()?)
        };
        read().map_err(|error: DataError| match error.class {
            Class::Json => {
                let reason = format!("the message's key is {}", error.reason);
                DataError { reason: named(plan, node, &reason), ..error }
            }
            _ => error,
        })
    }

    /// At a value that some columns want, or that holds what they want.
    pub(super) fn walk(
        &mut self,
        plan: &Plan,
        node: &Node,
        reader: &mut Reader<'_>,
        rows: &mut Rows,
    ) -> Result<(), DataError> {
        let leaf = node.fields.is_empty() && node.elements.is_empty();
        if let ([column], true) = (&node.columns[..], leaf) {
            return self.set(plan, *column, reader, rows);
        }
        let kind = reader.peek()?;
        let mut wanted = node.columns.iter().peekable();
        while let Some(&column) = wanted.next() {
            // The last reader of a value moves on, earlier ones look ahead.
            if wanted.peek().is_some() || !leaf {
                self.set(plan, column, &mut reader.clone(), rows)?;
            } else {
                return self.set(plan, column, reader, rows);
            }
        }
        match kind {
            Kind::Object if !node.fields.is_empty() => self.walk_object(plan, node, reader, rows),
            Kind::Array if !node.elements.is_empty() => self.walk_array(plan, node, reader, rows),
            Kind::Null => {
                let start = reader.at();
                reader.null()?;
                self.null_below(plan, node, &(start..reader.at()), rows)
            }
            // Nothing is wanted of it, or not only what is below.
            _ if !node.columns.is_empty() || leaf => {
                reader.skip()?;
                Ok(())
            }
            other => {
                let below = node.fields.first().map(|field| format!("an object with {}", field.name));
                let expected = below.unwrap_or_else(|| "an array".to_owned());
                let what = format!("expected {expected} at byte {}, found {}", reader.at(), other.name());
                Err(Class::Value.error(named(plan, node, &what)))
            }
        }
    }

    fn walk_object(
        &mut self,
        plan: &Plan,
        node: &Node,
        reader: &mut Reader<'_>,
        rows: &mut Rows,
    ) -> Result<(), DataError> {
        reader.object()?;
        // Writers keep their order of fields: the next one wanted is most likely the next one found.
        let mut likely = 0;
        let mut first = true;
        loop {
            let place = match node.fields.get(likely) {
                Some(field) if reader.at_key(first, &field.written) => Some(likely),
                _ => match reader.key(first, &mut self.key)? {
                    None => return Ok(()),
                    Some(key) => node.fields.iter().position(|field| field.name == key),
                },
            };
            first = false;
            match place {
                Some(place) => {
                    likely = place + 1;
                    self.walk(plan, &node.fields[place].node, reader, rows)?;
                }
                None => drop(reader.skip()?),
            }
        }
    }

    fn walk_array(
        &mut self,
        plan: &Plan,
        node: &Node,
        reader: &mut Reader<'_>,
        rows: &mut Rows,
    ) -> Result<(), DataError> {
        reader.array()?;
        let mut index = 0;
        while reader.element(index == 0)? {
            match node.elements.iter().find(|(wanted, _)| *wanted == index) {
                Some((_, below)) => self.walk(plan, below, reader, rows)?,
                None => drop(reader.skip()?),
            }
            index += 1;
        }
        Ok(())
    }

    fn set(
        &mut self,
        plan: &Plan,
        column: usize,
        reader: &mut Reader<'_>,
        rows: &mut Rows,
    ) -> Result<(), DataError> {
        let Some(wanted) = plan.columns.get(column) else {
            reader.peek()?;
            let start = reader.at();
            reader.skip()?;
            return self.put_aside(plan, column - plan.columns.len(), start..reader.at());
        };
        if rows.last(column) != plan.missing {
            return Err(twice(&wanted.origin));
        }
        let start = rows.bytes.len();
        match wanted.codec.encode(reader, &mut self.text, &mut rows.bytes) {
            Ok(true) if rows.bytes.len() - self.row > BYTES_MAX => {
                Err(unfit(plan, column, &format!("the row is larger than {} MiB", BYTES_MAX >> 20)))
            }
            Ok(true) => rows.set(column, start).ok_or_else(|| too_large(plan, column)),
            Ok(false) => {
                rows.set_cell(column, plan.null);
                Ok(())
            }
            Err(ValueError::Json(error)) => Err(error.into()),
            Err(ValueError::Unfit(why)) => Err(unfit(plan, column, &why)),
        }
    }

    fn put_aside(&mut self, plan: &Plan, slot: usize, place: Range<usize>) -> Result<(), DataError> {
        match self.aside[slot].replace(place) {
            None => Ok(()),
            Some(_) => Err(twice(&plan.slots[slot])),
        }
    }

    // Of an object that is null, each field is. `null` is where it is.
    fn null_below(
        &mut self,
        plan: &Plan,
        node: &Node,
        null: &Range<usize>,
        rows: &mut Rows,
    ) -> Result<(), DataError> {
        for below in node.below() {
            for &column in &below.columns {
                match plan.columns.get(column) {
                    None => self.put_aside(plan, column - plan.columns.len(), null.clone())?,
                    Some(wanted) if rows.last(column) != plan.missing => return Err(twice(&wanted.origin)),
                    Some(_) => rows.set_cell(column, plan.null),
                }
            }
            self.null_below(plan, below, null, rows)?;
        }
        Ok(())
    }
}

fn twice(origin: &str) -> DataError {
    Class::Value.error(format!("{origin} appears twice"))
}

// Says for which column a place of the JSON was looked at.
fn named(plan: &Plan, node: &Node, what: &str) -> String {
    match node.first_column() {
        Some(place) if place < plan.columns.len() => {
            let column = &plan.columns[place];
            format!("column {}: {}: {what}", column.name, column.origin)
        }
        Some(place) => format!("{}: {what}", plan.slots[place - plan.columns.len()]),
        None => what.to_owned(),
    }
}
