//! Settings: both forms in which they arrive, and that every error names section, key, value and range.

use std::time::Duration;

use datasets::SettingsError;
use serde_json::{Value, json};

use crate::bodies::{generated, polled, streamed};

fn error(name: &str, settings: &Value) -> String {
    let error: Option<SettingsError> = match name {
        "faker" => generated(settings, 0).err(),
        "wikipedia" => streamed(name, settings).err(),
        name => polled(name, settings).err(),
    };
    error.unwrap_or_else(|| panic!("{name} accepts {settings}")).to_string()
}

#[test]
fn a_value_out_of_range_is_named_with_its_section_key_and_range() {
    let cases = [
        (
            "weather",
            json!({"requests_per_minute": 0}),
            "[weather] requests_per_minute = 0: allowed is a whole number from 1 to 3000",
        ),
        (
            "weather",
            json!({"requests_per_minute": 3001}),
            "[weather] requests_per_minute = 3001: allowed is a whole number from 1 to 3000",
        ),
        (
            "companies",
            json!({"quantity": 1001}),
            "[companies] quantity = 1001: allowed is a whole number from 1 to 1000",
        ),
        (
            "companies",
            json!({"quantity": "many"}),
            "[companies] quantity = \"many\": allowed is a whole number from 1 to 1000",
        ),
        (
            "companies",
            json!({"seed": -1}),
            "[companies] seed = -1: allowed is a whole number from 0 to 2147483647",
        ),
        (
            "companies",
            json!({"locale": "English"}),
            "[companies] locale = English: allowed is a language and a country, such as en_US",
        ),
        (
            "random-user",
            json!({"results": 4001}),
            "[random_user] results = 4001: allowed is a whole number from 1 to 4000",
        ),
        (
            "random-user",
            json!({"results": 1.5}),
            "[random_user] results = 1.5: allowed is a whole number from 1 to 4000",
        ),
        (
            "random-user",
            json!({"seed": "a b"}),
            "[random_user] seed = a b: allowed is 1 to 64 letters and digits",
        ),
        (
            "faker",
            json!({"rate": 10_000_001}),
            "[faker] rate = 10000001: allowed is a whole number from 0 to 10000000",
        ),
        (
            "faker",
            json!({"seed": true}),
            "[faker] seed = true: allowed is a whole number from 0 to 18446744073709551615",
        ),
    ];
    for (name, settings, expected) in cases {
        assert_eq!(error(name, &settings), expected);
    }
}

#[test]
fn an_unknown_key_is_refused_with_the_keys_that_exist() {
    let cases = [
        (
            "weather",
            "[weather] has no setting citys; it has api_key, cities, every, requests_per_minute, base_url",
        ),
        ("faker", "[faker] has no setting citys; it has rate, seed"),
        ("wikipedia", "[wikipedia] has no setting citys; it has base_url"),
        (
            "companies",
            "[companies] has no setting citys; it has quantity, locale, every, seed, requests_per_minute, base_url",
        ),
        (
            "random-user",
            "[random_user] has no setting citys; it has results, nationalities, every, seed, requests_per_minute, base_url",
        ),
    ];
    for (name, expected) in cases {
        assert_eq!(error(name, &json!({"citys": "Oslo"})), expected);
    }
}

#[test]
fn a_section_that_is_no_table_is_refused_without_showing_what_may_be_a_key() {
    assert_eq!(error("weather", &json!("abc123secret")), "[weather] is a table of settings, not a text");
    assert_eq!(error("faker", &json!([10])), "[faker] is a table of settings, not a list");
}

#[test]
fn a_base_url_is_accepted_because_the_fetching_side_reads_it() {
    let settings = json!({"base_url": "http://localhost:8090"});
    assert!(streamed("wikipedia", &settings).is_ok());
    for name in ["weather", "companies", "random-user"] {
        assert!(polled(name, &settings).is_ok(), "{name}");
    }
}

#[test]
fn durations_are_texts_with_units_or_seconds() {
    let every = |every: Value| polled("companies", &json!({"every": every})).expect("valid").poll_every();
    assert_eq!(every(json!("200ms")), Duration::from_millis(200));
    assert_eq!(every(json!("60s")), Duration::from_secs(60));
    assert_eq!(every(json!("1m 30s")), Duration::from_secs(90));
    assert_eq!(every(json!(15)), Duration::from_secs(15));
    assert_eq!(every(json!("15")), Duration::from_secs(15));
    assert_eq!(every(json!("")), Duration::from_secs(10), "an empty variable is an absent one");
}

#[test]
fn durations_that_are_none_or_out_of_range_are_refused() {
    for given in
        [json!("soon"), json!("0s"), json!(0), json!("9ms"), json!("2days"), json!(-5), json!(["1s"])]
    {
        let message = error("companies", &json!({"every": given}));
        let expected = format!(
            "[companies] every = {given}: allowed is a duration from \"10ms\" to \"1day\", such as \"60s\""
        );
        assert_eq!(message, expected);
    }
}

#[test]
fn cities_that_are_no_places_are_refused_by_name() {
    let refused = [
        json!("91,4.89"),
        json!("52.37,181"),
        json!("52.37"),
        json!("Summit@45.83"),
        json!("@45.83,6.86"),
        json!("Summit@nan,inf"),
        json!(",NL"),
        json!(7),
        json!({"name": "Reef", "lat": 1}),
        json!({"name": "Reef", "lat": 1, "lon": 2, "height": 3}),
    ];
    for city in refused {
        let message = error("weather", &json!({"cities": [city]}));
        assert!(
            message.starts_with(&format!("[weather] cities = {city}: allowed is a list of ")),
            "{message}"
        );
    }
}

#[test]
fn a_city_given_twice_and_an_empty_list_are_refused() {
    let twice = error("weather", &json!({"cities": "Oslo;Bergen;Oslo"}));
    assert!(
        twice.starts_with("[weather] cities = \"Oslo\": allowed is") && twice.contains("each once"),
        "{twice}"
    );
    for none in [json!([]), json!(";")] {
        assert!(error("weather", &json!({"cities": none})).starts_with("[weather] cities = "), "{none}");
    }
}

#[test]
fn nationalities_that_the_upstream_does_not_know_are_refused() {
    let message = error("random-user", &json!({"nationalities": "NL,XX"}));
    assert!(
        message.starts_with("[random_user] nationalities = XX: allowed is a list of AU BR CA"),
        "{message}"
    );
    assert!(
        error("random-user", &json!({"nationalities": [1]})).starts_with("[random_user] nationalities = [1]")
    );
}
