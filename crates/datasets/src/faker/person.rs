//! Random numbers -> a person, written into strings that the next person reuses.
//!
//! The words come from the lists of the crate `fake`. They are put together here rather than by its fakers, which
//! allocate several strings a field. Its first names carry no gender, so the gender is drawn on its own.

use chrono::{DateTime, Datelike, Timelike};
use fake::locales::{Data, EN};
use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use serde::Serialize;
use uuid::Builder;

type Rng = Xoshiro256PlusPlus;

/// 2020-01-01 00:00:00 and 2026-01-01 00:00:00: fixed, because one seed is one sequence whatever the date.
const DATE_TIME_FIRST_S: i64 = 1_577_836_800;
const DATE_TIME_END_S: i64 = 1_767_225_600;
/// Reserved for examples (RFC 2606), so that no invented person gets a real person's address.
const MAIL_DOMAINS: &[&str] = &["example.com", "example.net", "example.org"];

/// A person as published.
#[derive(Default, Serialize)]
pub(super) struct Person {
    pub(super) id: String,
    name: String,
    gender: &'static str,
    address: String,
    year: u16,
    email: String,
    phone_number: String,
    job: String,
    company: String,
    country: &'static str,
    city: String,
    date_time: String,
    credit_card_number: String,
}

impl Person {
    /// Draws all fields anew.
    pub(super) fn become_another(&mut self, rng: &mut Rng) {
        let first_name = pick(EN::NAME_FIRST_NAME, rng);
        let last_name = pick(EN::NAME_LAST_NAME, rng);
        write_id(&mut self.id, rng);
        write_words(&mut self.name, &[first_name, last_name]);
        self.gender = pick(&["Male", "Female"], rng);
        self.year = rng.random_range(1940..=2008);
        write_email(&mut self.email, first_name, last_name, rng);
        write_pattern(&mut self.phone_number, pick(EN::PHONE_NUMBER_FORMATS, rng), rng);
        let job = [pick(EN::JOB_SENIORITY, rng), pick(EN::JOB_FIELD, rng), pick(EN::JOB_POSITION, rng)];
        write_words(&mut self.job, &job);
        write_company(&mut self.company, rng);
        self.country = pick(EN::ADDRESS_COUNTRY, rng);
        write_city(&mut self.city, rng);
        write_address(&mut self.address, &self.city, rng);
        write_date_time(&mut self.date_time, rng);
        write_card(&mut self.credit_card_number, rng);
    }
}

fn pick(words: &[&'static str], rng: &mut Rng) -> &'static str {
    words[rng.random_range(0..words.len())]
}

/// The layout of a random (version 4) UUID, with the bits of the seeded sequence.
fn write_id(id: &mut String, rng: &mut Rng) {
    let uuid = Builder::from_random_bytes(rng.random()).into_uuid();
    id.clear();
    id.push_str(uuid.hyphenated().encode_lower(&mut [0; 36]));
}

fn write_words(text: &mut String, words: &[&str]) {
    text.clear();
    for word in words {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
}

fn write_email(email: &mut String, first_name: &str, last_name: &str, rng: &mut Rng) {
    email.clear();
    push_mailbox_word(email, first_name);
    email.push('.');
    push_mailbox_word(email, last_name);
    push_padded(email, rng.random_range(0..1000), 3);
    email.push('@');
    email.push_str(pick(MAIL_DOMAINS, rng));
}

/// Some surnames have an apostrophe, which a mailbox had better not have.
fn push_mailbox_word(email: &mut String, word: &str) {
    email.extend(word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()));
}

/// Fills in a pattern of `fake`: # is any digit, ^ any but 0.
fn write_pattern(text: &mut String, pattern: &str, rng: &mut Rng) {
    text.clear();
    // 64 random bits hold more digits than the longest pattern has.
    let mut bits: u64 = rng.random();
    let mut digit = |first: u64, count: u64| {
        let digit = first + bits % count;
        bits /= count;
        digit_char(digit)
    };
    for c in pattern.chars() {
        match c {
            '#' => text.push(digit(0, 10)),
            '^' => text.push(digit(1, 9)),
            other => text.push(other),
        }
    }
}

fn write_company(company: &mut String, rng: &mut Rng) {
    company.clear();
    company.push_str(pick(EN::NAME_LAST_NAME, rng));
    if rng.random() {
        company.push_str(" and ");
        company.push_str(pick(EN::NAME_LAST_NAME, rng));
    }
    company.push(' ');
    company.push_str(pick(EN::COMPANY_SUFFIX, rng));
}

fn write_city(city: &mut String, rng: &mut Rng) {
    city.clear();
    if rng.random_ratio(1, 5) {
        city.push_str(pick(EN::ADDRESS_CITY_PREFIX, rng));
        city.push(' ');
    }
    city.push_str(pick(EN::NAME_LAST_NAME, rng));
    city.push_str(pick(EN::ADDRESS_CITY_SUFFIX, rng));
}

/// `street, city, state, zip`.
fn write_address(address: &mut String, city: &str, rng: &mut Rng) {
    address.clear();
    push_padded(address, rng.random_range(100..1000), 3);
    address.push(' ');
    address.push_str(pick(EN::NAME_LAST_NAME, rng));
    address.push(' ');
    address.push_str(pick(EN::ADDRESS_STREET_SUFFIX, rng));
    address.push_str(", ");
    address.push_str(city);
    address.push_str(", ");
    address.push_str(pick(EN::ADDRESS_STATE, rng));
    address.push_str(", ");
    push_padded(address, rng.random_range(0..100_000), 5);
}

/// `2023-12-08 15:30:00`.
fn write_date_time(text: &mut String, rng: &mut Rng) {
    let epoch_s = rng.random_range(DATE_TIME_FIRST_S..DATE_TIME_END_S);
    let at = DateTime::from_timestamp(epoch_s, 0).expect("both ends of the range are times");
    text.clear();
    push_padded(text, at.year().unsigned_abs(), 4);
    let parts =
        [('-', at.month()), ('-', at.day()), (' ', at.hour()), (':', at.minute()), (':', at.second())];
    for (separator, part) in parts {
        text.push(separator);
        push_padded(text, part, 2);
    }
}

/// Sixteen digits in groups of four that pass the card check (Luhn). The numbers that `fake` makes pass it only when
/// they happen to have sixteen digits.
fn write_card(text: &mut String, rng: &mut Rng) {
    text.clear();
    let mut bits: u64 = rng.random();
    let mut sum = 0;
    for place in 0..15 {
        let digit = if place == 0 { 4 + bits % 2 } else { bits % 10 };
        bits /= 10;
        // From the right, every second digit counts twice: here those at even places.
        sum += match digit {
            digit if place % 2 == 1 => digit,
            digit if digit > 4 => digit * 2 - 9,
            digit => digit * 2,
        };
        text.push(digit_char(digit));
        if place % 4 == 3 {
            text.push('-');
        }
    }
    text.push(digit_char((10 - sum % 10) % 10));
}

/// Writes a number with leading zeros. `format!` would do, at several times the cost.
fn push_padded(text: &mut String, number: u32, width: u32) {
    for place in (0..width).rev() {
        text.push(digit_char(u64::from(number / 10_u32.pow(place) % 10)));
    }
}

fn digit_char(digit: u64) -> char {
    u32::try_from(digit)
        .ok()
        .and_then(|digit| char::from_digit(digit, 10))
        .expect("callers take a remainder of 10")
}
