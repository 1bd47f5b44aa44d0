//! A place, a seed and a time -> OpenWeatherMap's body. A rough climate model keeps the numbers plausible:
//! latitude, season and hour make the temperature, the sun's declination makes sunrise and polar night.

use std::f64::consts::TAU;

use chrono::{DateTime, Datelike, Utc};
use serde::Serialize;

use super::place::Place;
use crate::dice::{Dice, hash, round};
use crate::number::{Number, floor};

const SLOT_S: i64 = 600;
const DAY_S: i64 = 86_400;

#[derive(Serialize)]
struct Report<'a> {
    coord: Coord,
    weather: Vec<Condition>,
    base: &'static str,
    main: Main,
    #[serde(skip_serializing_if = "Option::is_none")]
    visibility: Option<i64>,
    wind: Wind,
    #[serde(skip_serializing_if = "Option::is_none")]
    rain: Option<Fall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snow: Option<Fall>,
    clouds: Clouds,
    dt: i64,
    sys: Sys<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timezone: Option<i64>,
    id: u64,
    name: &'a str,
    cod: u16,
}

#[derive(Serialize)]
struct Coord {
    lon: Number,
    lat: Number,
}

#[derive(Serialize, Clone)]
struct Condition {
    id: u16,
    main: &'static str,
    description: &'static str,
    icon: String,
}

#[derive(Serialize)]
struct Main {
    temp: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    feels_like: Option<Number>,
    temp_min: Number,
    temp_max: Number,
    pressure: Number,
    humidity: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sea_level: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grnd_level: Option<Number>,
}

#[derive(Serialize)]
struct Wind {
    speed: Number,
    deg: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    gust: Option<Number>,
}

#[derive(Serialize)]
struct Fall {
    #[serde(rename = "1h", skip_serializing_if = "Option::is_none")]
    one_hour: Option<Number>,
    #[serde(rename = "3h", skip_serializing_if = "Option::is_none")]
    three_hours: Option<Number>,
}

#[derive(Serialize)]
struct Clouds {
    all: i64,
}

#[derive(Serialize)]
struct Sys<'a> {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<&'a str>,
    sunrise: i64,
    sunset: i64,
}

/// What falls from the sky.
#[derive(Clone, Copy, PartialEq)]
enum Sky {
    Dry,
    Rain,
    Snow,
    Sleet,
}

const DRY: [(u16, &str, &str, &str); 7] = [
    (800, "Clear", "clear sky", "01"),
    (801, "Clouds", "few clouds", "02"),
    (802, "Clouds", "scattered clouds", "03"),
    (803, "Clouds", "broken clouds", "04"),
    (804, "Clouds", "overcast clouds", "04"),
    (741, "Fog", "fog", "50"),
    (761, "Dust", "dust", "50"),
];
const RAIN: [(u16, &str, &str, &str); 7] = [
    (500, "Rain", "light rain", "10"),
    (501, "Rain", "moderate rain", "10"),
    (502, "Rain", "heavy intensity rain", "10"),
    (520, "Rain", "light intensity shower rain", "09"),
    (300, "Drizzle", "light intensity drizzle", "09"),
    (211, "Thunderstorm", "thunderstorm", "11"),
    (202, "Thunderstorm", "thunderstorm with heavy rain", "11"),
];
const SNOW: [(u16, &str, &str, &str); 3] =
    [(600, "Snow", "light snow", "13"), (601, "Snow", "snow", "13"), (602, "Snow", "heavy snow", "13")];
const SLEET: [(u16, &str, &str, &str); 2] =
    [(616, "Snow", "rain and snow", "13"), (611, "Snow", "sleet", "13")];
const HAZE: [(u16, &str, &str, &str); 3] =
    [(701, "Mist", "mist", "50"), (721, "Haze", "haze", "50"), (711, "Smoke", "smoke", "50")];

