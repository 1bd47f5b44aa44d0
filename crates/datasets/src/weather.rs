//! OpenWeatherMap current weather: polled JSON -> topic weather -> kafkapipeline.weatherreport.
//!
//! A report's identity is the city as configured and the time of the observation. The upstream's own city id cannot
//! serve: it is 0 for every point without a name. Field by field: <https://openweathermap.org/current>.

mod city;
mod report;

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use self::city::{City, Place};
use crate::error::{Code, is_terminal};
use crate::settings::Section;
use crate::{Dataset, Message, ParseError, Parsed, Polled, Request, SettingsError, Upstream};

/// Weather of a list of cities.
pub static DATASET: Dataset = Dataset {
    name: "weather",
    topic: "weather",
    table: "kafkapipeline.weatherreport",
    about: "current weather of a list of cities, polled from OpenWeatherMap",
    upstream: Upstream::Polled {
        base_url: "https://api.openweathermap.org",
        new: |section| Ok(Box::new(Weather::new(section)?)),
    },
};

const KEYS: &[&str] = &["api_key", "cities", "every", "requests_per_minute", "base_url"];
const PATH: &str = "/data/2.5/weather";
const KEY_ALLOWED: &str = "the key as OpenWeatherMap shows it: letters, digits, - and _";
/// The free plan allows 60; the rest is for the same key elsewhere.
const REQUESTS_PER_MINUTE_DEFAULT: u32 = 50;
/// What stands in for a missing key: the simulator wants one too, and the live upstream is never asked without.
const NO_KEY: &str = "simulated";

struct Weather {
    api_key: Option<String>,
    cities: Vec<City>,
    poll_every: Duration,
    requests_per_minute: u32,
}

impl Weather {
    fn new(value: &Value) -> Result<Self, SettingsError> {
        let section = Section::open("weather", value, KEYS)?;
        let api_key = section.text("api_key", KEY_ALLOWED).map_err(|_| bad_key(&section))?;
        // A key with a stray quote or a line break would be refused as 401, with no hint of why.
        let is_odd = |c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_';
        if api_key.as_deref().is_some_and(|key| key.contains(is_odd)) {
            return Err(bad_key(&section));
        }
        Ok(Self {
            api_key,
            cities: city::read(&section)?,
            poll_every: section.every(Duration::from_secs(60))?,
            requests_per_minute: section.requests_per_minute()?.unwrap_or(REQUESTS_PER_MINUTE_DEFAULT),
        })
    }

    fn request(&self, city: &City) -> Request {
        let query = match &city.place {
            Place::Name(name) => vec![("q", name.clone())],
            Place::Point { lat, lon } => vec![("lat", lat.clone()), ("lon", lon.clone())],
        };
        let api_key = self.api_key.clone().unwrap_or_else(|| NO_KEY.to_owned());
        Request { label: city.label.clone(), path: PATH.to_owned(), query, secret: Some(("appid", api_key)) }
    }
}

fn bad_key(section: &Section<'_>) -> SettingsError {
    section.invalid("api_key", "(hidden)", KEY_ALLOWED)
}

impl Polled for Weather {
    fn poll_every(&self) -> Duration {
        self.poll_every
    }

    fn requests_per_minute(&self) -> Option<u32> {
        Some(self.requests_per_minute)
    }

    fn missing_credential(&self) -> Option<&'static str> {
        self.api_key.is_none().then_some("TRIBUTARY__WEATHER__API_KEY (or OPENWEATHERMAP_API_KEY in .env)")
    }

    fn requests(&self) -> Vec<Request> {
        self.cities.iter().map(|city| self.request(city)).collect()
    }

    fn probe(&self) -> Request {
        self.request(&self.cities[0])
    }

    fn parse(&self, request: &Request, body: &[u8]) -> Result<Parsed, ParseError> {
        let status: Status = serde_json::from_slice(body).map_err(|error| ParseError::json(&error))?;
        // Old captures have no cod; then the report itself decides.
        if let Some(code) = &status.cod
            && code.number() != Some(200)
        {
            return Err(status.refusal());
        }
        let report = report::parse(&request.label, body)?;
        Ok(Parsed { messages: vec![Message::of(request.label.clone(), &report)], rejected: Vec::new() })
    }
}

/// What every body has, a report's and an error's.
#[derive(Deserialize)]
struct Status {
    cod: Option<Code>,
    message: Option<Value>,
}

impl Status {
    fn refusal(&self) -> ParseError {
        let message = self.message.as_ref().and_then(Value::as_str).unwrap_or("no reason given");
        let code = self.cod.as_ref().and_then(Code::number);
        ParseError::refused(message, code.is_some_and(is_terminal))
    }
}
