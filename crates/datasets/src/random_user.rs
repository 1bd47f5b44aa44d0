//! randomuser.me: polled JSON -> topic users_created -> spark_streams.created_users.
//!
//! A user's identity is `login.uuid`. The upstream sends a password, its salt and three hashes beside it; none of them
//! has a field here, so none of them can be published. Leaving out `login` altogether would lose the identity too.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::settings::Section;
use crate::{Dataset, Message, ParseError, Parsed, Polled, Request, SettingsError, Upstream};

/// People who do not exist.
pub static DATASET: Dataset = Dataset {
    name: "random-user",
    topic: "users_created",
    table: "spark_streams.created_users",
    about: "people who do not exist, polled from randomuser.me",
    upstream: Upstream::Polled {
        base_url: "https://randomuser.me",
        new: |section| Ok(Box::new(RandomUser::new(section)?)),
    },
};

const KEYS: &[&str] = &["results", "nationalities", "every", "seed", "requests_per_minute", "base_url"];
/// Pinned: the shape differs between versions.
const PATH: &str = "/api/1.4/";
/// What no record needs is not even asked for, national identity numbers first.
const EXCLUDED: &str = "id,dob,cell";
/// The upstream would give 5000, but at some 950 bytes each they are more than the 4 MiB that a body may have.
const RESULTS_MAX: u32 = 4000;
/// The upstream counts users, 20000 in a window that its code resets every five minutes.
const USERS_PER_MINUTE: u32 = 4000;
const NATIONALITIES: &[&str] = &[
    "AU", "BR", "CA", "CH", "DE", "DK", "ES", "FI", "FR", "GB", "IE", "IN", "IR", "MX", "NL", "NO", "NZ",
    "RS", "TR", "UA", "US",
];
const SEED_ALLOWED: &str = "1 to 64 letters and digits";

struct RandomUser {
    results: u32,
    nationalities: Vec<String>,
    seed: Option<String>,
    poll_every: Duration,
    requests_per_minute: u32,
}

impl RandomUser {
    fn new(value: &Value) -> Result<Self, SettingsError> {
        let section = Section::open("random_user", value, KEYS)?;
        let results = section.whole("results", 1..=RESULTS_MAX)?.unwrap_or(10);
        let requests_per_minute =
            section.requests_per_minute()?.unwrap_or((USERS_PER_MINUTE / results).max(1));
        Ok(Self {
            results,
            nationalities: read_nationalities(&section)?,
            seed: read_seed(&section)?,
            poll_every: section.every(Duration::from_secs(10))?,
            requests_per_minute,
        })
    }

    fn request(&self, results: u32) -> Request {
        let mut query = vec![("results", results.to_string()), ("exc", EXCLUDED.to_owned())];
        if !self.nationalities.is_empty() {
            query.push(("nat", self.nationalities.join(",")));
        }
        if let Some(seed) = &self.seed {
            query.push(("seed", seed.clone()));
        }
        Request { label: "users".to_owned(), path: PATH.to_owned(), query, secret: None }
    }
}

fn read_nationalities(section: &Section<'_>) -> Result<Vec<String>, SettingsError> {
    let allowed = || format!("a list of {} (in one text: separated by ,)", NATIONALITIES.join(" "));
    let given = section.texts("nationalities", ',', &allowed())?.unwrap_or_default();
    let mut nationalities = Vec::new();
    for code in given {
        let upper = code.to_ascii_uppercase();
        if !NATIONALITIES.contains(&upper.as_str()) {
            return Err(section.invalid("nationalities", code, allowed()));
        }
        nationalities.push(upper);
    }
    Ok(nationalities)
}

fn read_seed(section: &Section<'_>) -> Result<Option<String>, SettingsError> {
    let Some(seed) = section.text("seed", SEED_ALLOWED)? else { return Ok(None) };
    if seed.len() > 64 || !seed.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(section.invalid("seed", seed, SEED_ALLOWED));
    }
    Ok(Some(seed))
}

impl Polled for RandomUser {
    fn poll_every(&self) -> Duration {
        self.poll_every
    }

    fn requests_per_minute(&self) -> Option<u32> {
        Some(self.requests_per_minute)
    }

    fn requests(&self) -> Vec<Request> {
        vec![self.request(self.results)]
    }

    fn probe(&self) -> Request {
        self.request(1)
    }

    fn parse(&self, _request: &Request, body: &[u8]) -> Result<Parsed, ParseError> {
        let body: Body<'_> = serde_json::from_slice(body).map_err(|error| ParseError::json(&error))?;
        if let Some(error) = body.error {
            // Both errors that it words this way, too many users and an outage, pass by themselves.
            let message = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
            return Err(ParseError::refused(&message, false));
        }
        let items = body.results.ok_or_else(|| ParseError::malformed("results", "it is missing"))?;
        Ok(Parsed::of("results", &items, User::publish))
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    results: Option<Vec<&'a RawValue>>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct User {
    gender: String,
    name: Name,
    location: Location,
    email: String,
    login: Login,
    registered: Registered,
    phone: String,
    picture: Picture,
}

#[derive(Deserialize)]
struct Name {
    first: String,
    last: String,
}

#[derive(Deserialize)]
struct Location {
    street: Street,
    city: String,
    state: String,
    country: Option<String>,
    postcode: Postcode,
}

#[derive(Deserialize)]
struct Street {
    number: i64,
    name: String,
}

/// A number in most countries; a text in Canada, Great Britain and Norway, where it has letters or leading zeros.
#[derive(Deserialize)]
#[serde(untagged)]
enum Postcode {
    Number(i64),
    Text(String),
}

#[derive(Deserialize)]
struct Login {
    uuid: Uuid,
    username: String,
}

#[derive(Deserialize)]
struct Registered {
    date: String,
}

#[derive(Deserialize)]
struct Picture {
    medium: String,
}

/// A user as published.
#[derive(Serialize)]
struct CreatedUser {
    id: Uuid,
    first_name: String,
    last_name: String,
    gender: String,
    address: String,
    post_code: String,
    email: String,
    username: String,
    registered_date: String,
    phone: String,
    picture: String,
}

impl User {
    fn publish(self) -> Message {
        let Location { street, city, state, country, postcode } = self.location;
        let street = format!("{} {}", street.number, street.name);
        let parts = [street, city, state, country.unwrap_or_default()];
        let address = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
        let post_code = match postcode {
            Postcode::Number(number) => number.to_string(),
            Postcode::Text(text) => text,
        };
        let record = CreatedUser {
            id: self.login.uuid,
            first_name: self.name.first,
            last_name: self.name.last,
            gender: self.gender,
            address,
            post_code,
            email: self.email,
            username: self.login.username,
            registered_date: self.registered.date,
            phone: self.phone,
            picture: self.picture.medium,
        };
        Message::of(record.id.to_string(), &record)
    }
}
