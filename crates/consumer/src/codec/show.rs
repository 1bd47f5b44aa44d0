//! The bytes of a cell -> text for a person: the way back, as CQL writes values.
//!
//! Never fails and never prints a control character: what is no value of its type is shown as bytes, and what is long is
//! cut. The text is for looking, not for reading back.

use std::fmt::Write;
use std::net::IpAddr;

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, TimeDelta};
use num_bigint::BigInt;
use uuid::Uuid;

use super::{Codec, Width, order, vint};

/// Characters that are shown at most.
const SHOWN_MAX: usize = 120;
/// Decimals beyond this are shown with an exponent.
const DECIMALS_MAX: i32 = 30;

impl Codec {
    /// The cell as text.
    pub fn show(&self, cell: &[u8]) -> String {
        let mut text = String::new();
        if show(self, cell, &mut text).is_none() {
            text.clear();
            bytes(cell, &mut text);
        }
        match text.char_indices().nth(SHOWN_MAX) {
            None => text,
            Some((end, _)) => format!("{}…", &text[..end]),
        }
    }
}

// `None`: these are not the bytes of such a value.
fn show(codec: &Codec, cell: &[u8], out: &mut String) -> Option<()> {
    match codec {
        Codec::Text | Codec::Ascii | Codec::Json | Codec::Plain | Codec::TimeText(_) => text(cell, out),
        Codec::Boolean => written(out, *cell.first()? != 0),
        Codec::Integer(width) => written(out, integer(*width, cell)?),
        Codec::Float => written(out, f32::from_be_bytes(cell.try_into().ok()?)),
        Codec::Double => written(out, f64::from_be_bytes(cell.try_into().ok()?)),
        Codec::Uuid { .. } => written(out, Uuid::from_slice(cell).ok()?),
        Codec::Timestamp(_) => {
            let time = DateTime::from_timestamp_millis(i64::from_be_bytes(cell.try_into().ok()?))?;
            written(out, time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
        }
        Codec::Date | Codec::DateOf(_) => {
            let days = i64::from(u32::from_be_bytes(cell.try_into().ok()?)) - (1 << 31);
            written(out, NaiveDate::default().checked_add_signed(TimeDelta::try_days(days)?)?)
        }
        Codec::Time => {
            let nanos = u64::from_be_bytes(cell.try_into().ok()?);
            let seconds = u32::try_from(nanos / 1_000_000_000).ok()?;
            let rest = u32::try_from(nanos % 1_000_000_000).ok()?;
            written(out, NaiveTime::from_num_seconds_from_midnight_opt(seconds, rest)?)
        }
        Codec::Inet => match cell.len() {
            4 => written(out, IpAddr::from(<[u8; 4]>::try_from(cell).ok()?)),
            _ => written(out, IpAddr::from(<[u8; 16]>::try_from(cell).ok()?)),
        },
        Codec::Blob { .. } => {
            bytes(cell, out);
            Some(())
        }
        Codec::VarInt => written(out, BigInt::from_signed_bytes_be(cell)),
        Codec::Decimal => decimal(cell, out),
        Codec::Duration => duration(cell, out),
        Codec::List(element) => counted(cell, ["[", "]"], out, |rest, out| one(element, rest, out)),
        Codec::Set(element) => counted(cell, ["{", "}"], out, |rest, out| one(element, rest, out)),
        Codec::Map(key, value) => counted(cell, ["{", "}"], out, |rest, out| {
            one(key, rest, out)?;
            out.push_str(": ");
            one(value, rest, out)
        }),
        Codec::Tuple(parts) => {
            let mut rest = cell;
            each(["(", ")"], out, parts.iter(), |part, out| one(part, &mut rest, out))
        }
        // Fields that the type got later are not in older cells.
        Codec::Udt(fields) => {
            let mut rest = cell;
            each(["{", "}"], out, fields.iter(), |(name, part), out| {
                write!(out, "{}: ", name.escape_debug()).ok()?;
                if rest.is_empty() { written(out, "null") } else { one(part, &mut rest, out) }
            })
        }
        Codec::Vector(element, length) => {
            let mut rest = cell;
            each(["[", "]"], out, 0..*length, |_, out| {
                show(element, order::component(&mut rest, element)?, out)
            })
        }
    }
}

fn written(out: &mut String, value: impl std::fmt::Display) -> Option<()> {
    write!(out, "{value}").ok()
}

// In single quotes, as CQL has it.
fn text(cell: &[u8], out: &mut String) -> Option<()> {
    let text = std::str::from_utf8(cell).ok()?;
    out.push('\'');
    for c in text.chars().take(SHOWN_MAX) {
        match c {
            '"' | '\'' | '\\' => out.push(c),
            // Also what turns the direction of writing, or cannot be seen.
            _ => out.extend(c.escape_debug()),
        }
    }
    out.push('\'');
    Some(())
}

fn bytes(cell: &[u8], out: &mut String) {
    out.push_str("0x");
    for byte in cell.iter().take(SHOWN_MAX) {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
}

fn integer(width: Width, cell: &[u8]) -> Option<i64> {
    Some(match width {
        Width::TinyInt => i8::from_be_bytes(cell.try_into().ok()?).into(),
        Width::SmallInt => i16::from_be_bytes(cell.try_into().ok()?).into(),
        Width::Int => i32::from_be_bytes(cell.try_into().ok()?).into(),
        Width::BigInt => i64::from_be_bytes(cell.try_into().ok()?),
    })
}

fn decimal(cell: &[u8], out: &mut String) -> Option<()> {
    let (scale, unscaled) = cell.split_first_chunk::<4>()?;
    let scale = i32::from_be_bytes(*scale);
    let number = BigInt::from_signed_bytes_be(unscaled).to_string();
    if scale == 0 {
        return written(out, number);
    }
    if !(1..=DECIMALS_MAX).contains(&scale) {
        return written(out, format_args!("{number}e{}", -i64::from(scale)));
    }
    let decimals = usize::try_from(scale).ok()?;
    let (sign, digits) = number.strip_prefix('-').map_or(("", &*number), |digits| ("-", digits));
    let digits = format!("{digits:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    written(out, format_args!("{sign}{whole}.{fraction}"))
}

fn duration(mut cell: &[u8], out: &mut String) -> Option<()> {
    let mut part = || vint::read_signed(&mut cell);
    let (months, days, nanos) = (part()?, part()?, part()?);
    if months < 0 || days < 0 || nanos < 0 {
        out.push('-');
    }
    let (months, days, nanos) = (months.unsigned_abs(), days.unsigned_abs(), nanos.unsigned_abs());
    written(out, format_args!("{months}mo{days}d{nanos}ns"))
}

// What comes after its length.
fn one(codec: &Codec, rest: &mut &[u8], out: &mut String) -> Option<()> {
    match order::sized(rest)? {
        Some(value) => show(codec, value, out),
        None => written(out, "null"),
    }
}

fn counted(
    cell: &[u8],
    brackets: [&str; 2],
    out: &mut String,
    mut next: impl FnMut(&mut &[u8], &mut String) -> Option<()>,
) -> Option<()> {
    let (count, mut rest) = cell.split_first_chunk::<4>()?;
    each(brackets, out, 0..i32::from_be_bytes(*count), |_, out| next(&mut rest, out))
}

// As many as can be seen.
fn each<T>(
    [open, close]: [&str; 2],
    out: &mut String,
    parts: impl Iterator<Item = T>,
    mut write: impl FnMut(T, &mut String) -> Option<()>,
) -> Option<()> {
    out.push_str(open);
    for (place, part) in parts.enumerate() {
        if out.len() > 4 * SHOWN_MAX {
            break;
        }
        if place > 0 {
            out.push_str(", ");
        }
        write(part, out)?;
    }
    out.push_str(close);
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::for_column;
    use crate::json::Reader;
    use crate::route::Options;
    use crate::schema::{CqlType, Native};

    fn native(native: Native) -> CqlType {
        CqlType::Native(native)
    }

    fn list(element: CqlType) -> CqlType {
        CqlType::List { frozen: true, element: Box::new(element) }
    }

    fn udt() -> CqlType {
        let fields = [("street", native(Native::Text)), ("no", native(Native::Int))];
        let fields = fields.map(|(name, kind)| (name.to_owned(), kind)).into();
        CqlType::Udt { name: "place".to_owned(), fields }
    }

    fn types() -> Vec<CqlType> {
        use Native::{
            Ascii, BigInt, Blob, Boolean, Date, Decimal, Double, Duration, Float, Inet, Int, SmallInt, Text,
            Time, TimeUuid, Timestamp, TinyInt, Uuid, VarInt,
        };
        let natives = [
            Ascii, BigInt, Blob, Boolean, Date, Decimal, Double, Duration, Float, Inet, Int, SmallInt, Text,
            Time, TimeUuid, Timestamp, TinyInt, Uuid, VarInt,
        ];
        let mut types: Vec<CqlType> = natives.map(native).into();
        types.extend([
            list(native(Text)),
            CqlType::Set(Box::new(native(Int))),
            CqlType::Map(Box::new(native(Text)), Box::new(list(native(Int)))),
            CqlType::Tuple(vec![native(Int), udt()]),
            CqlType::Vector(Box::new(native(Text)), 2),
            CqlType::Vector(Box::new(native(Float)), 2),
            udt(),
        ]);
        types
    }

    fn codec(cql: &CqlType) -> Codec {
        for_column(cql, &Options::default()).unwrap()
    }

    fn shown(cql: &CqlType, json: &str) -> String {
        let codec = codec(cql);
        let mut cell = Vec::new();
        codec.encode(&mut Reader::new(json.as_bytes()).unwrap(), &mut String::new(), &mut cell).unwrap();
        codec.show(&cell)
    }

    #[test]
    fn values_are_shown_as_cql_writes_them() {
        for (kind, json, text) in [
            (Native::Text, r#""Ines \"1\"""#, "'Ines \"1\"'"),
            (Native::Boolean, "true", "true"),
            (Native::TinyInt, "-128", "-128"),
            (Native::BigInt, "9223372036854775807", "9223372036854775807"),
            (Native::Double, "0.1", "0.1"),
            (Native::Uuid, r#""5b0f6c1e2d7a4f5c9a318f2f1f0c7e44""#, "5b0f6c1e-2d7a-4f5c-9a31-8f2f1f0c7e44"),
            (Native::Timestamp, r#""2026-01-02T13:00:00.122+01:00""#, "2026-01-02T12:00:00.122Z"),
            (Native::Date, r#""1969-12-31""#, "1969-12-31"),
            (Native::Time, r#""23:59:59.5""#, "23:59:59.500"),
            (Native::Inet, r#""2001:db8::1""#, "2001:db8::1"),
            (Native::Blob, r#""yv4=""#, "0xcafe"),
            (
                Native::VarInt,
                "170141183460469231731687303715884105728",
                "170141183460469231731687303715884105728",
            ),
            (Native::Decimal, "-0.05", "-0.05"),
            (Native::Decimal, "12.50", "12.50"),
            (Native::Decimal, "7e3", "7e3"),
            (Native::Duration, r#""-1y2d""#, "-12mo2d0ns"),
        ] {
            assert_eq!(shown(&native(kind), json), text);
        }
        let map = CqlType::Map(Box::new(native(Native::Int)), Box::new(native(Native::Text)));
        assert_eq!(shown(&map, r#"{"7":"seven","-7":"minus"}"#), "{-7: 'minus', 7: 'seven'}");
        assert_eq!(shown(&list(udt()), r#"[{"street":"A"}]"#), "[{street: 'A', no: null}]");
        let tuple = CqlType::Tuple(vec![native(Native::Int), native(Native::Text)]);
        assert_eq!(shown(&tuple, r#"[null,"x"]"#), "(null, 'x')");
        let vector = CqlType::Vector(Box::new(native(Native::Text)), 2);
        assert_eq!(shown(&vector, r#"["a",""]"#), "['a', '']");
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped_and_what_is_long_is_cut() {
        let text = codec(&native(Native::Text));
        assert_eq!(text.show("a\u{1b}[2J\u{202e}é".as_bytes()), r"'a\u{1b}[2J\u{202e}é'");
        assert_eq!(text.show(b"caf\xe9"), "0x636166e9");
        let long = text.show("ü".repeat(1_000).as_bytes());
        assert_eq!((long.chars().count(), long.ends_with('…')), (SHOWN_MAX + 1, true));
    }

    proptest! {
        #[test]
        fn any_bytes_are_shown_shortly_and_without_control_characters(
            kind in prop::sample::select(types()),
            cell in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let text = codec(&kind).show(&cell);
            prop_assert!(text.chars().count() <= SHOWN_MAX + 1);
            prop_assert!(!text.contains(char::is_control), "{text:?}");
        }
    }
}