/// The observation of the ten minutes around `now`, as JSON. `units` as the API's parameter.
pub(super) fn observe(place: &Place, seed: u64, now: DateTime<Utc>, units: Option<&str>) -> Vec<u8> {
    let slot = now.timestamp().div_euclid(SLOT_S);
    let dt = slot * SLOT_S;
    let part = |kind: &str, step: i64| Dice::new(&[seed, hash(kind), place.key(), step.unsigned_abs()]);
    // The sky keeps for an hour, so that weather has a course; the details move with each observation.
    let mut hour = part("sky", slot.div_euclid(6));
    let mut dice = part("weather", slot);
    let kelvin = temperature(place, now, dt) + hour.real(-5.0, 5.0, 2) + dice.real(-0.6, 0.6, 2);
    let (sunrise, sunset) = sun(place, now, dt);
    let by_day = sunrise != 0 && (sunrise..sunset).contains(&dt);
    let sky = sky(&mut hour, kelvin);
    // Now and then a body of the older kind, which still occurs in captures.
    let legacy = dice.one_in(40);
    let metric = Units::from(units);
    let pressure = dice.real(975.0, 1040.0, if legacy { 2 } else { 0 });
    let levels = dice.percent(70);
    let speed = dice.real(0.2, 14.0, 2);
    let wet = matches!(sky, Sky::Rain | Sky::Sleet);
    let report = Report {
        coord: Coord { lon: Number(round(place.longitude, 4)), lat: Number(round(place.latitude, 4)) },
        weather: conditions(sky, &mut hour, by_day),
        base: "stations",
        main: Main {
            temp: metric.temperature(kelvin),
            feels_like: (!legacy).then(|| metric.temperature(kelvin - speed * 0.25)),
            temp_min: metric.temperature(kelvin - dice.real(0.0, 1.5, 2)),
            temp_max: metric.temperature(kelvin + dice.real(0.0, 1.5, 2)),
            pressure: Number(pressure),
            humidity: dice.between(if wet { 75 } else { 20 }, 100),
            sea_level: levels.then_some(Number(pressure)),
            grnd_level: levels.then(|| Number(round(pressure - dice.real(0.0, 40.0, 0), 0))),
        },
        visibility: (!dice.one_in(20))
            .then(|| if sky == Sky::Dry { 10_000 } else { dice.between(2, 99) * 100 }),
        wind: Wind {
            speed: metric.speed(speed),
            deg: Number(dice.real(0.0, 359.0, if legacy { 3 } else { 0 })),
            gust: dice.percent(45).then(|| metric.speed(speed * dice.real(1.2, 2.2, 2))),
        },
        rain: wet.then(|| fall(&mut dice)),
        snow: matches!(sky, Sky::Snow | Sky::Sleet).then(|| fall(&mut dice)),
        clouds: Clouds { all: if sky == Sky::Dry { dice.between(0, 100) } else { dice.between(60, 100) } },
        dt,
        sys: Sys {
            kind: place.country.is_some().then_some(2),
            id: place.country.is_some().then(|| 2_000_000 + place.key() % 100_000),
            message: legacy.then(|| Number(dice.real(0.001, 0.3, 4))),
            country: place.country.as_deref(),
            sunrise,
            sunset,
        },
        timezone: (!legacy).then_some(place.timezone_s),
        id: place.id,
        name: &place.name,
        cod: 200,
    };
    serde_json::to_vec(&report).expect("a struct of numbers and strings serialises")
}

fn temperature(place: &Place, now: DateTime<Utc>, dt: i64) -> f64 {
    let season = (TAU * (f64::from(now.ordinal()) - 200.0) / 365.0).cos() * place.latitude.signum();
    let latitude = place.latitude.abs();
    let hour = solar_hour(place, dt);
    301.0 - latitude * latitude / 150.0 + season * latitude * 0.15 + 4.0 * (TAU * (hour - 15.0) / 24.0).cos()
}

/// Hours since local solar midnight.
fn solar_hour(place: &Place, dt: i64) -> f64 {
    let seconds = u32::try_from(dt.rem_euclid(DAY_S)).unwrap_or(0);
    (f64::from(seconds) / 3600.0 + place.longitude / 15.0).rem_euclid(24.0)
}

/// Sunrise and sunset of the place's own day, both 0 when the sun does not cross the horizon.
fn sun(place: &Place, now: DateTime<Utc>, dt: i64) -> (i64, i64) {
    let declination = (-23.44_f64).to_radians() * (TAU * (f64::from(now.ordinal()) + 10.0) / 365.25).cos();
    let latitude = place.latitude.to_radians();
    // The sun's upper edge, seen through the air: 0.833 degrees below the horizon.
    let cosine = ((-0.833_f64).to_radians().sin() - latitude.sin() * declination.sin())
        / (latitude.cos() * declination.cos());
    // Not a number at the poles, where the cosine of the latitude is 0.
    if !(-1.0..=1.0).contains(&cosine) {
        return (0, 0);
    }
    let midnight = (dt + place.timezone_s).div_euclid(DAY_S) * DAY_S - place.timezone_s;
    let zone_hours = f64::from(i32::try_from(place.timezone_s).unwrap_or(0)) / 3600.0;
    let noon = midnight + floor((12.0 + zone_hours - place.longitude / 15.0) * 3600.0);
    let half_day = floor(cosine.acos().to_degrees() / 15.0 * 3600.0);
    (noon - half_day, noon + half_day)
}

fn sky(hour: &mut Dice, kelvin: f64) -> Sky {
    if hour.percent(60) {
        return Sky::Dry;
    }
    match kelvin {
        k if k < 272.0 => Sky::Snow,
        k if k < 275.5 => Sky::Sleet,
        _ => Sky::Rain,
    }
}

fn conditions(sky: Sky, hour: &mut Dice, by_day: bool) -> Vec<Condition> {
    let list: &[_] = match sky {
        Sky::Dry => &DRY,
        Sky::Rain => &RAIN,
        Sky::Snow => &SNOW,
        Sky::Sleet => &SLEET,
    };
    let mut chosen = vec![hour.pick(list)];
    if hour.percent(20) {
        chosen.push(hour.pick(&HAZE));
    }
    let half = if by_day { 'd' } else { 'n' };
    let condition = |(id, main, description, icon): (u16, _, _, &str)| Condition {
        id,
        main,
        description,
        icon: format!("{icon}{half}"),
    };
    chosen.into_iter().map(condition).collect()
}

