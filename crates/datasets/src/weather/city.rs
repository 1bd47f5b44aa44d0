//! The setting `cities` -> what to ask the upstream for, and what to call the answer.

use serde::Deserialize;
use serde_json::Value;

use crate::SettingsError;
use crate::settings::Section;

const ALLOWED: &str = "a list of \"Name\", \"Name,CC\", \"lat,lon\" or \"name@lat,lon\" (in one text: separated by ;), \
                       each once, latitudes from -90 to 90, longitudes from -180 to 180";
const DEFAULT: [&str; 10] = [
    "Amsterdam,NL",
    "Cairo,EG",
    "Delhi,IN",
    "London,GB",
    "Mexico City,MX",
    "Nairobi,KE",
    "New York,US",
    "Sao Paulo,BR",
    "Sydney,AU",
    "Tokyo,JP",
];

/// One configured city. The label is its name in the published records: as configured, whatever the upstream calls it.
#[derive(Debug, PartialEq)]
pub(super) struct City {
    pub(super) label: String,
    pub(super) place: Place,
}

/// Where a city is. Coordinates stay the text that was configured, so that no digit is lost or added.
#[derive(Debug, PartialEq)]
pub(super) enum Place {
    Name(String),
    Point { lat: String, lon: String },
}

/// The long form of a city in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    lat: Value,
    lon: Value,
}

/// Reads the setting; ten cities around the world when it is absent.
pub(super) fn read(section: &Section<'_>) -> Result<Vec<City>, SettingsError> {
    let Some(value) = section.value("cities") else {
        return Ok(DEFAULT.into_iter().filter_map(from_text).collect());
    };
    let mut cities: Vec<City> = Vec::new();
    for item in flatten(value) {
        let city = match &item {
            Value::String(text) => from_text(text),
            object => from_object(object),
        };
        let city = city.ok_or_else(|| section.invalid("cities", &item, ALLOWED))?;
        // Two entries of one label would write over each other's rows.
        if cities.iter().any(|known| known.label == city.label) {
            return Err(section.invalid("cities", &item, ALLOWED));
        }
        cities.push(city);
    }
    if cities.is_empty() {
        return Err(section.invalid("cities", value, ALLOWED));
    }
    Ok(cities)
}

/// The separator is a semicolon: a comma already stands between a city and its country.
fn flatten(value: &Value) -> Vec<Value> {
    let items = match value {
        Value::Array(items) => items.as_slice(),
        single => std::slice::from_ref(single),
    };
    let mut flat = Vec::new();
    for item in items {
        match item {
            Value::String(text) => {
                let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
                flat.extend(parts.map(Value::from));
            }
            other => flat.push(other.clone()),
        }
    }
    flat
}

fn from_text(text: &str) -> Option<City> {
    if let Some((name, point)) = text.rsplit_once('@') {
        let (lat, lon) = point.split_once(',')?;
        return named_point(name, lat, lon);
    }
    if let Some((lat, lon)) = text.split_once(',')
        && looks_numeric(lat)
        && looks_numeric(lon)
    {
        return Some(City { label: text.to_owned(), place: point(lat, lon)? });
    }
    // A lone number is half a pair of coordinates, never a name.
    if looks_numeric(text) || text.starts_with(',') {
        return None;
    }
    Some(City { label: text.to_owned(), place: Place::Name(text.to_owned()) })
}

fn from_object(object: &Value) -> Option<City> {
    let named = Named::deserialize(object).ok()?;
    named_point(&named.name, &coordinate(&named.lat)?, &coordinate(&named.lon)?)
}

fn coordinate(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn named_point(name: &str, lat: &str, lon: &str) -> Option<City> {
    let name = name.trim();
    if name.is_empty() {
        return None;
    }
    Some(City { label: name.to_owned(), place: point(lat, lon)? })
}

fn point(lat: &str, lon: &str) -> Option<Place> {
    Some(Place::Point { lat: degrees(lat, 90.0)?, lon: degrees(lon, 180.0)? })
}

fn degrees(text: &str, limit: f64) -> Option<String> {
    let text = text.trim();
    let number: f64 = looks_numeric(text).then(|| text.parse().ok())??;
    (number.abs() <= limit).then(|| text.to_owned())
}

/// Rust also reads `nan` and `inf` as numbers, and Nan is a town in Thailand.
fn looks_numeric(text: &str) -> bool {
    let text = text.trim();
    text.contains(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))
}
