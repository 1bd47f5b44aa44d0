//! Fields that are no cells themselves: the WRITETIME, the time to live, the parts of a UUID.

use uuid::Uuid;

use super::{Class, DataError, Decoder, checked, content, words};
use crate::codec::{Codec, ValueError, Width};
use crate::json::Reader;
use crate::plan::{Plan, TtlField, WriteTimeField};
use crate::rows::Rows;
use crate::schema::Role;

/// The namespace of UUIDs that routes make (`docs/routes.md`). Another one would be another identity for every row.
pub const NAMESPACE: Uuid = Uuid::from_u128(0xf9b9a8ab_1f10_4c47_8906_a2e7c18b1b64);

impl Decoder {
    /// The time that a field tells, in milliseconds.
    pub(super) fn written_ms(
        &mut self,
        plan: &Plan,
        field: &WriteTimeField,
        value: &[u8],
        now_ms: i64,
        rows: &mut Rows,
    ) -> Result<i64, DataError> {
        let name = &plan.slots[field.slot];
        let in_writetime = |why: String| Class::Timestamp.error(format!("writetime: {name}: {why}"));
        let time_ms = self.number(field.slot, &field.codec, value, rows).map_err(in_writetime)?;
        let time_ms = time_ms.ok_or_else(|| in_writetime("is missing or null".to_owned()))?;
        checked(Some(time_ms), name, now_ms)
    }

    /// The seconds that a field tells, if the message has it or the route a default.
    pub(super) fn ttl_s(
        &mut self,
        plan: &Plan,
        field: &TtlField,
        value: &[u8],
        rows: &mut Rows,
    ) -> Result<Option<i64>, DataError> {
        let name = &plan.slots[field.slot];
        let in_ttl = |why: String| Class::Value.error(format!("ttl: {name}: {why}"));
        let count = self.number(field.slot, &Codec::Integer(Width::BigInt), value, rows).map_err(in_ttl)?;
        let Some(count) = count.or(field.default) else { return Ok(None) };
        let out_of_range = || in_ttl(format!("expected 1 s to 20 years, found {count}"));
        field.unit.seconds(count).map(Some).ok_or_else(out_of_range)
    }

    /// Fills the columns that hold a UUID of some fields.
    pub(super) fn set_uuids(&mut self, plan: &Plan, value: &[u8], rows: &mut Rows) -> Result<(), DataError> {
        for (column, slots) in &plan.uuids {
            let parts = &self.aside[slots.clone()];
            let part = |range: &Option<std::ops::Range<usize>>| range.clone().map(|range| &value[range]);
            if parts.iter().all(|range| part(range).is_none_or(|json| json == b"null")) {
                let wanted = &plan.columns[*column];
                let class = if wanted.role == Role::Regular { Class::Value } else { Class::Key };
                return Err(class.error(format!(
                    "column {}: {}: all of them are missing or null, and such rows would share one UUID",
                    wanted.name, wanted.origin
                )));
            }
            self.content.clear();
            content::write(parts.iter().map(part), &mut self.text, &mut self.content)?;
            let uuid = Uuid::new_v5(&NAMESPACE, &self.content);
            let mut text = Uuid::encode_buffer();
            words::set_word(plan, *column, uuid.hyphenated().encode_lower(&mut text), rows)?;
        }
        Ok(())
    }

    // A field as a number of eight bytes; `None` where it is missing or null. The rows' buffer is borrowed for that.
    fn number(
        &mut self,
        slot: usize,
        codec: &Codec,
        value: &[u8],
        rows: &mut Rows,
    ) -> Result<Option<i64>, String> {
        let Some(range) = self.aside[slot].clone() else { return Ok(None) };
        let start = rows.bytes.len();
        let mut reader = Reader::new(&value[range]).map_err(|error| error.to_string())?;
        let read = codec.encode(&mut reader, &mut self.text, &mut rows.bytes);
        let number = rows.bytes[start..].first_chunk().map(|bytes| i64::from_be_bytes(*bytes));
        rows.bytes.truncate(start);
        match read {
            Ok(present) => Ok(number.filter(|_| present)),
            Err(ValueError::Json(error)) => Err(error.to_string()),
            Err(ValueError::Unfit(why)) => Err(why),
        }
    }
}