fn fall(dice: &mut Dice) -> Fall {
    let one_hour = dice.real(0.1, 6.0, 2);
    let which = dice.below(10);
    Fall {
        one_hour: (which != 0).then_some(Number(one_hour)),
        three_hours: (which < 2).then(|| Number(round(one_hour * 2.2, 2))),
    }
}

#[derive(Clone, Copy)]
enum Units {
    Standard,
    Metric,
    Imperial,
}

impl Units {
    fn from(name: Option<&str>) -> Self {
        match name {
            Some("metric") => Self::Metric,
            Some("imperial") => Self::Imperial,
            _ => Self::Standard,
        }
    }

    fn temperature(self, kelvin: f64) -> Number {
        let celsius = kelvin - 273.15;
        let value = match self {
            Self::Standard => kelvin,
            Self::Metric => celsius,
            Self::Imperial => celsius * 1.8 + 32.0,
        };
        Number(round(value, 2))
    }

    fn speed(self, metres_per_s: f64) -> Number {
        Number(round(if matches!(self, Self::Imperial) { metres_per_s * 2.236_936 } else { metres_per_s }, 2))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::place::find;
    use super::*;

    fn at(city: &str, time: &str) -> Value {
        let place = find(Some(city), None, None, None).unwrap();
        serde_json::from_slice(&observe(&place, 1, time.parse().unwrap(), None)).unwrap()
    }

    #[test]
    fn observation_keeps_for_ten_minutes_and_then_changes() {
        let first = at("Oslo", "2026-03-01T10:00:00Z");
        assert_eq!(first, at("Oslo", "2026-03-01T10:09:59Z"));
        assert_ne!(first, at("Oslo", "2026-03-01T10:10:00Z"));
        assert_eq!(first["dt"], 1_772_359_200);
        assert_ne!(first["main"], at("Paris", "2026-03-01T10:00:00Z")["main"]);
    }

    #[test]
    fn polar_night_and_day_have_sunrise_zero() {
        for time in ["2026-12-21T12:00:00Z", "2026-06-21T12:00:00Z"] {
            let sys = &at("Longyearbyen", time)["sys"];
            assert_eq!((&sys["sunrise"], &sys["sunset"]), (&Value::from(0), &Value::from(0)));
        }
    }

    #[test]
    fn amsterdam_has_its_midwinter_sunrise() {
        let sys = at("Amsterdam", "2026-12-21T12:00:00Z")["sys"].clone();
        // 07:48 and 15:29 UTC by the almanac; the model is within ten minutes.
        let expected = 1_797_839_280_i64;
        let (rise, set) = (sys["sunrise"].as_i64().unwrap(), sys["sunset"].as_i64().unwrap());
        assert!((rise - expected).abs() < 600, "{rise}");
        assert!((set - (expected + 27_660)).abs() < 600, "{set}");
    }

    #[test]
    fn a_week_of_cities_shows_every_optional_field_present_and_absent() {
        let pointers = [
            "/weather/1",
            "/rain",
            "/snow",
            "/rain/1h",
            "/rain/3h",
            "/wind/gust",
            "/main/feels_like",
            "/main/sea_level",
            "/visibility",
            "/timezone",
            "/sys/message",
        ];
        let mut seen = [[false; 2]; 11];
        let (mut float_pressure, mut integer_temp, mut both) = (false, false, false);
        let start: DateTime<Utc> = "2026-01-10T00:00:00Z".parse().unwrap();
        for n in 0..1008 {
            let city = ["Oslo", "Singapore", "Amsterdam"][n % 3];
            let place = find(Some(city), None, None, None).unwrap();
            let now = start + chrono::TimeDelta::minutes(10 * i64::try_from(n).unwrap());
            let body: Value = serde_json::from_slice(&observe(&place, 1, now, None)).unwrap();
            for (pointer, seen) in pointers.iter().zip(&mut seen) {
                seen[usize::from(body.pointer(pointer).is_some())] = true;
            }
            float_pressure |= body["main"]["pressure"].is_f64();
            integer_temp |= body["main"]["temp"].is_i64();
            both |= body.get("rain").is_some() && body.get("snow").is_some();
            assert!((200.0..330.0).contains(&body["main"]["temp"].as_f64().unwrap()), "{body}");
        }
        assert_eq!(seen, [[true; 2]; 11]);
        assert!(float_pressure && integer_temp && both, "{float_pressure} {integer_temp} {both}");
    }

    #[test]
    fn units_are_converted() {
        let place = find(Some("Paris"), None, None, None).unwrap();
        let temp = |units| {
            let body = observe(&place, 1, DateTime::UNIX_EPOCH, units);
            serde_json::from_slice::<Value>(&body).unwrap()["main"]["temp"].as_f64().unwrap()
        };
        assert!((temp(None) - 273.15 - temp(Some("metric"))).abs() < 0.02);
        assert!((temp(Some("metric")) * 1.8 + 32.0 - temp(Some("imperial"))).abs() < 0.02);
    }
}
