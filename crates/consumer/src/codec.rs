//! One JSON value -> the bytes of one CQL cell (or of one CSV field), by the column's type.
//!
//! Lossless or an error: an integer beyond its type, a float for an int, a time finer than its column are refused.
//! Which JSON forms each type takes: `docs/types.md`.
//! Binary forms: the CQL native protocol, section 6 (`doc/native_protocol_v5.spec` in apache/cassandra).

mod compile;
mod duration;
mod nested;
mod number;
mod order;
mod scalar;
mod show;
mod time;
mod vint;

pub use compile::{Unfit, for_column, for_csv};
pub(crate) use number::shortest_decimal;
pub use time::{Epoch, TimeForm, TimeRule};

use crate::json::{Kind, Reader};

/// Of a cell, and of a row; above all that `consumer.row_bytes_max` may be. A row is measured when it is complete, and seven
/// bytes of JSON, `1e9999,`, are four thousand in a set of `varint`s: one message could take all of the memory before.
pub const BYTES_MAX: usize = 16 << 20;

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
    /// `varint`
    VarInt,
    /// `decimal`
    Decimal,
    /// `duration`
    Duration,
    /// `list`, from an array.
    List(Box<Codec>),
    /// `set`, from an array, sorted and without repetitions.
    Set(Box<Codec>),
    /// `map`, from an object, sorted by its keys.
    Map(Box<Codec>, Box<Codec>),
    /// `tuple`, from an array of that length.
    Tuple(Vec<Codec>),
    /// `vector`, from an array of that length.
    Vector(Box<Codec>, usize),
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
            (Self::List(element), Kind::Array) => nested::list(element, reader, scratch, out)?,
            (Self::Set(element), Kind::Array) => nested::set(element, reader, scratch, out)?,
            (Self::Map(key, value), Kind::Object) => nested::map(key, value, reader, scratch, out)?,
            (Self::Tuple(parts), Kind::Array) => nested::tuple(parts, reader, scratch, out)?,
            (Self::Vector(element, length), Kind::Array) => {
                nested::vector(element, *length, reader, scratch, out)?;
            }
            (Self::Udt(fields), Kind::Object) => nested::udt(fields, reader, scratch, out)?,
            (_, Kind::Array | Kind::Object) => return Err(self.unfit(kind.name())),
            (nested, _) if nested.is_nested() => return Err(self.unfit(kind.name())),
            (_, Kind::String) => scalar::encode(self, Scalar::String(reader.string(scratch)?), out)?,
            (_, Kind::Number) => scalar::encode(self, Scalar::Number(reader.number()?), out)?,
            (_, Kind::Bool) => scalar::encode(self, Scalar::Bool(reader.boolean()?), out)?,
        }
        Ok(true)
    }

    /// Appends the cell of a value that does not come from JSON; collections and their like are JSON in there.
    ///
    /// # Errors
    /// [`ValueError::Unfit`]
    pub fn encode_word(&self, word: &str, out: &mut Vec<u8>) -> Result<(), ValueError> {
        if !self.is_nested() {
            return scalar::encode(self, Scalar::Word(word), out);
        }
        let mut reader = Reader::new(word.as_bytes())?;
        let encoded = self.encode(&mut reader, &mut String::new(), out).and_then(|present| {
            reader.end()?;
            if present { Ok(()) } else { Err(self.unfit("null")) }
        });
        // The text around it is JSON, or nobody said that it was.
        encoded.map_err(|error| ValueError::Unfit(error.to_string()))
    }

    // Whether values consist of other values.
    fn is_nested(&self) -> bool {
        matches!(
            self,
            Self::List(_) | Self::Set(_) | Self::Map(..) | Self::Tuple(_) | Self::Vector(..) | Self::Udt(_)
        )
    }

    // The bytes of every value, for the types that a vector stores without their length: `valueLengthIfFixed` of
    // Cassandra's types, which leaves out some whose values do have one length, such as `smallint` and `date`.
    fn fixed_length(&self) -> Option<usize> {
        match self {
            Self::Boolean => Some(1),
            Self::Integer(Width::Int) | Self::Float => Some(4),
            Self::Integer(Width::BigInt) | Self::Double | Self::Timestamp(_) => Some(8),
            Self::Uuid { .. } => Some(16),
            Self::Vector(element, length) => element.fixed_length().map(|one| one * length),
            _ => None,
        }
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
            Self::Float => "a number that a float can hold".to_owned(),
            Self::Double => "a number that a double can hold".to_owned(),
            Self::VarInt => format!("an integer of at most {} digits", number::DIGITS_MAX),
            Self::Decimal => {
                format!(
                    "a decimal number with at most {} digits before and after its point",
                    number::DIGITS_MAX
                )
            }
            Self::Duration => {
                "a duration as P1Y2M3DT4H5M6.7S or 1y2mo3d4h5m6s7ms8us9ns, of one sign".to_owned()
            }
            Self::Uuid { time_based: false } => "a UUID".to_owned(),
            Self::Uuid { time_based: true } => "a UUID of version 1".to_owned(),
            Self::Timestamp(rule) | Self::TimeText(rule) | Self::DateOf(rule) => rule.expected(),
            Self::Date => "a date as YYYY-MM-DD".to_owned(),
            Self::Time => "a time as HH:MM:SS with up to nine decimals".to_owned(),
            Self::Inet => "an IP address".to_owned(),
            Self::Blob { hex: true } => "hexadecimal digits".to_owned(),
            Self::Blob { hex: false } => "base64".to_owned(),
            Self::List(_) | Self::Set(_) => "an array".to_owned(),
            Self::Map(..) | Self::Udt(_) => "an object".to_owned(),
            Self::Tuple(parts) => format!("an array of {}", parts.len()),
            Self::Vector(_, length) => format!("an array of {length}"),
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

#[cfg(test)]
mod tests;
