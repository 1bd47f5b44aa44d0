//! randomuser.me: every trap of its version 1.4, and that no password passes.

use std::time::Duration;

use datasets::ParseError;
use serde_json::{Value, json};

use crate::bodies::{fixture, fixture_names, messages, one, parse, polled, refusal, value};

#[test]
fn a_text_postcode_stays_as_it_is_and_every_field_is_published() {
    let (key, user) = one("random-user/text_postcode.json");
    assert_eq!(key, "5b0f6c1e-2d7a-4f5c-9a31-8f2f1f0c7e44");
    let expected = json!({
        "id": "5b0f6c1e-2d7a-4f5c-9a31-8f2f1f0c7e44",
        "first_name": "Ines",
        "last_name": "Moreau",
        "gender": "female",
        "address": "4182 Queen St, Guelph, Ontario, Canada",
        "post_code": "K4M 2P8",
        "email": "ines.moreau@example.com",
        "username": "bluefox417",
        "registered_date": "2012-11-20T18:03:07.441Z",
        "phone": "Q12 P34-5678",
        "picture": "https://randomuser.me/api/portraits/med/women/12.jpg",
    });
    assert_eq!(user, expected);
}

#[test]
fn an_integer_postcode_becomes_a_text() {
    let (key, user) = one("random-user/integer_postcode.json");
    assert_eq!(key, "0d9f7a52-6a1e-4b0c-8f63-3f4f5b7f9a10");
    assert_eq!(user["post_code"], "2826");
    assert_eq!(user["first_name"], "Jörg");
    assert_eq!(user["last_name"], "Straßer");
    assert_eq!(user["address"], "7 Lindenstraße, Görlitz, Sachsen, Germany");
}

#[test]
fn a_null_id_value_is_no_obstacle() {
    let (key, user) = one("random-user/null_id_value.json");
    assert_eq!(key, "7c1b9e0a-54d2-4e0f-b7a6-19c2d3e4f5a6");
    assert_eq!(user["address"], "905 Bahariye Cd, Kars, Muş, Turkey");
    assert_eq!(user["post_code"], "41873");
}

#[test]
fn a_missing_country_shortens_the_address() {
    let (_, user) = one("random-user/missing_country.json");
    assert_eq!(user["address"], "1 Studs Rd, Billund Yard, Plates");
}

#[test]
fn a_body_without_info_still_holds_its_users() {
    let names: Vec<Value> =
        messages("random-user/no_info.json").iter().map(|m| value(m)["first_name"].clone()).collect();
    assert_eq!(names, ["Jörg", "Elif"]);
}

#[test]
fn an_age_that_moved_on_changes_nothing() {
    assert_eq!(
        messages("random-user/same_user_a_year_older.json"),
        messages("random-user/text_postcode.json")
    );
}

#[test]
fn one_bad_user_does_not_spoil_its_neighbours() {
    let parsed = parse("random-user", &fixture("random-user/one_bad_among_three.json")).expect("a good body");
    let names: Vec<Value> = parsed.messages.iter().map(|m| value(m)["first_name"].clone()).collect();
    assert_eq!(names, ["Jörg", "Elif"]);
    assert_eq!(parsed.rejected.len(), 1);
    let reason = &parsed.rejected[0].reason;
    assert!(reason.starts_with("results[1]: invalid type: null, expected a string"), "{reason}");
}

#[test]
fn odd_names_survive_unchanged() {
    let (_, user) = one("random-user/odd_names.json");
    assert_eq!(user["first_name"], "محمد\u{200f}");
    assert_eq!(user["last_name"], "O'Brien \"Zed\" 👩\u{200d}🚀");
    assert_eq!(user["username"], "=cmd()");
    assert_eq!(user["address"], "4182 Queen St, Þórshöfn\\Tab\tEnd, Canada");
}

#[test]
fn both_errors_are_refusals_that_pass() {
    let (message, terminal) = refusal("random-user/error_ease_up.json");
    assert!(message.starts_with("Whoa, ease up there cowboy."), "{message}");
    assert!(!terminal);
    let (message, terminal) = refusal("random-user/error_uh_oh.json");
    assert!(message.starts_with("Uh oh, something has gone wrong."), "{message}");
    assert!(!terminal);
}

#[test]
fn the_plain_text_of_an_unknown_version_is_malformed() {
    let error = parse("random-user", &fixture("random-user/unknown_version.txt")).expect_err("no JSON");
    assert!(matches!(error, ParseError::Malformed { .. }), "{error:?}");
}

#[test]
fn a_body_with_neither_results_nor_an_error_is_malformed() {
    let error = parse("random-user", b"{}").expect_err("nothing in it");
    assert_eq!(error.to_string(), "malformed results: it is missing");
}

#[test]
fn passwords_salts_and_hashes_are_never_published() {
    let mut secrets_seen = 0;
    for name in fixture_names("random-user") {
        let body = fixture(&name);
        let Ok(parsed) = parse("random-user", &body) else { continue };
        let mut published: Vec<u8> = parsed.messages.iter().flat_map(|m| m.value.clone()).collect();
        published.extend(parsed.rejected.iter().flat_map(|rejected| rejected.reason.bytes()));
        let published = String::from_utf8(published).expect("UTF-8");
        let upstream: Value = serde_json::from_slice(&body).expect("JSON");
        for user in upstream["results"].as_array().expect("users") {
            for field in ["password", "salt", "md5", "sha1", "sha256"] {
                let secret = user["login"][field].as_str().expect("a text");
                assert!(!published.contains(secret), "{name} publishes its {field}");
                assert!(!published.contains(&format!("\"{field}\"")), "{name} has a field {field}");
                secrets_seen += 1;
            }
        }
    }
    assert!(secrets_seen >= 50, "only {secrets_seen} secrets were looked for");
}

#[test]
fn the_request_pins_the_version_and_asks_for_the_login() {
    let users = polled("random-user", &Value::Null).expect("the defaults");
    let requests = users.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].path, "/api/1.4/");
    let query = [("results", "10".to_owned()), ("exc", "id,dob,cell".to_owned())];
    assert_eq!(requests[0].query, query, "without login there is no uuid");
    assert_eq!(users.probe().query[0], ("results", "1".to_owned()));
    assert_eq!(users.poll_every(), Duration::from_secs(10));
    assert_eq!(users.missing_credential(), None);
}

#[test]
fn nationalities_and_seed_are_passed_on() {
    for nationalities in [json!("nl, Gb"), json!(["NL", "GB"])] {
        let settings = json!({"results": "4000", "nationalities": nationalities, "seed": 42});
        let users = polled("random-user", &settings).expect("valid settings");
        let query = &users.requests()[0].query;
        assert!(query.contains(&("results", "4000".to_owned())), "{query:?}");
        assert!(query.contains(&("nat", "NL,GB".to_owned())), "{query:?}");
        assert!(query.contains(&("seed", "42".to_owned())), "{query:?}");
    }
}

#[test]
fn the_budget_counts_users_as_the_upstream_does() {
    let budget = |results: u32| {
        polled("random-user", &json!({"results": results})).expect("valid").requests_per_minute()
    };
    assert_eq!(budget(10), Some(400));
    assert_eq!(budget(4000), Some(1));
}
