//! One JSON value -> the bytes of one CQL cell (or of one CSV field), by the column's type.
//!
//! Lossless or an error: an integer beyond its type, a float for an int, a time finer than its column are refused.
//! Binary forms: the CQL native protocol v4, section 6 (`doc/native_protocol_v4.spec` in apache/cassandra).

mod compile;
mod number;
mod scalar;
mod time;

pub use compile::{Unfit, for_column, for_csv};
pub use time::{Epoch, TimeForm, TimeRule};

use crate::json::{Kind, Reader};

/// How the values of one column, or of a part of it, are written.
#[derive(Debug, Clone, PartialEq)]
pub enum Codec {
    /// `text`, from any scalar.
    Text,
    /// `ascii`
    Ascii,
    /// `text` that keeps any JSON as it stands.
    Json,
    /// A CSV field: scalars as they read, everything else as JSON.
    Plain,
    /// `boolean`
    Boolean,
    /// `tinyint` to `bigint`: the width in bytes.
    Integer(Width),
    /// `float`
    Float,
    /// `double`
    Double,
    /// `uuid`, or `timeuuid` where only version 1 will do.
    Uuid {
        /// Only version 1.
        time_based: bool,
    },
    /// `timestamp`: milliseconds.
    Timestamp(TimeRule),
    /// `text`, or a CSV field, that holds a time or its bucket.
    TimeText(TimeRule),
    /// `date` from `YYYY-MM-DD`.
    Date,
    /// `date` from a time cut to its day or month.
    DateOf(TimeRule),
    /// `time`: nanoseconds since midnight.
    Time,
    /// `inet`
    Inet,
    /// `blob`
    Blob {
        /// Hexadecimal digits; else base64.
        hex: bool,
    },
    /// `list` and `set`.
    List(Box<Codec>),
    /// `map`, from an object.
    Map(Box<Codec>, Box<Codec>),
    /// `tuple`, from an array of that length.
    Tuple(Vec<Codec>),
    /// A user-defined type, from an object with some of its fields.
    Udt(Vec<(String, Codec)>),
}

/// An integer's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "CQL's own names")]
pub enum Width {
    TinyInt,
    SmallInt,
    Int,
    BigInt,
}

