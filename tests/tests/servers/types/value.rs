//! Random values of a type: the JSON that a message may hold, and what Cassandra must then give back.
//!
//! The value comes first, then a way to write it; the consumer's codecs take no part.

use std::collections::HashSet;
use std::net::IpAddr;

use chrono::{DateTime, FixedOffset, NaiveDate, TimeDelta};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use scylla::value::{
    CqlDate, CqlDecimal, CqlDuration, CqlTime, CqlTimestamp, CqlTimeuuid, CqlValue, CqlVarint,
};
use uuid::Uuid;

use super::number;
use super::schema::{Type, Udt};

/// A value as it is written.
#[derive(Debug, Clone)]
pub(super) enum Json {
    /// A string's content.
    String(String),
    /// Anything else, as it stands.
    Raw(String),
}

impl Json {
    /// As a value.
    pub(super) fn value(&self, dice: &mut StdRng) -> String {
        match self {
            Self::String(text) => quoted(dice, text),
            Self::Raw(text) => text.clone(),
        }
    }

    // As the key of an object.
    pub(super) fn key(&self, dice: &mut StdRng) -> String {
        let (Self::String(text) | Self::Raw(text)) = self;
        quoted(dice, text)
    }
}

/// Makes values for one keyspace and column.
pub(super) struct Values<'a> {
    pub(super) dice: &'a mut StdRng,
    pub(super) keyspace: &'a str,
    pub(super) hex: bool,
    // Within a set or a map's key two decimals of one value must not differ in scale.
    pub(super) unique: bool,
}

