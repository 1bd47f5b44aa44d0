//! A column's type and the route's options -> its codec, or why there is none.

use std::fmt::Write;

use chrono::format::{Fixed, Item, Numeric, Parsed, StrftimeItems, parse};
use chrono::{DateTime, FixedOffset, TimeDelta};

use super::time::{Epoch, TimeForm, TimeRule, of_pattern};
use super::{Codec, Width};
use crate::route::{Bucket, Format, Options};
use crate::schema::{CqlType, Native};

/// Why a column cannot be filled this way, in words for the route's author.
pub type Unfit = String;

/// The codec of a table's column.
///
/// # Errors
/// The type cannot be filled at all, or not with these options.
pub fn for_column(cql: &CqlType, options: &Options) -> Result<Codec, Unfit> {
    if let CqlType::List { frozen: false, .. } = cql {
        return Err("a list that is not frozen grows with every redelivery, even under one WRITETIME: \
                    make it frozen<list<..>> or a set"
            .to_owned());
    }
    let codec = by_type(cql, options)?;
    unused(&codec, cql, options)?;
    Ok(codec)
}

/// The codec of a CSV field.
///
/// # Errors
/// The options contradict each other.
pub fn for_csv(options: &Options) -> Result<Codec, Unfit> {
    if options.time.is_some() || options.bucket.is_some() {
        return Ok(Codec::TimeText(time_rule(options)?));
    }
    Ok(if options.format == Some(Format::Json) { Codec::Json } else { Codec::Plain })
}

fn by_type(cql: &CqlType, options: &Options) -> Result<Codec, Unfit> {
    // A bucket and `json` are of the whole column; how times and blobs are written holds inside it as well.
    let format = options.format.filter(|format| *format != Format::Json);
    let inside = Options { bucket: None, format, ..options.clone() };
    let nested = |inner: &CqlType| match inner {
        // A text that is a time is a column of its own.
        CqlType::Native(Native::Text) => Ok(Codec::Text),
        _ => by_type(inner, &inside),
    };
    let boxed = |inner: &CqlType| nested(inner).map(Box::new);
    Ok(match cql {
        CqlType::Native(native) => by_native(*native, options)?,
        // What is inside another value is frozen with it, whatever the schema calls it.
        CqlType::List { element, .. } => Codec::List(boxed(element)?),
        CqlType::Set(element) => Codec::Set(boxed(element)?),
        CqlType::Map(key, value) => Codec::Map(boxed(key)?, boxed(value)?),
        CqlType::Tuple(parts) => Codec::Tuple(parts.iter().map(nested).collect::<Result<_, _>>()?),
        CqlType::Vector(element, length) => Codec::Vector(boxed(element)?, usize::from(*length)),
        CqlType::Udt { fields, .. } => Codec::Udt(
            fields
                .iter()
                .map(|(name, inner)| {
                    Ok((name.clone(), nested(inner).map_err(|why| format!("field {name}: {why}"))?))
                })
                .collect::<Result<_, Unfit>>()?,
        ),
        CqlType::Other(_) => return Err(format!("type {cql} cannot be filled by a route")),
    })
}

fn by_native(native: Native, options: &Options) -> Result<Codec, Unfit> {
    Ok(match native {
        Native::Text if options.format == Some(Format::Json) => Codec::Json,
        Native::Text if options.bucket.is_some() || options.time.is_some() => {
            Codec::TimeText(time_rule(options)?)
        }
        Native::Text => Codec::Text,
        Native::Ascii => Codec::Ascii,
        Native::Boolean => Codec::Boolean,
        Native::TinyInt => Codec::Integer(Width::TinyInt),
        Native::SmallInt => Codec::Integer(Width::SmallInt),
        Native::Int => Codec::Integer(Width::Int),
        Native::BigInt => Codec::Integer(Width::BigInt),
        Native::Float => Codec::Float,
        Native::Double => Codec::Double,
        Native::Uuid => Codec::Uuid { time_based: false },
        Native::TimeUuid => Codec::Uuid { time_based: true },
        Native::Timestamp => Codec::Timestamp(time_rule(options)?),
        Native::Date => match options.bucket {
            Some(Bucket::Day | Bucket::Month) => Codec::DateOf(time_rule(options)?),
            Some(Bucket::Hour) => return Err("a date has no hours: bucket = \"day\" or \"month\"".to_owned()),
            None => Codec::Date,
        },
        Native::Time => Codec::Time,
        Native::Inet => Codec::Inet,
        Native::Blob => Codec::Blob { hex: options.format == Some(Format::Hex) },
        Native::Counter => {
            return Err("a counter adds with every redelivery: keep the events and count them".to_owned());
        }
        Native::Decimal => Codec::Decimal,
        Native::VarInt => Codec::VarInt,
        Native::Duration => Codec::Duration,
    })
}