/// A scalar on its way into a cell.
#[derive(Debug, Clone, Copy)]
pub enum Scalar<'a> {
    /// A JSON string.
    String(&'a str),
    /// A JSON number's literal.
    Number(&'a str),
    /// A JSON boolean.
    Bool(bool),
    /// Text that may stand for any scalar: a header, a map's key, a message's offset.
    Word(&'a str),
}

/// Why a value does not go into its column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The message is not JSON.
    #[error("not JSON: {0}")]
    Json(#[from] crate::json::Error),
    /// The value cannot be one of the column's type.
    #[error("{0}")]
    Unfit(String),
}

impl Codec {
    /// Appends the next JSON value's cell to `out`; `false` for null, which appends nothing.
    ///
    /// # Errors
    /// [`ValueError`]; `out` may then hold a part of the cell.
    pub fn encode(
        &self,
        reader: &mut Reader<'_>,
        scratch: &mut String,
        out: &mut Vec<u8>,
    ) -> Result<bool, ValueError> {
        let kind = reader.peek()?;
        match (self, kind) {
            (_, Kind::Null) => {
                reader.null()?;
                return Ok(false);
            }
            (Self::Text, Kind::String) => out.extend_from_slice(reader.string(scratch)?.as_bytes()),
            (Self::Plain, Kind::String) => plain(reader.string(scratch)?, out),
            (Self::Json, _) | (Self::Plain, Kind::Array | Kind::Object) => {
                out.extend_from_slice(reader.skip()?.as_bytes());
            }
            (Self::List(element), Kind::Array) => list(element, reader, scratch, out)?,
            (Self::Map(key, value), Kind::Object) => map(key, value, reader, scratch, out)?,
            (Self::Tuple(parts), Kind::Array) => tuple(parts, reader, scratch, out)?,
            (Self::Udt(fields), Kind::Object) => udt(fields, reader, scratch, out)?,
            (Self::List(_) | Self::Map(..) | Self::Tuple(_) | Self::Udt(_), _)
            | (_, Kind::Array | Kind::Object) => return Err(self.unfit(kind.name())),
            (_, Kind::String) => scalar::encode(self, Scalar::String(reader.string(scratch)?), out)?,
            (_, Kind::Number) => scalar::encode(self, Scalar::Number(reader.number()?), out)?,
            (_, Kind::Bool) => scalar::encode(self, Scalar::Bool(reader.boolean()?), out)?,
        }
        Ok(true)
    }

    /// Appends the cell of a value that does not come from JSON.
    ///
    /// # Errors
    /// [`ValueError::Unfit`]
    pub fn encode_word(&self, word: &str, out: &mut Vec<u8>) -> Result<(), ValueError> {
        scalar::encode(self, Scalar::Word(word), out)
    }

    fn unfit(&self, found: &str) -> ValueError {
        ValueError::Unfit(format!("expected {}, found {found}", self.expected()))
    }

    /// What the codec accepts, as error messages name it.
    pub fn expected(&self) -> String {
        match self {
            Self::Text | Self::Plain => "a string, a number or a boolean".to_owned(),
            Self::Ascii => "an ASCII string".to_owned(),
            Self::Json => "any JSON".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Integer(Width::TinyInt) => "an integer from -128 to 127".to_owned(),
            Self::Integer(Width::SmallInt) => "an integer from -32768 to 32767".to_owned(),
            Self::Integer(Width::Int) => "an integer from -2147483648 to 2147483647".to_owned(),
            Self::Integer(Width::BigInt) => "an integer of 64 bits".to_owned(),
            Self::Float | Self::Double => "a finite number".to_owned(),
            Self::Uuid { time_based: false } => "a UUID".to_owned(),
            Self::Uuid { time_based: true } => "a UUID of version 1".to_owned(),
            Self::Timestamp(rule) | Self::TimeText(rule) | Self::DateOf(rule) => rule.expected(),
            Self::Date => "a date as YYYY-MM-DD".to_owned(),
            Self::Time => "a time as HH:MM:SS with up to nine decimals".to_owned(),
            Self::Inet => "an IP address".to_owned(),
            Self::Blob { hex: true } => "hexadecimal digits".to_owned(),
            Self::Blob { hex: false } => "base64".to_owned(),
            Self::List(_) => "an array".to_owned(),
            Self::Map(..) | Self::Udt(_) => "an object".to_owned(),
            Self::Tuple(parts) => format!("an array of {}", parts.len()),
        }
    }
}

// A spreadsheet would run such a cell as a formula; the apostrophe makes it text (OWASP ASVS 1.2.10).
fn plain(text: &str, out: &mut Vec<u8>) {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\0']) {
        out.push(b'\'');
    }
    out.extend_from_slice(text.as_bytes());
}

fn list(
    element: &Codec,
    reader: &mut Reader<'_>,
    scratch: &mut String,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let counted = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut count: i32 = 0;
    reader.array()?;
    while reader.element(count == 0)? {
        count += 1;
        let in_element = |error| within(error, || format!("element {count}"));
        sized(out, |out| element.encode(reader, scratch, out)).and_then(not_null).map_err(in_element)?;
    }
    out[counted..counted + 4].copy_from_slice(&count.to_be_bytes());
    Ok(())
}

fn map(
    key: &Codec,
    value: &Codec,
    reader: &mut Reader<'_>,
    scratch: &mut String,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let counted = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut count: i32 = 0;
    reader.object()?;
    while let Some(name) = reader.key(count == 0, scratch)? {
        count += 1;
        let in_key = |error| within(error, || format!("key {count}"));
        sized(out, |out| key.encode_word(name, out).map(|()| true)).map_err(in_key)?;
        let in_value = |error| within(error, || format!("value {count}"));
        sized(out, |out| value.encode(reader, scratch, out)).and_then(not_null).map_err(in_value)?;
    }
    out[counted..counted + 4].copy_from_slice(&count.to_be_bytes());
    Ok(())
}

fn tuple(
    parts: &[Codec],
    reader: &mut Reader<'_>,
    scratch: &mut String,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let wrong_length = || ValueError::Unfit(format!("expected an array of {}", parts.len()));
    reader.array()?;
    for (position, part) in parts.iter().enumerate() {
        if !reader.element(position == 0)? {
            return Err(wrong_length());
        }
        sized(out, |out| part.encode(reader, scratch, out))
            .map_err(|error| within(error, || format!("element {}", position + 1)))?;
    }
    if reader.element(parts.is_empty())? { Err(wrong_length()) } else { Ok(()) }
}

// The fields come in the message's order and go out in the type's.
fn udt(
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
    for ((name, codec), value) in fields.iter().zip(found) {
        match value {
            None => out.extend_from_slice(&(-1_i32).to_be_bytes()),
            Some(mut value) => {
                sized(out, |out| codec.encode(&mut value, scratch, out))
                    .map_err(|error| within(error, || format!("field {name}")))?;
            }
        }
    }
    Ok(())
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

fn not_null(present: bool) -> Result<(), ValueError> {
    if present { Ok(()) } else { Err(ValueError::Unfit("null inside a collection".to_owned())) }
}

fn within(error: ValueError, place: impl FnOnce() -> String) -> ValueError {
    match error {
        ValueError::Unfit(why) => ValueError::Unfit(format!("{}: {why}", place())),
        json => json,
    }
}

#[cfg(test)]
mod tests;