impl Values<'_> {
    /// A value, and how it is written this time.
    pub(super) fn of(&mut self, kind: &Type) -> (Json, CqlValue) {
        match kind {
            Type::Native(native) => self.native(native),
            Type::List(element) => {
                let length = self.dice.random_range(0..4);
                let (texts, values) = self.several(element, length);
                (array(&texts), CqlValue::List(values))
            }
            Type::Vector(element, length) => loop {
                let (texts, values) = self.several(element, *length);
                // The driver (scylla 1.9) reads an empty last element as null; `one_of_each` asks the server.
                if !values.last().is_some_and(is_empty) {
                    break (array(&texts), CqlValue::Vector(values));
                }
            },
            Type::Set(element) => {
                let mut elements = self.distinct(element);
                let values = elements.iter().map(|(_, value)| value.clone()).collect();
                if !elements.is_empty() && self.dice.random_bool(0.3) {
                    let repeated = elements[self.dice.random_range(0..elements.len())].clone();
                    elements.push(repeated);
                }
                elements.shuffle(self.dice);
                let texts: Vec<_> = elements.iter().map(|(json, _)| json.value(self.dice)).collect();
                (array(&texts), CqlValue::Set(values))
            }
            Type::Map(key, value) => {
                let mut keys = self.distinct(key);
                keys.shuffle(self.dice);
                let mut texts = Vec::new();
                let mut pairs = Vec::new();
                for (json, key) in keys {
                    let (text, value) = self.of(value);
                    texts.push(format!("{}:{}", json.key(self.dice), text.value(self.dice)));
                    pairs.push((key, value));
                }
                (object(&texts), CqlValue::Map(pairs))
            }
            Type::Tuple(parts) => {
                let parts: Vec<_> = parts.iter().map(|part| self.or_null(part)).collect();
                let texts: Vec<_> = parts.iter().map(|(text, _)| text.clone()).collect();
                (array(&texts), CqlValue::Tuple(parts.into_iter().map(|(_, value)| value).collect()))
            }
            Type::Udt(udt) => self.udt(udt),
        }
    }

    fn udt(&mut self, udt: &Udt) -> (Json, CqlValue) {
        let mut texts = Vec::new();
        let mut fields = Vec::new();
        for (name, kind) in &udt.fields {
            let (text, value) = self.or_null(kind);
            if value.is_some() || self.dice.random() {
                texts.push(format!("\"{name}\":{text}"));
            }
            fields.push((name.clone(), value));
        }
        if self.dice.random_bool(0.2) {
            texts.push("\"unknown\":[{}]".to_owned());
        }
        texts.shuffle(self.dice);
        let (keyspace, name) = (self.keyspace.to_owned(), udt.name.clone());
        (object(&texts), CqlValue::UserDefinedType { keyspace, name, fields })
    }

    fn or_null(&mut self, kind: &Type) -> (String, Option<CqlValue>) {
        if self.dice.random_bool(0.2) {
            return ("null".to_owned(), None);
        }
        let (json, value) = self.of(kind);
        (json.value(self.dice), Some(value))
    }

    fn several(&mut self, kind: &Type, length: usize) -> (Vec<String>, Vec<CqlValue>) {
        let one = |_| {
            let (json, value) = self.of(kind);
            (json.value(self.dice), value)
        };
        (0..length).map(one).unzip()
    }

    pub(super) fn distinct(&mut self, kind: &Type) -> Vec<(Json, CqlValue)> {
        let outer = std::mem::replace(&mut self.unique, true);
        let mut known = HashSet::new();
        let length = self.dice.random_range(0..5);
        let mut distinct: Vec<_> = (0..length).map(|_| self.of(kind)).collect();
        distinct.retain(|(_, value)| known.insert(canonical(value)));
        self.unique = outer;
        distinct
    }

    fn native(&mut self, native: &str) -> (Json, CqlValue) {
        let dice = &mut *self.dice;
        let string = |text: String, value| (Json::String(text), value);
        let raw = |text: String, value| (Json::Raw(text), value);
        match native {
            "ascii" => {
                let text = text(dice, &['a', 'Z', ' ', '"', '\\', '/', '\n', '\0', '~', '\'']);
                string(text.clone(), CqlValue::Ascii(text))
            }
            "text" | "varchar" => {
                let text =
                    text(dice, &['a', 'Z', '"', '\\', '\t', '\u{1}', 'é', 'ß', '中', '\u{ffff}', '😀']);
                string(text.clone(), CqlValue::Text(text))
            }
            "boolean" => {
                let truth = dice.random();
                raw(bool::to_string(&truth), CqlValue::Boolean(truth))
            }
            "tinyint" => {
                let value = number::edge(dice, i8::MIN.into(), i8::MAX.into());
                raw(number::integer(dice, value), CqlValue::TinyInt(value.try_into().unwrap()))
            }
            "smallint" => {
                let value = number::edge(dice, i16::MIN.into(), i16::MAX.into());
                raw(number::integer(dice, value), CqlValue::SmallInt(value.try_into().unwrap()))
            }
            "int" => {
                let value = number::edge(dice, i32::MIN.into(), i32::MAX.into());
                raw(number::integer(dice, value), CqlValue::Int(value.try_into().unwrap()))
            }
            "bigint" => {
                let value = number::edge(dice, i64::MIN, i64::MAX);
                let text = number::integer(dice, value);
                let json = if dice.random() { Json::String(text) } else { Json::Raw(text) };
                (json, CqlValue::BigInt(value))
            }
            "float" => {
                let value = number::finite(|| f32::from_bits(dice.random()), |value: &f32| value.is_finite());
                raw(number::float(dice, &value), CqlValue::Float(value))
            }
            "double" => {
                let value = number::finite(|| f64::from_bits(dice.random()), |value: &f64| value.is_finite());
                raw(number::float(dice, &value), CqlValue::Double(value))
            }
            "varint" => {
                let (bytes, digits) = number::long(dice);
                let json = if dice.random() { Json::String(digits) } else { Json::Raw(digits) };
                (json, CqlValue::Varint(CqlVarint::from_signed_bytes_be(bytes)))
            }
            "decimal" => {
                let (text, scale, bytes) = number::decimal(dice, self.unique);
                let json = if dice.random() { Json::String(text) } else { Json::Raw(text) };
                (json, CqlValue::Decimal(CqlDecimal::from_signed_be_bytes_and_exponent(bytes, scale)))
            }
            "duration" => {
                let (text, [months, days], nanoseconds) = number::duration(dice);
                string(text, CqlValue::Duration(CqlDuration { months, days, nanoseconds }))
            }
            "blob" => {
                let bytes: Vec<u8> = (0..dice.random_range(0..20)).map(|_| dice.random()).collect();
                string(
                    if self.hex { number::hex(&bytes) } else { number::base64(&bytes) },
                    CqlValue::Blob(bytes),
                )
            }
            "uuid" => {
                let uuid = Uuid::from_u128(dice.random());
                string(uuid.to_string(), CqlValue::Uuid(uuid))
            }
            "timeuuid" => {
                let random: u128 = dice.random();
                let uuid = Uuid::from_u128(random & !(0xf << 76) & !(0x3 << 62) | 0x1 << 76 | 0x2 << 62);
                string(uuid.to_string(), CqlValue::Timeuuid(CqlTimeuuid::from(uuid)))
            }
            "inet" => {
                let address = match dice.random_range(0..3) {
                    0 => IpAddr::from(dice.random::<[u8; 4]>()),
                    1 => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1_u16]),
                    _ => IpAddr::from(dice.random::<[u8; 16]>()),
                };
                string(address.to_string(), CqlValue::Inet(address))
            }
            "date" => {
                let days: i64 = dice.random_range(-700_000..2_900_000);
                let date = NaiveDate::default() + TimeDelta::days(days);
                let counted = u32::try_from(days + (1 << 31)).unwrap();
                string(date.format("%Y-%m-%d").to_string(), CqlValue::Date(CqlDate(counted)))
            }
            "time" => {
                let nanos: i64 = dice.random_range(0..86_400_000_000_000);
                let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
                let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
                let text = format!("{hours:02}:{minutes:02}:{:02}.{rest:09}", seconds % 60);
                string(text, CqlValue::Time(CqlTime(nanos)))
            }
            "timestamp" => {
                let millis: i64 = dice.random_range(-60_000_000_000_000..250_000_000_000_000);
                let zone = FixedOffset::east_opt(dice.random_range(-64..64) * 900).unwrap();
                let time = DateTime::from_timestamp_millis(millis).unwrap().with_timezone(&zone);
                string(time.to_rfc3339(), CqlValue::Timestamp(CqlTimestamp(millis)))
            }
            other => panic!("no values of {other}"),
        }
    }
}