fn time_rule(options: &Options) -> Result<TimeRule, Unfit> {
    let zone = options.zone.as_deref().map(zone).transpose()?;
    let form = match options.time.as_deref() {
        None | Some("rfc3339") => TimeForm::Rfc3339,
        Some("epoch_s") => TimeForm::Epoch(Epoch::Seconds),
        Some("epoch_ms") => TimeForm::Epoch(Epoch::Millis),
        Some("epoch_us") => TimeForm::Epoch(Epoch::Micros),
        Some("epoch_ns") => TimeForm::Epoch(Epoch::Nanos),
        Some(pattern) if pattern.contains('%') => by_pattern(pattern, zone)?,
        Some(other) => {
            return Err(format!(
                "time = {other:?}: expected rfc3339, epoch_s, epoch_ms, epoch_us, epoch_ns or a pattern with %"
            ));
        }
    };
    if options.zone.is_some() && !matches!(form, TimeForm::Pattern { .. }) {
        return Err("zone goes with a pattern only: other times carry their own".to_owned());
    }
    Ok(TimeRule { form, bucket: options.bucket, truncate: options.truncate })
}

fn by_pattern(pattern: &str, zone: Option<FixedOffset>) -> Result<TimeForm, Unfit> {
    let items: Vec<Item<'_>> = StrftimeItems::new(pattern).collect();
    let complaint = |why: &str| Err(format!("time = {pattern:?}{why}"));
    if items.contains(&Item::Error) {
        return complaint(": not a pattern of chrono's strftime");
    }
    if items.contains(&Item::Fixed(Fixed::TimezoneName)) {
        return complaint(": names of zones (%Z) are not read; an offset is %z");
    }
    if items.iter().any(|item| matches!(item, Item::Numeric(Numeric::Nanosecond, _))) {
        return complaint(": %f is a count of nanoseconds; decimals of a second are %.f");
    }
    // A time that the pattern writes must come back, but for what is finer than its last part.
    let sample = DateTime::from_timestamp_nanos(1_795_275_757_123_000_000);
    let mut text = String::new();
    let mut parsed = Parsed::new();
    let written = write!(text, "{}", sample.format_with_items(items.iter()));
    if written.is_err() || parse(&mut parsed, &text, items.iter()).is_err() {
        return complaint(": no time can be read by it");
    }
    // A literal 'Z' in a pattern is text, not a zone: the author has to say which zone is meant.
    let has_zone = parsed.offset().is_some() || parsed.timestamp().is_some();
    match (has_zone, zone.is_some()) {
        (false, false) => return complaint(" has no offset (%z): add zone = \"UTC\" or \"+02:00\""),
        (true, true) => return complaint(" has an offset of its own: remove zone"),
        _ => {}
    }
    let parts =
        [parsed.hour_div_12(), parsed.hour_mod_12(), parsed.minute(), parsed.second(), parsed.nanosecond()];
    let days = parsed.timestamp().is_none() && parts.iter().all(Option::is_none);
    let finer = if days { TimeDelta::days(1) } else { TimeDelta::minutes(1) };
    let back = of_pattern(parsed, zone.and(FixedOffset::east_opt(0)), days);
    if back.is_none_or(|back| sample < back || sample - back >= finer) {
        return complaint(
            " tells no time: it needs a day, and an hour with its minute (%H:%M or %I:%M %p) or no hour",
        );
    }
    Ok(TimeForm::Pattern { pattern: pattern.to_owned(), zone, days })
}

fn zone(text: &str) -> Result<FixedOffset, Unfit> {
    let offset = if text == "UTC" { "+00:00" } else { text };
    let parsed = offset.parse().ok();
    // chrono does not look at what comes after an offset.
    parsed
        .filter(|parsed: &FixedOffset| parsed.to_string() == offset)
        .ok_or_else(|| format!("zone = {text:?}: expected UTC or an offset such as +02:00"))
}

// An option that changes nothing is a misunderstanding worth telling.
fn unused(codec: &Codec, cql: &CqlType, options: &Options) -> Result<(), Unfit> {
    let timed =
        has(codec, &|part| matches!(part, Codec::Timestamp(_) | Codec::TimeText(_) | Codec::DateOf(_)));
    let complaint = |option: &str| Err(format!("{option} has no meaning for type {cql}"));
    if !timed && options.time.is_some() {
        return complaint("time");
    }
    if !timed && options.zone.is_some() {
        return complaint("zone");
    }
    if !timed && options.truncate {
        return complaint("truncate");
    }
    let bucketed = matches!(codec, Codec::Timestamp(_) | Codec::TimeText(_) | Codec::DateOf(_));
    if !bucketed && options.bucket.is_some() {
        return complaint("bucket");
    }
    let formatted = match options.format {
        None => true,
        Some(Format::Json) => *codec == Codec::Json,
        Some(Format::Hex | Format::Base64) => has(codec, &|part| matches!(part, Codec::Blob { .. })),
    };
    if formatted { Ok(()) } else { complaint("format") }
}

// Whether the codec, or one inside it, is of that kind.
fn has(codec: &Codec, kind: &impl Fn(&Codec) -> bool) -> bool {
    kind(codec)
        || match codec {
            Codec::List(element) | Codec::Set(element) | Codec::Vector(element, _) => has(element, kind),
            Codec::Map(key, value) => has(key, kind) || has(value, kind),
            Codec::Tuple(parts) => parts.iter().any(|part| has(part, kind)),
            Codec::Udt(fields) => fields.iter().any(|(_, part)| has(part, kind)),
            _ => false,
        }
}
