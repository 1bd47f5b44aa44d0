//! The body of a report -> the record as published, with the units in its names.

use serde::{Deserialize, Deserializer, Serialize};

use crate::ParseError;
use crate::instant::Seconds;

#[derive(Deserialize)]
struct Body {
    coord: Coord,
    weather: Vec<Condition>,
    main: Main,
    #[serde(default, deserialize_with = "rounded")]
    visibility: Option<i32>,
    wind: Option<Wind>,
    rain: Option<Fallen>,
    snow: Option<Fallen>,
    clouds: Option<Clouds>,
    dt: i64,
    sys: Option<Sys>,
    timezone: Option<i32>,
    id: Option<i64>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Coord {
    lon: f64,
    lat: f64,
}

#[derive(Deserialize, Serialize)]
struct Condition {
    id: i32,
    main: String,
    description: String,
    icon: String,
}

#[derive(Deserialize)]
struct Main {
    temp: f64,
    feels_like: Option<f64>,
    temp_min: f64,
    temp_max: f64,
    pressure: f64,
    #[serde(deserialize_with = "rounded")]
    humidity: Option<i32>,
    sea_level: Option<f64>,
    grnd_level: Option<f64>,
}

#[derive(Deserialize)]
struct Wind {
    speed: Option<f64>,
    deg: Option<f64>,
    gust: Option<f64>,
}

#[derive(Deserialize)]
struct Fallen {
    #[serde(rename = "1h")]
    in_1h: Option<f64>,
    #[serde(rename = "3h")]
    in_3h: Option<f64>,
}

#[derive(Deserialize)]
struct Clouds {
    #[serde(default, deserialize_with = "rounded")]
    all: Option<i32>,
}

#[derive(Deserialize)]
struct Sys {
    country: Option<String>,
    sunrise: Option<i64>,
    sunset: Option<i64>,
}

/// A report as published. What the upstream leaves out, or says with 0 or "" for want of a value, is left out.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    city: &'a str,
    observed_at: Seconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    city_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
    longitude: f64,
    latitude: f64,
    conditions: Vec<Condition>,
    temperature_kelvin: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    feels_like_kelvin: Option<f64>,
    temperature_min_kelvin: f64,
    temperature_max_kelvin: f64,
    pressure_hpa: f64,
    humidity_percent: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    sea_level_hpa: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ground_level_hpa: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    visibility_m: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wind_speed_mps: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wind_degrees: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wind_gust_mps: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rain_1h_mm: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rain_3h_mm: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snow_1h_mm: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snow_3h_mm: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud_percent: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sunrise: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sunset: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone_offset_s: Option<i32>,
}

/// Parses the body of a report for the city as configured.
pub(super) fn parse<'a>(city: &'a str, body: &[u8]) -> Result<Report<'a>, ParseError> {
    let body: Body = serde_json::from_slice(body).map_err(|error| ParseError::json(&error))?;
    let sys = body.sys.unwrap_or(Sys { country: None, sunrise: None, sunset: None });
    let wind = body.wind.unwrap_or(Wind { speed: None, deg: None, gust: None });
    let rain = body.rain.unwrap_or(Fallen { in_1h: None, in_3h: None });
    let snow = body.snow.unwrap_or(Fallen { in_1h: None, in_3h: None });
    let observed_at = time("dt", body.dt)?;
    let humidity_percent =
        body.main.humidity.ok_or_else(|| ParseError::malformed("main.humidity", "it is null"))?;
    Ok(Report {
        city,
        observed_at,
        city_id: body.id.filter(|id| *id != 0),
        name: body.name.filter(|name| !name.is_empty()),
        country: sys.country.filter(|country| !country.is_empty()),
        longitude: body.coord.lon,
        latitude: body.coord.lat,
        conditions: body.weather,
        temperature_kelvin: body.main.temp,
        feels_like_kelvin: body.main.feels_like,
        temperature_min_kelvin: body.main.temp_min,
        temperature_max_kelvin: body.main.temp_max,
        pressure_hpa: body.main.pressure,
        humidity_percent,
        sea_level_hpa: body.main.sea_level,
        ground_level_hpa: body.main.grnd_level,
        visibility_m: body.visibility,
        wind_speed_mps: wind.speed,
        wind_degrees: wind.deg,
        wind_gust_mps: wind.gust,
        rain_1h_mm: rain.in_1h,
        rain_3h_mm: rain.in_3h,
        snow_1h_mm: snow.in_1h,
        snow_3h_mm: snow.in_3h,
        cloud_percent: body.clouds.and_then(|clouds| clouds.all),
        sunrise: sun_time("sys.sunrise", sys.sunrise)?,
        sunset: sun_time("sys.sunset", sys.sunset)?,
        timezone_offset_s: body.timezone,
    })
}

/// The sun neither rises nor sets in a polar day or night: the upstream says 0.
fn sun_time(place: &str, epoch_s: Option<i64>) -> Result<Option<Seconds>, ParseError> {
    match epoch_s {
        None | Some(0) => Ok(None),
        Some(epoch_s) => time(place, epoch_s).map(Some),
    }
}

fn time(place: &str, epoch_s: i64) -> Result<Seconds, ParseError> {
    Seconds::from_epoch_s(epoch_s)
        .ok_or_else(|| ParseError::malformed(place, format!("{epoch_s} is no time in seconds since 1970")))
}

/// Reads a number that is whole by the contract, with or without a fraction: stations have sent 87.0 for 87.
fn rounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i32>, D::Error> {
    let Some(number) = Option::<f64>::deserialize(deserializer)? else { return Ok(None) };
    let rounded = number.round();
    if rounded < f64::from(i32::MIN) || rounded > f64::from(i32::MAX) {
        return Err(serde::de::Error::custom(format_args!("{number} is out of range")));
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range was just checked")]
    Ok(Some(rounded as i32))
}