/// A text that is the same for the same value only: sets and maps in one order, -0.0 apart from 0.0.
pub(super) fn canonical(value: &CqlValue) -> String {
    let joined = |parts: Vec<String>| parts.join(", ");
    let sorted = |mut parts: Vec<String>| {
        parts.sort();
        parts.join(", ")
    };
    let optional = |value: &Option<CqlValue>| value.as_ref().map_or("null".to_owned(), canonical);
    match value {
        CqlValue::List(values) => format!("list[{}]", joined(values.iter().map(canonical).collect())),
        CqlValue::Vector(values) => format!("vector[{}]", joined(values.iter().map(canonical).collect())),
        CqlValue::Set(values) => format!("set{{{}}}", sorted(values.iter().map(canonical).collect())),
        CqlValue::Map(pairs) => {
            let pair =
                |(key, value): &(CqlValue, CqlValue)| format!("{}: {}", canonical(key), canonical(value));
            format!("map{{{}}}", sorted(pairs.iter().map(pair).collect()))
        }
        CqlValue::Tuple(parts) => format!("({})", joined(parts.iter().map(optional).collect())),
        CqlValue::UserDefinedType { keyspace, name, fields } => {
            let field = |(name, value): &(String, Option<CqlValue>)| format!("{name}: {}", optional(value));
            format!("{keyspace}.{name}{{{}}}", joined(fields.iter().map(field).collect()))
        }
        scalar => format!("{scalar:?}"),
    }
}

fn is_empty(value: &CqlValue) -> bool {
    match value {
        CqlValue::Ascii(text) | CqlValue::Text(text) => text.is_empty(),
        CqlValue::Blob(bytes) => bytes.is_empty(),
        _ => false,
    }
}

fn array(texts: &[String]) -> Json {
    Json::Raw(format!("[{}]", texts.join(", ")))
}

fn object(texts: &[String]) -> Json {
    Json::Raw(format!("{{{}}}", texts.join(",")))
}

fn text(dice: &mut StdRng, characters: &[char]) -> String {
    (0..dice.random_range(0..12)).map(|_| characters[dice.random_range(0..characters.len())]).collect()
}

// A string in JSON, with escapes where none are needed as well.
fn quoted(dice: &mut StdRng, text: &str) -> String {
    let mut json = "\"".to_owned();
    for character in text.chars() {
        if matches!(character, '"' | '\\') || u32::from(character) < 0x20 || dice.random_bool(0.1) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                json.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            json.push(character);
        }
    }
    json + "\""
}
