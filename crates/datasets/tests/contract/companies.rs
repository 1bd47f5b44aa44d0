//! fakerapi.it companies: ids that identify nothing, and the other traps.

use std::time::Duration;

use datasets::ParseError;
use serde_json::{Value, json};

use crate::bodies::{fixture, messages, one, parse, polled, refusal, value};

/// Every company's id by its name.
fn ids(fixture_name: &str) -> Vec<(String, String)> {
    let pair = |message: &datasets::Message| {
        let name = value(message)["name"].as_str().expect("a name").to_owned();
        (name, message.key.clone())
    };
    messages(fixture_name).iter().map(pair).collect()
}

#[test]
fn a_company_is_published_with_its_country_code_and_the_leading_zero_of_its_vat() {
    let (key, company) = one("companies/country_code.json");
    let expected = json!({
        "id": key,
        "name": "Harbor & Finch Ltd",
        "email": "office@harborfinch.example",
        "vat": "0412873366",
        "phone": "+14155550137",
        "country": "Belize",
        "website": "http://harborfinch.example",
        "image": "http://placeimg.com/640/480/people",
        "addresses": [{
            "street": "88 Larch Row",
            "street_name": "Larch Row",
            "building_number": "88",
            "city": "Port Ellery",
            "zipcode": "20417-3310",
            "country": "Malta",
            "country_code": "MT",
            "latitude": 35.91,
            "longitude": -14.42,
        }],
        "contact": {
            "first_name": "Odile",
            "last_name": "Brandt",
            "email": "odile@harborfinch.example",
            "phone": "+14155550138",
            "birthday": "1979-03-14",
            "gender": "female",
            "address": {
                "street": "5 Mill Way",
                "street_name": "Mill Way",
                "building_number": "5",
                "city": "Easton",
                "zipcode": "08139",
                "country": "Cyprus",
                "country_code": "CY",
                "latitude": 48.83,
                "longitude": 38.15,
            },
            "website": "http://brandt.example",
            "image": "http://placeimg.com/640/480/people",
        },
    });
    assert_eq!(company, expected);
}

#[test]
fn a_companys_id_is_the_same_in_every_release() {
    let (key, _) = one("companies/country_code.json");
    assert_eq!(key, "eb281541-e9eb-5c7c-9af9-5a0f74f37fb9", "a new id for known content doubles every row");
}

#[test]
fn the_old_name_of_the_country_code_is_the_same_company() {
    assert_eq!(messages("companies/county_code.json"), messages("companies/country_code.json"));
}

#[test]
fn a_company_without_a_contact_leaves_it_out() {
    let (_, company) = one("companies/missing_contact.json");
    assert_eq!(company.get("contact"), None);
    let addresses = company["addresses"].as_array().expect("a list");
    assert_eq!(addresses.len(), 2);
    assert_eq!(addresses[0]["country_code"], "NO");
    assert_eq!(addresses[1].get("country_code"), None, "null is left out");
    assert_eq!(addresses[1]["zipcode"], "05004");
}

#[test]
fn integer_coordinates_are_numbers_too() {
    let (_, company) = one("companies/integer_coordinates.json");
    assert_eq!(company["addresses"][0]["latitude"], 0.0);
    assert_eq!(company["addresses"][0]["longitude"], -7.0);
}

#[test]
fn equal_content_has_one_id_and_different_content_another_whatever_its_position() {
    let first = ids("companies/repeated_ids_first_poll.json");
    let second = ids("companies/repeated_ids_second_poll.json");
    assert_eq!(first[0].0, "Harbor & Finch Ltd");
    assert_eq!(second[1].0, "Harbor & Finch Ltd");
    assert_eq!(first[0].1, second[1].1, "the same company at another position");
    assert_ne!(first[0].1, second[0].1, "another company at the same position");
    assert_ne!(first[0].1, first[1].1);
    assert_eq!(first[0].1, ids("companies/country_code.json")[0].1);
}

#[test]
fn one_bad_company_does_not_spoil_its_neighbours() {
    let parsed = parse("companies", &fixture("companies/one_bad_among_three.json")).expect("a good body");
    let names: Vec<Value> = parsed.messages.iter().map(|m| value(m)["name"].clone()).collect();
    assert_eq!(names, ["Harbor & Finch Ltd", "Meridian and Sons"]);
    assert_eq!(parsed.rejected.len(), 1);
    // A number has already lost its leading zeros: it is no VAT id.
    let reason = &parsed.rejected[0].reason;
    assert!(reason.starts_with("data[1]: invalid type: integer `98120045`, expected a string"), "{reason}");
}

#[test]
fn odd_names_survive_unchanged() {
    let (_, company) = one("companies/odd_names.json");
    assert_eq!(company["name"], "„Żółć” & <b>Söhne</b> 株式会社 🏭");
}

#[test]
fn an_unknown_resource_is_terminal() {
    assert_eq!(refusal("companies/error_404.json"), ("Not found".to_owned(), true));
}

#[test]
fn the_error_that_blocked_addresses_get_passes() {
    assert_eq!(refusal("companies/error_500_blocked.json"), ("Server Error".to_owned(), false));
}

#[test]
fn a_body_that_says_ok_without_data_is_malformed() {
    for body in ["{}", r#"{"status":"OK","code":200,"total":3}"#] {
        let error = parse("companies", body.as_bytes()).expect_err("no data");
        assert_eq!(
            error,
            ParseError::Malformed { place: "data".to_owned(), what: "it is missing".to_owned() }
        );
    }
}

#[test]
fn the_request_says_quantity_locale_and_seed() {
    let settings = json!({"quantity": 1000, "locale": "nl_NL", "seed": "42", "every": "1m 30s"});
    let companies = polled("companies", &settings).expect("valid settings");
    let requests = companies.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].path, "/api/v2/companies");
    let query =
        [("_quantity", "1000".to_owned()), ("_locale", "nl_NL".to_owned()), ("_seed", "42".to_owned())];
    assert_eq!(requests[0].query, query);
    assert_eq!(companies.probe().query[0], ("_quantity", "1".to_owned()));
    assert_eq!(companies.poll_every(), Duration::from_secs(90));
}

#[test]
fn without_settings_ten_companies_are_polled_every_ten_seconds_within_the_throttle() {
    let companies = polled("companies", &Value::Null).expect("the defaults");
    let query = [("_quantity", "10".to_owned()), ("_locale", "en_US".to_owned())];
    assert_eq!(companies.requests()[0].query, query);
    assert_eq!(companies.poll_every(), Duration::from_secs(10));
    assert_eq!(companies.requests_per_minute(), Some(30));
}
