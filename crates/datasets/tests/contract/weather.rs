//! OpenWeatherMap: every trap of its current-weather body.

use std::time::Duration;

use datasets::{ParseError, Polled, Request};
use serde_json::{Value, json};

use crate::bodies::{fixture, one, parse, polled, refusal, value};

fn weather(settings: &Value) -> Box<dyn Polled> {
    polled("weather", settings).expect("valid settings")
}

fn labels(requests: &[Request]) -> Vec<&str> {
    requests.iter().map(|request| request.label.as_str()).collect()
}

#[test]
fn a_report_with_several_conditions_keeps_them_all_and_every_field() {
    let (key, report) = one("weather/several_conditions.json");
    assert_eq!(key, "Amsterdam,NL");
    let expected = json!({
        "city": "Amsterdam,NL",
        "observed_at": "2026-01-02T12:00:00Z",
        "city_id": 2759794,
        "name": "Amsterdam",
        "country": "NL",
        "longitude": 4.89,
        "latitude": 52.37,
        "conditions": [
            {"id": 500, "main": "Rain", "description": "light rain", "icon": "10d"},
            {"id": 701, "main": "Mist", "description": "mist", "icon": "50d"},
        ],
        "temperature_kelvin": 284.31,
        "feels_like_kelvin": 283.72,
        "temperature_min_kelvin": 283.15,
        "temperature_max_kelvin": 285.4,
        "pressure_hpa": 1009.0,
        "humidity_percent": 87,
        "sea_level_hpa": 1009.0,
        "ground_level_hpa": 1008.0,
        "visibility_m": 4800,
        "wind_speed_mps": 6.2,
        "wind_degrees": 240.0,
        "wind_gust_mps": 10.8,
        "rain_1h_mm": 0.64,
        "cloud_percent": 90,
        "sunrise": "2026-01-02T07:50:00Z",
        "sunset": "2026-01-02T15:40:00Z",
        "timezone_offset_s": 3600,
    });
    assert_eq!(report, expected);
}

#[test]
fn rain_and_snow_may_fall_together_and_an_absent_gust_stays_absent() {
    let (_, report) = one("weather/rain_and_snow.json");
    assert_eq!(report["rain_1h_mm"], 0.31);
    assert_eq!(report["rain_3h_mm"], 1.2);
    assert_eq!(report["snow_1h_mm"], 0.47);
    assert_eq!(report["snow_3h_mm"], 1.85);
    assert_eq!(report["wind_speed_mps"], 5.14);
    assert_eq!(report.get("wind_gust_mps"), None);
    assert_eq!(report.get("sea_level_hpa"), None);
    assert_eq!(report.get("ground_level_hpa"), None);
    assert_eq!(report["timezone_offset_s"], 7200);
}

#[test]
fn a_point_at_sea_has_neither_country_nor_id_nor_name() {
    let (key, report) = one("weather/at_sea.json");
    assert_eq!(key, "Amsterdam,NL", "the key is what was configured");
    for absent in ["country", "city_id", "name", "rain_1h_mm", "snow_1h_mm"] {
        assert_eq!(report.get(absent), None, "{absent}");
    }
    assert_eq!(report["observed_at"], "2026-01-02T12:00:07Z");
    assert_eq!(report["longitude"], -38.25);
    assert_eq!(report["latitude"], 31.5);
    assert_eq!(report["sunrise"], "2026-01-02T09:21:52Z");
    assert_eq!(report["sunset"], "2026-01-02T19:30:14Z");
    assert_eq!(report["timezone_offset_s"], -10800);
}

#[test]
fn a_polar_night_has_neither_sunrise_nor_sunset() {
    let (_, report) = one("weather/polar_night.json");
    assert_eq!(report.get("sunrise"), None);
    assert_eq!(report.get("sunset"), None);
    assert_eq!(report["observed_at"], "2026-01-02T12:02:13Z");
    assert_eq!(report["country"], "SJ");
    assert_eq!(report["snow_1h_mm"], 0.12);
    assert_eq!(report.get("snow_3h_mm"), None);
}

#[test]
fn integers_are_read_where_numbers_are_meant() {
    let (_, report) = one("weather/integer_numbers.json");
    assert_eq!(report["longitude"], 32.0);
    assert_eq!(report["latitude"], -1.0);
    assert_eq!(report["temperature_kelvin"], 299.0);
    assert_eq!(report["feels_like_kelvin"], 300.0);
    assert_eq!(report["wind_speed_mps"], 3.0);
    assert_eq!(report["wind_degrees"], 180.0);
    assert_eq!(report["cloud_percent"], 0, "a measured 0 is a value");
    assert_eq!(report["visibility_m"], 10000);
}

#[test]
fn an_old_capture_with_fractions_and_without_feels_like_is_still_a_report() {
    let (_, report) = one("weather/old_capture.json");
    let expected = json!({
        "city": "Amsterdam,NL",
        "observed_at": "2016-01-03T12:00:00Z",
        "city_id": 1850147,
        "name": "Tokyo",
        "country": "JP",
        "longitude": 139.69,
        "latitude": 35.69,
        "conditions": [{"id": 721, "main": "Haze", "description": "haze", "icon": "50d"}],
        "temperature_kelvin": 281.402,
        "temperature_min_kelvin": 281.402,
        "temperature_max_kelvin": 281.402,
        "pressure_hpa": 1021.57,
        "humidity_percent": 54,
        "wind_speed_mps": 2.31,
        "wind_degrees": 337.502,
        "cloud_percent": 20,
        "sunrise": "2016-01-02T21:51:00Z",
        "sunset": "2016-01-03T07:39:00Z",
    });
    assert_eq!(report, expected);
}

