//! A message of any age -> its row, also where its time to live is over: then it may have been written while it was not.
//!
//! An expired row leaves a tombstone, which hides what is older. Of one route all that is older has expired as well; but
//! another route of the table may have none or a longer time to live, and what it wrote is gone all the same.

use crate::decode::{Decoded, Decoder};
use crate::message::Message;
use crate::plan::Plan;
use crate::rows::Rows;

/// Appends the message's row; `None`: it makes none. [`Decoded::Expired`] is one that may never have been written.
pub(super) fn decode(
    decoder: &mut Decoder,
    bytes_max: usize,
    plan: &Plan,
    message: &Message<'_>,
    now_ms: i64,
    rows: &mut Rows,
) -> Option<Decoded> {
    let decoded = decoder.decode_within(bytes_max, plan, message, now_ms, rows).ok()?;
    if decoded == Decoded::Expired {
        // As on the day on which it was published.
        let published_ms = message.timestamp_ms?;
        decoder.decode_within(bytes_max, plan, message, published_ms, rows).ok()?;
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::message::Headers;
    use crate::rows::CellValue;
    use crate::schema::{Column, CqlType, Native, Role, Table};

    #[test]
    fn an_expired_message_is_heard_with_its_row_and_its_writetime() {
        let text = "topic = \"t\"\ntable = \"k.t\"\nttl = \"1h\"\n[columns]\nid = \"id\"\n".to_owned();
        let route = crate::route::parse(Path::new("r.toml"), text).unwrap();
        let id =
            Column { name: "id".to_owned(), cql: CqlType::Native(Native::Text), role: Role::PartitionKey };
        let plan = Plan::for_table(&route, &Table { name: "k.t".to_owned(), columns: vec![id] }).unwrap();
        let timestamp_ms = 1_800_000_000_000;
        let message = Message {
            topic: "t",
            partition: 0,
            offset: 7,
            timestamp_ms: Some(timestamp_ms),
            key: None,
            value: Some(br#"{"id":"a"}"#),
            headers: Headers::NONE,
        };
        let heard = |message: &Message<'_>, age_ms: i64| {
            let mut rows = Rows::new(plan.width());
            let now_ms = timestamp_ms + age_ms;
            let decoded = decode(&mut Decoder::default(), 100, &plan, message, now_ms, &mut rows);
            let cell = |column| match rows.cell(0, column) {
                CellValue::Bytes(bytes) => bytes.to_vec(),
                CellValue::Null | CellValue::Unset => Vec::new(),
            };
            decoded.map(|decoded| (decoded, cell(0), cell(1)))
        };
        let writetime = crate::decode::writetime(timestamp_ms, 7).to_be_bytes().to_vec();
        let row = |decoded| Some((decoded, b"a".to_vec(), writetime.clone()));
        assert_eq!(heard(&message, 0), row(Decoded::Row));
        assert_eq!(heard(&message, 3_600_000), row(Decoded::Expired));
        let bad = Message { value: Some(b"no json"), ..message };
        assert_eq!((heard(&bad, 0), heard(&bad, 3_600_000)), (None, None));
    }
}
