//! fakerapi.it companies: polled JSON -> topic companies_created -> spark_streams.companies_created.
//!
//! The upstream's `id` counts from 1 within each response, so it identifies nothing. A company's identity is a UUIDv5
//! of its published content: the same company fetched twice is one row, and two companies are never one.

use std::time::Duration;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::error::{Code, is_terminal};
use crate::settings::Section;
use crate::{Dataset, Message, ParseError, Parsed, Polled, Request, SettingsError, Upstream};

/// Companies that do not exist.
pub static DATASET: Dataset = Dataset {
    name: "companies",
    topic: "companies_created",
    table: "spark_streams.companies_created",
    about: "companies that do not exist, polled from fakerapi.it",
    upstream: Upstream::Polled {
        base_url: "https://fakerapi.it",
        new: |section| Ok(Box::new(Companies::new(section)?)),
    },
};

const KEYS: &[&str] = &["quantity", "locale", "every", "seed", "requests_per_minute", "base_url"];
const PATH: &str = "/api/v2/companies";
const LOCALE_ALLOWED: &str = "a language and a country, such as en_US";
/// The upstream's throttle, per address and path.
const REQUESTS_PER_MINUTE_DEFAULT: u32 = 30;
/// UUIDv5 of the URL namespace and `https://fakerapi.it/api/v2/companies`. Never to change: identities hang on it.
const NAMESPACE: Uuid = Uuid::from_u128(0x4d1f4e04_c039_582b_b743_fa4691e39608);

struct Companies {
    quantity: u32,
    locale: String,
    seed: Option<u32>,
    poll_every: Duration,
    requests_per_minute: u32,
}

impl Companies {
    fn new(value: &Value) -> Result<Self, SettingsError> {
        let section = Section::open("companies", value, KEYS)?;
        let locale = section.text("locale", LOCALE_ALLOWED)?.unwrap_or_else(|| "en_US".to_owned());
        if !is_locale(&locale) {
            return Err(section.invalid("locale", locale, LOCALE_ALLOWED));
        }
        Ok(Self {
            // Above 1000 the upstream silently sends 1000.
            quantity: section.whole("quantity", 1..=1000)?.unwrap_or(10),
            locale,
            seed: section.whole("seed", 0..=2_147_483_647)?,
            poll_every: section.every(Duration::from_secs(10))?,
            requests_per_minute: section.requests_per_minute()?.unwrap_or(REQUESTS_PER_MINUTE_DEFAULT),
        })
    }

    fn request(&self, quantity: u32) -> Request {
        let mut query = vec![("_quantity", quantity.to_string()), ("_locale", self.locale.clone())];
        if let Some(seed) = self.seed {
            query.push(("_seed", seed.to_string()));
        }
        Request { label: "companies".to_owned(), path: PATH.to_owned(), query, secret: None }
    }
}

/// `en_US`, and also `sr_Latn_RS`.
fn is_locale(text: &str) -> bool {
    let parts: Vec<&str> = text.split('_').collect();
    let letters =
        |part: &&str| (2..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphabetic());
    (2..=3).contains(&parts.len()) && parts.iter().all(letters)
}

impl Polled for Companies {
    fn poll_every(&self) -> Duration {
        self.poll_every
    }

    fn requests_per_minute(&self) -> Option<u32> {
        Some(self.requests_per_minute)
    }

    fn requests(&self) -> Vec<Request> {
        vec![self.request(self.quantity)]
    }

    fn probe(&self) -> Request {
        self.request(1)
    }

    fn parse(&self, _request: &Request, body: &[u8]) -> Result<Parsed, ParseError> {
        let body: Body<'_> = serde_json::from_slice(body).map_err(|error| ParseError::json(&error))?;
        let items = match body.data {
            Some(items) if body.code.as_ref().is_none_or(|code| code.number() == Some(200)) => items,
            _ => return Err(body.refusal()),
        };
        Ok(Parsed::of("data", &items, Company::publish))
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    status: Option<String>,
    code: Option<Code>,
    message: Option<String>,
    #[serde(borrow)]
    data: Option<Vec<&'a RawValue>>,
}

impl Body<'_> {
    /// A body without data is an error of the upstream, if it says anything at all that its errors say. A blocked
    /// address gets `{"message":"Server Error"}` with no code.
    fn refusal(&self) -> ParseError {
        let code = self.code.as_ref().and_then(Code::number);
        let words = self.message.as_deref().or(self.status.as_deref());
        match (words, code) {
            (_, Some(200)) | (None, None) => ParseError::malformed("data", "it is missing"),
            (words, code) => {
                ParseError::refused(words.unwrap_or("no reason given"), code.is_some_and(is_terminal))
            }
        }
    }
}

// The field order of what is published is the order in which the identity is computed. A new field goes last and is
// skipped when absent, or every company gets a new identity.

#[derive(Deserialize, Serialize)]
struct Company {
    name: String,
    email: String,
    vat: String,
    phone: String,
    country: String,
    website: String,
    image: String,
    addresses: Vec<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<Contact>,
}

#[derive(Deserialize, Serialize)]
struct Address {
    street: String,
    #[serde(rename(deserialize = "streetName"))]
    street_name: String,
    #[serde(rename(deserialize = "buildingNumber"))]
    building_number: String,
    city: String,
    zipcode: String,
    country: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    country_code: Option<String>,
    /// What the country code was called until 2022.
    #[serde(skip_serializing)]
    county_code: Option<String>,
    latitude: f64,
    longitude: f64,
}

#[derive(Deserialize, Serialize)]
struct Contact {
    #[serde(rename(deserialize = "firstname"))]
    first_name: String,
    #[serde(rename(deserialize = "lastname"))]
    last_name: String,
    email: String,
    phone: String,
    birthday: NaiveDate,
    gender: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<Address>,
    website: String,
    image: String,
}

#[derive(Serialize)]
struct Published<'a> {
    id: Uuid,
    #[serde(flatten)]
    company: &'a Company,
}

impl Company {
    fn publish(mut self) -> Message {
        let contact_address = self.contact.as_mut().and_then(|contact| contact.address.as_mut());
        for address in self.addresses.iter_mut().chain(contact_address) {
            address.country_code = address.country_code.take().or(address.county_code.take());
        }
        let content =
            serde_json::to_vec(&self).expect("a company has string keys only and a Vec takes every byte");
        let id = Uuid::new_v5(&NAMESPACE, &content);
        Message::of(id.to_string(), &Published { id, company: &self })
    }
}
