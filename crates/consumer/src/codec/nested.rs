//! Arrays and objects -> cells of collections, tuples, user-defined types and vectors.
//!
//! Sets and maps leave in their type's own order (`order`): inside a tuple or a user-defined type Cassandra keeps
//! their bytes as they come, and the same set in another order would be another key.

use super::{BYTES_MAX, Codec, ValueError, order, vint};
use crate::json::Reader;

pub(super) fn list(
    element: &Codec,
    reader: &mut Reader<'_>,
    scratch: &mut String,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    reader.array()?;
    counted(out, |out, place| {
        if !reader.element(place == 1)? {
            return Ok(false);
        }
        let encoded = sized(out, |out| element.encode(reader, scratch, out)).and_then(not_null);
        encoded.map(|()| true).map_err(|error| within(error, || format!("element {place}")))
    })
}

pub(super) fn set(
    element: &Codec,
    reader: &mut Reader<'_>,
    scratch: &mut String,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let start = out.len();
    list(element, reader, scratch, out)?;
    order::set(element, out, start)
}

pub(super) fn map(
    key: &Codec,
    value: &Codec,
    reader: &mut Reader<'_>,
    scratch: &mut String,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let start = out.len();
    reader.object()?;
    counted(out, |out, place| {
        let Some(name) = reader.key(place == 1, scratch)? else { return Ok(false) };
        sized(out, |out| key.encode_word(name, out).map(|()| true))
            .map_err(|error| within(error, || format!("key {place}")))?;
        let encoded = sized(out, |out| value.encode(reader, scratch, out)).and_then(not_null);
        encoded.map(|()| true).map_err(|error| within(error, || format!("value {place}")))
    })?;
    order::map(key, out, start)
}

pub(super) fn tuple(
    parts: &[Codec],
    reader: &mut Reader<'_>,
    scratch: &mut String,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let start = out.len();
    exactly(parts.len(), reader, |place, reader| {
        sized(out, |out| parts[place].encode(reader, scratch, out))?;
        bounded(out, start)
    })
}

// Elements of a fixed length follow each other; others have theirs before them.
pub(super) fn vector(
    element: &Codec,
    length: usize,
    reader: &mut Reader<'_>,
    scratch: &mut String,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let fixed = element.fixed_length().is_some();
    let vector = out.len();
    exactly(length, reader, |_, reader| {
        let start = out.len();
        not_null(element.encode(reader, scratch, out)?)?;
        if !fixed {
            let mut length = Vec::new();
            vint::unsigned((out.len() - start) as u64, &mut length);
            out.splice(start..start, length);
        }
        bounded(out, vector)
    })
}

// The fields come in the message's order and go out in the type's.
pub(super) fn udt(
    fields: &[(String, Codec)],
    reader: &mut Reader<'_>,
    scratch: &mut String,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let mut found: Vec<Option<Reader<'_>>> = vec![None; fields.len()];
    reader.object()?;
    let mut first = true;
    while let Some(key) = reader.key(first, scratch)? {
        first = false;
        let position = fields.iter().position(|(name, _)| name == key);
        reader.peek()?;
        if let Some(position) = position
            && found[position].replace(reader.clone()).is_some()
        {
            return Err(ValueError::Unfit(format!("field {} appears twice", fields[position].0)));
        }
        reader.skip()?;
    }
    let start = out.len();
    for ((name, codec), value) in fields.iter().zip(found) {
        match value {
            None => out.extend_from_slice(&(-1_i32).to_be_bytes()),
            Some(mut value) => {
                sized(out, |out| codec.encode(&mut value, scratch, out))
                    .map_err(|error| within(error, || format!("field {name}")))?;
            }
        }
        bounded(out, start)?;
    }
    Ok(())
}

// A count, then what `next` appends until it says that there is no more; it is told the place, from 1.
fn counted(
    out: &mut Vec<u8>,
    mut next: impl FnMut(&mut Vec<u8>, i32) -> Result<bool, ValueError>,
) -> Result<(), ValueError> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut count: i32 = 0;
    while next(out, count + 1)? {
        bounded(out, start)?;
        count += 1;
    }
    out[start..start + 4].copy_from_slice(&count.to_be_bytes());
    Ok(())
}

// An array of that length, no more and no less.
fn exactly(
    length: usize,
    reader: &mut Reader<'_>,
    mut each: impl FnMut(usize, &mut Reader<'_>) -> Result<(), ValueError>,
) -> Result<(), ValueError> {
    let wrong =
        |found: String| ValueError::Unfit(format!("expected an array of {length}, found one of {found}"));
    reader.array()?;
    for place in 0..length {
        if !reader.element(place == 0)? {
            return Err(wrong(place.to_string()));
        }
        each(place, reader).map_err(|error| within(error, || format!("element {}", place + 1)))?;
    }
    if reader.element(length == 0)? { Err(wrong("more".to_owned())) } else { Ok(()) }
}

// A nested value: its length, then its bytes; a length of -1 for null.
fn sized(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<bool, ValueError>,
) -> Result<bool, ValueError> {
    let start = out.len();
    out.extend_from_slice(&(-1_i32).to_be_bytes());
    let present = write(out)?;
    if present {
        let too_long = |_| ValueError::Unfit("longer than 2 GiB".to_owned());
        let length = i32::try_from(out.len() - start - 4).map_err(too_long)?;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
    Ok(present)
}

fn bounded(out: &[u8], start: usize) -> Result<(), ValueError> {
    match out.len() - start {
        0..=BYTES_MAX => Ok(()),
        _ => Err(ValueError::Unfit(format!("larger than {} MiB in the table", BYTES_MAX >> 20))),
    }
}

fn not_null(present: bool) -> Result<(), ValueError> {
    if present { Ok(()) } else { Err(ValueError::Unfit("null inside a collection".to_owned())) }
}

fn within(error: ValueError, place: impl FnOnce() -> String) -> ValueError {
    match error {
        ValueError::Unfit(why) => ValueError::Unfit(format!("{}: {why}", place())),
        json => json,
    }
}
