//! Strings, numbers and booleans -> cells.

use std::io::Write;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{NaiveDate, NaiveTime, Timelike};
use uuid::Uuid;

use super::{Codec, Scalar, ValueError, Width, duration, number, time};

pub(super) fn encode(codec: &Codec, scalar: Scalar<'_>, out: &mut Vec<u8>) -> Result<(), ValueError> {
    match fit(codec, scalar, out) {
        Some(()) => Ok(()),
        None => Err(codec.unfit(&found(scalar))),
    }
}

// `None`: the value does not fit; nothing was appended.
fn fit(codec: &Codec, scalar: Scalar<'_>, out: &mut Vec<u8>) -> Option<()> {
    match codec {
        Codec::Plain => match scalar {
            Scalar::Word(word) => super::plain(word, out),
            number => out.extend_from_slice(text(number).as_bytes()),
        },
        Codec::Text => out.extend_from_slice(text(scalar).as_bytes()),
        Codec::Ascii => {
            let text = text(scalar);
            out.extend_from_slice(text.is_ascii().then_some(text)?.as_bytes());
        }
        Codec::Boolean => out.push(match scalar {
            Scalar::Bool(value) => u8::from(value),
            Scalar::Word("true") => 1,
            Scalar::Word("false") => 0,
            _ => return None,
        }),
        // Writers that keep to 53-bit numbers send larger ones as strings.
        Codec::Integer(Width::BigInt) => integer(Width::BigInt, digits(scalar)?, out)?,
        Codec::Integer(width) => integer(*width, literal(scalar)?, out)?,
        Codec::VarInt => number::varint(digits(scalar)?, out)?,
        Codec::Decimal => number::decimal(digits(scalar)?, out)?,
        Codec::Float => out.extend_from_slice(&number::float(literal(scalar)?)?.to_be_bytes()),
        Codec::Double => out.extend_from_slice(&number::double(literal(scalar)?)?.to_be_bytes()),
        Codec::Duration => duration::encode(string(scalar)?, out)?,
        Codec::Uuid { time_based } => {
            let uuid = Uuid::try_parse(string(scalar).filter(|text| matches!(text.len(), 32 | 36))?).ok()?;
            if *time_based && uuid.get_version_num() != 1 {
                return None;
            }
            out.extend_from_slice(uuid.as_bytes());
        }
        Codec::Timestamp(rule) => out.extend_from_slice(&rule.millis(scalar)?.to_be_bytes()),
        Codec::TimeText(rule) => {
            let millis = rule.millis(scalar)?;
            write!(out, "{}", rule.format(millis)?).ok()?;
        }
        Codec::DateOf(rule) => {
            out.extend_from_slice(&day(rule.millis(scalar)?.div_euclid(86_400_000))?.to_be_bytes());
        }
        Codec::Date => {
            let text = string(scalar).filter(|text| text.len() == 10 && digits_of(text) == 8)?;
            let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            let days = date.signed_duration_since(NaiveDate::default()).num_days();
            out.extend_from_slice(&day(days)?.to_be_bytes());
        }
        Codec::Time => {
            let text = string(scalar).filter(|text| !time::finer_than_nanos(text))?;
            let text = text.get(..8).filter(|whole| digits_of(whole) == 6).map(|_| text)?;
            let time = NaiveTime::parse_from_str(text, "%H:%M:%S%.f").ok()?;
            // A leap second has no place in a CQL time.
            let nanos = Some(time.nanosecond()).filter(|nanos| *nanos < 1_000_000_000)?;
            let since_midnight =
                i64::from(time.num_seconds_from_midnight()) * 1_000_000_000 + i64::from(nanos);
            out.extend_from_slice(&since_midnight.to_be_bytes());
        }
        // ::ffff:1.2.3.4 becomes 1.2.3.4, as it does in Cassandra's own literals and collections.
        Codec::Inet => match string(scalar)?.parse::<IpAddr>().ok()?.to_canonical() {
            IpAddr::V4(address) => out.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => out.extend_from_slice(&address.octets()),
        },
        Codec::Blob { hex: true } => hex(string(scalar)?, out)?,
        Codec::Blob { hex: false } => {
            let start = out.len();
            if STANDARD.decode_vec(string(scalar)?, out).is_err() {
                out.truncate(start);
                return None;
            }
        }
        // `Codec::encode` reads these itself.
        Codec::Json
        | Codec::List(_)
        | Codec::Set(_)
        | Codec::Map(..)
        | Codec::Tuple(_)
        | Codec::Vector(..)
        | Codec::Udt(_) => return None,
    }
    Some(())
}

// chrono also takes single digits, and spaces and signs before them.
fn digits_of(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

/// Days since 1970-01-01 -> CQL's `date`, which counts from 2^31 days before.
fn day(days: i64) -> Option<u32> {
    u32::try_from(days + (1 << 31)).ok()
}

fn integer(width: Width, literal: &str, out: &mut Vec<u8>) -> Option<()> {
    let value = number::integer(literal)?;
    match width {
        Width::TinyInt => out.extend_from_slice(&i8::try_from(value).ok()?.to_be_bytes()),
        Width::SmallInt => out.extend_from_slice(&i16::try_from(value).ok()?.to_be_bytes()),
        Width::Int => out.extend_from_slice(&i32::try_from(value).ok()?.to_be_bytes()),
        Width::BigInt => out.extend_from_slice(&value.to_be_bytes()),
    }
    Some(())
}

fn hex(digits: &str, out: &mut Vec<u8>) -> Option<()> {
    let digits = digits.strip_prefix("0x").unwrap_or(digits).as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|nibble| u8::try_from(nibble).ok());
    for pair in digits.chunks_exact(2) {
        out.push(nibble(pair[0])? << 4 | nibble(pair[1])?);
    }
    Some(())
}

fn text(scalar: Scalar<'_>) -> &str {
    match scalar {
        Scalar::String(text) | Scalar::Number(text) | Scalar::Word(text) => text,
        Scalar::Bool(true) => "true",
        Scalar::Bool(false) => "false",
    }
}

fn string(scalar: Scalar<'_>) -> Option<&str> {
    match scalar {
        Scalar::String(text) | Scalar::Word(text) => Some(text),
        Scalar::Number(_) | Scalar::Bool(_) => None,
    }
}

// Of numbers that JSON's readers may not hold: a string does as well.
fn digits(scalar: Scalar<'_>) -> Option<&str> {
    match scalar {
        Scalar::String(text) | Scalar::Number(text) | Scalar::Word(text) => Some(text),
        Scalar::Bool(_) => None,
    }
}

fn literal(scalar: Scalar<'_>) -> Option<&str> {
    match scalar {
        Scalar::Number(literal) | Scalar::Word(literal) => Some(literal),
        Scalar::String(_) | Scalar::Bool(_) => None,
    }
}

fn found(scalar: Scalar<'_>) -> String {
    const SHOWN_MAX: usize = 60;
    let whole = text(scalar);
    let mut shown: String = whole.chars().take(SHOWN_MAX).collect();
    if shown.len() < whole.len() {
        shown.push('…');
    }
    match scalar {
        Scalar::String(_) | Scalar::Word(_) => format!("{shown:?}"),
        Scalar::Number(_) | Scalar::Bool(_) => shown,
    }
}