#[test]
fn whole_numbers_sent_with_a_fraction_are_rounded() {
    let (_, report) = one("weather/fractional_percents.json");
    assert_eq!(report["humidity_percent"], 87);
    assert_eq!(report["visibility_m"], 4800);
    assert_eq!(report["cloud_percent"], 90);
}

#[test]
fn a_refused_key_is_terminal() {
    let (message, terminal) = refusal("weather/error_401.json");
    assert!(message.starts_with("Invalid API key."), "{message}");
    assert!(terminal);
}

#[test]
fn a_cod_that_is_a_text_is_a_refusal_all_the_same() {
    assert_eq!(refusal("weather/error_400_string.json"), ("Nothing to geocode".to_owned(), true));
    assert_eq!(refusal("weather/error_404_string.json"), ("city not found".to_owned(), true));
}

#[test]
fn too_many_requests_is_a_refusal_that_passes() {
    let (message, terminal) = refusal("weather/error_429.json");
    assert!(message.starts_with("Your account is temporary blocked"), "{message}");
    assert!(!terminal);
}

#[test]
fn a_truncated_report_is_malformed_and_says_where() {
    let body = fixture("weather/several_conditions.json");
    let error = parse("weather", &body[..200]).expect_err("half a body");
    assert_eq!(error.to_string(), "malformed JSON at line 1 column 200: EOF while parsing a string");
}

#[test]
fn a_proxys_page_is_malformed_and_not_a_refusal() {
    let error = parse("weather", b"<html><body>Sign in to the network</body></html>").expect_err("a page");
    assert!(matches!(error, ParseError::Malformed { .. }), "{error:?}");
}

#[test]
fn an_impossible_observation_time_is_malformed_and_names_its_field() {
    let text = String::from_utf8(fixture("weather/several_conditions.json")).expect("UTF-8");
    for dt in ["-1", "99999999999999"] {
        let body = text.replace("1767355200", dt);
        let error = parse("weather", body.as_bytes()).expect_err("no such time");
        assert_eq!(error.to_string(), format!("malformed dt: {dt} is no time in seconds since 1970"));
    }
}

#[test]
fn cities_are_asked_for_by_name_or_by_coordinates_and_answered_under_their_configured_name() {
    let cities = json!(["Amsterdam,NL", "52.37,4.89", "Summit@45.83, 6.86", {"name": "Reef", "lat": -18.2, "lon": "147.7"}, "Nan,TH"]);
    let weather = weather(&json!({"api_key": "k", "cities": cities}));
    let requests = weather.requests();
    assert_eq!(labels(&requests), ["Amsterdam,NL", "52.37,4.89", "Summit", "Reef", "Nan,TH"]);
    let text = |text: &str| text.to_owned();
    assert_eq!(requests[0].query, [("q", text("Amsterdam,NL"))]);
    assert_eq!(requests[1].query, [("lat", text("52.37")), ("lon", text("4.89"))]);
    assert_eq!(requests[2].query, [("lat", text("45.83")), ("lon", text("6.86"))]);
    assert_eq!(requests[3].query, [("lat", text("-18.2")), ("lon", text("147.7"))]);
    assert_eq!(requests[4].query, [("q", text("Nan,TH"))]);
    assert!(requests.iter().all(|request| request.path == "/data/2.5/weather"));

    let parsed = weather.parse(&requests[3], &fixture("weather/at_sea.json")).expect("a report");
    assert_eq!(parsed.messages[0].key, "Reef");
    assert_eq!(value(&parsed.messages[0])["city"], "Reef");
}

#[test]
fn cities_in_one_text_are_separated_by_semicolons() {
    let weather = weather(&json!({"cities": "Amsterdam,NL; 52.37,4.89 ;Summit@45.83,6.86;"}));
    assert_eq!(labels(&weather.requests()), ["Amsterdam,NL", "52.37,4.89", "Summit"]);
}

#[test]
fn without_settings_ten_cities_are_polled_every_minute_within_the_free_plan() {
    let weather = weather(&Value::Null);
    assert_eq!(weather.requests().len(), 10);
    assert_eq!(weather.poll_every(), Duration::from_secs(60));
    assert_eq!(weather.requests_per_minute(), Some(50));
    assert_eq!(weather.probe(), weather.requests()[0]);
}

#[test]
fn a_missing_key_names_the_variable_to_set_and_an_empty_one_is_missing() {
    for settings in [json!({}), json!({"api_key": ""}), json!({"api_key": " "})] {
        let weather = weather(&settings);
        let variable = weather.missing_credential().expect("no key is configured");
        assert_eq!(variable, "TRIBUTARY__WEATHER__API_KEY (or OPENWEATHERMAP_API_KEY in .env)");
        assert!(weather.probe().secret.is_some(), "the simulator wants a key too");
    }
    assert_eq!(weather(&json!({"api_key": "k"})).missing_credential(), None);
}

#[test]
fn the_key_is_sent_as_a_secret_and_never_printed() {
    let request = weather(&json!({"api_key": " abc123secret\n"})).probe();
    assert_eq!(request.secret, Some(("appid", "abc123secret".to_owned())));
    let printed = format!("{request:?}");
    assert!(printed.contains("appid") && printed.contains("redacted"), "{printed}");
    assert!(!printed.contains("abc123secret"), "{printed}");
}

#[test]
fn a_key_with_a_stray_character_is_refused_without_being_shown() {
    for key in [json!("\"abc123secret\""), json!("abc 123secret"), json!(["abc123secret"])] {
        let error = polled("weather", &json!({"api_key": key})).err().expect("an odd key");
        assert_eq!(
            error.to_string(),
            "[weather] api_key = (hidden): allowed is the key as OpenWeatherMap shows it: letters, digits, - and _"
        );
    }
}
