//! Invented people: their fields' forms, and that a seed is a sequence.

use std::collections::HashSet;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::bodies::generated;

fn people(settings: &Value, entropy: u64, count: usize) -> Vec<(String, String)> {
    let mut faker = generated(settings, entropy).expect("valid settings");
    let mut next = || {
        let (key, value) = faker.next();
        (key.to_owned(), String::from_utf8(value.to_vec()).expect("UTF-8"))
    };
    (0..count).map(|_| next()).collect()
}

fn text<'a>(person: &'a Value, field: &str) -> &'a str {
    person[field].as_str().unwrap_or_else(|| panic!("{field} is no text in {person}"))
}

/// Replaces every digit by #, which shows the form of a text.
fn form(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect()
}

/// The check that every card number passes (Luhn).
fn passes_card_check(digits: &str) -> bool {
    let digits = digits.chars().rev().filter_map(|c| c.to_digit(10));
    let sum: u32 = digits
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            0 => digit,
            _ if digit > 4 => digit * 2 - 9,
            _ => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[test]
fn a_person_has_an_id_and_exactly_the_twelve_fields() {
    let (key, person) = &people(&Value::Null, 1, 1)[0];
    let person: Value = serde_json::from_str(person).expect("JSON");
    let mut fields: Vec<&str> = person.as_object().expect("an object").keys().map(String::as_str).collect();
    fields.sort_unstable();
    let expected = [
        "address",
        "city",
        "company",
        "country",
        "credit_card_number",
        "date_time",
        "email",
        "gender",
        "id",
        "job",
        "name",
        "phone_number",
        "year",
    ];
    assert_eq!(fields, expected);
    assert_eq!(person["id"], key.as_str());
}

#[test]
fn every_field_has_its_form_in_a_thousand_people() {
    for (key, person) in people(&Value::Null, 7, 1000) {
        let person: Value = serde_json::from_str(&person).expect("JSON");
        let id = Uuid::parse_str(&key).expect("a UUID");
        assert_eq!(id.get_version_num(), 4);
        assert!(matches!(text(&person, "gender"), "Male" | "Female"));
        let year = person["year"].as_u64().expect("a number");
        assert!((1940..=2008).contains(&year), "{year}");

        let name = text(&person, "name");
        let (first_name, _) = name.split_once(' ').expect("two names");
        let email = text(&person, "email");
        let (mailbox, domain) = email.split_once('@').expect("one @");
        assert!(mailbox.starts_with(&first_name.to_lowercase()), "{email} of {name}");
        assert!(["example.com", "example.net", "example.org"].contains(&domain), "{email}");

        let address: Vec<&str> = text(&person, "address").split(", ").collect();
        assert_eq!(address.len(), 4, "{address:?}");
        assert_eq!(address[1], text(&person, "city"));
        assert_eq!(form(address[3]), "#####");

        let date_time = text(&person, "date_time");
        let at = chrono::NaiveDateTime::parse_from_str(date_time, "%Y-%m-%d %H:%M:%S").expect("a time");
        assert_eq!(form(date_time), "####-##-## ##:##:##");
        assert!((2020..=2025).contains(&chrono::Datelike::year(&at)), "{date_time}");

        let card = text(&person, "credit_card_number");
        assert!(card.starts_with(['4', '5']), "{card}");
        assert_eq!(form(card), "####-####-####-####");
        assert!(passes_card_check(card), "{card}");

        let phone = text(&person, "phone_number");
        assert!(phone.chars().any(|c| c.is_ascii_digit()) && !phone.contains(['#', '^']), "{phone}");
        for field in ["job", "company", "country", "city"] {
            assert!(!text(&person, field).trim().is_empty(), "{field}");
        }
    }
}

#[test]
fn the_same_seed_is_the_same_sequence_whatever_the_entropy() {
    let settings = json!({"seed": 42});
    assert_eq!(people(&settings, 1, 100), people(&settings, 2, 100));
    assert_eq!(people(&json!({"seed": "42"}), 3, 100), people(&settings, 4, 100));
}

#[test]
fn the_first_person_of_a_seed_is_the_same_on_every_machine() {
    let expected = concat!(
        r#"{"id":"579f4bca-95c9-43c9-b9dd-d54e3ea816d9","name":"Randall Rogahn","gender":"Female","#,
        r#""address":"390 Brekke Rue, Mrazshire, Virginia, 69173","year":1984,"email":"randall.rogahn263@example.org","#,
        r#""phone_number":"(544) 525-3203 x98165","job":"Junior Healthcare Officer","company":"Wunsch and Renner LLC","#,
        r#""country":"Nigeria","city":"Mrazshire","date_time":"2022-10-27 22:49:42","credit_card_number":"5588-8498-1761-1691"}"#,
    );
    assert_eq!(people(&json!({"seed": 1}), 0, 1)[0].1, expected);
}

#[test]
fn without_a_seed_the_entropy_decides() {
    assert_eq!(people(&json!({}), 5, 10), people(&json!({"seed": 5}), 6, 10));
    assert_ne!(people(&json!({}), 5, 10), people(&json!({}), 6, 10));
}

#[test]
fn no_two_people_of_a_long_sequence_share_an_id() {
    let people = people(&json!({}), 9, 20_000);
    let distinct: HashSet<&String> = people.iter().map(|(key, _)| key).collect();
    assert_eq!(distinct.len(), people.len());
}

#[test]
fn the_rate_is_ten_a_second_unless_set_and_zero_is_as_fast_as_it_can() {
    let rate = |settings: Value| generated(&settings, 0).expect("valid settings").rate();
    assert_eq!(rate(json!({})), 10);
    assert_eq!(rate(json!({"rate": 0})), 0);
    assert_eq!(rate(json!({"rate": "2500"})), 2500);
}
