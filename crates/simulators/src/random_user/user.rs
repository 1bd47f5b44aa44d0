//! Dice and a nation -> one user in the upstream's shape, credentials included.
//!
//! `password`, `salt` and the hashes are there so that readers can prove that they drop them. The hashes have
//! the lengths of real ones and digest nothing.

use chrono::{DateTime, Datelike, SecondsFormat, TimeDelta, Utc};
use serde::Serialize;

use crate::dice::Dice;
use crate::nations::Nation;

/// What a request asks of every user.
pub(super) struct Order<'a> {
    pub(super) gender: Option<&'a str>,
    pub(super) password: Option<&'a str>,
    pub(super) include: Option<&'a str>,
    pub(super) exclude: Option<&'a str>,
    /// Ages are counted from here, so that even a seed ages.
    pub(super) now: DateTime<Utc>,
}

impl Order<'_> {
    fn has(&self, field: &str) -> bool {
        let names = |list: &str| list.split(',').any(|name| name.trim() == field);
        self.include.is_none_or(names) && !self.exclude.is_some_and(names)
    }
}

#[derive(Serialize)]
pub(super) struct User {
    #[serde(skip_serializing_if = "Option::is_none")]
    gender: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Location>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<Login>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dob: Option<Dated>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registered: Option<Dated>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cell: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<Picture>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nat: Option<&'static str>,
}

#[derive(Serialize)]
struct Name {
    title: &'static str,
    first: &'static str,
    last: &'static str,
}

#[derive(Serialize)]
struct Location {
    street: Street,
    city: &'static str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<&'static str>,
    postcode: Postcode,
    coordinates: Coordinates,
    timezone: Timezone,
}

#[derive(Serialize)]
struct Street {
    number: u64,
    name: &'static str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Postcode {
    Text(String),
    Number(u64),
}

#[derive(Serialize)]
struct Coordinates {
    latitude: String,
    longitude: String,
}

#[derive(Serialize)]
struct Timezone {
    offset: &'static str,
    description: &'static str,
}

#[derive(Serialize)]
struct Login {
    uuid: String,
    username: String,
    password: String,
    salt: String,
    md5: String,
    sha1: String,
    sha256: String,
}

#[derive(Serialize)]
struct Dated {
    date: String,
    age: i32,
}

#[derive(Serialize)]
struct Id {
    name: &'static str,
    value: Option<String>,
}

#[derive(Serialize)]
struct Picture {
    large: String,
    medium: String,
    thumbnail: String,
}

const COLOURS: [&str; 10] =
    ["blue", "ticklish", "golden", "lazy", "silver", "orange", "crazy", "tiny", "whitish", "heavy"];
const ANIMALS: [&str; 10] =
    ["fox", "marmot", "peacock", "gorilla", "swan", "zebra", "lion", "koala", "ostrich", "bear"];
const PASSWORDS: [&str; 10] = [
    "marmot", "letmein1", "saturn", "qwerty12", "pumpkin", "zxcvbn", "dolphin7", "mustang", "hotdog",
    "trustno1",
];
const TIMEZONES: [(&str, &str); 9] = [
    ("-8:00", "Pacific Time (US & Canada)"),
    ("-3:30", "Newfoundland"),
    ("-1:00", "Azores, Cape Verde Islands"),
    ("0:00", "Western Europe Time, London, Lisbon, Casablanca"),
    ("+1:00", "Brussels, Copenhagen, Madrid, Paris"),
    ("+5:45", "Kathmandu"),
    ("+9:30", "Adelaide, Darwin"),
    ("+10:00", "Eastern Australia, Guam, Vladivostok"),
    ("+3:30", "Tehran"),
];
const WORD: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

pub(super) fn invent(mut dice: Dice, nation: &'static Nation, order: &Order<'_>) -> User {
    let dice = &mut dice;
    // Every field is rolled whether it is wanted or not: `inc` and `exc` must not change the others.
    let female = match order.gender {
        Some("female") => true,
        Some("male") => false,
        _ => dice.percent(50),
    };
    let gender = if female { "female" } else { "male" };
    let titles: &[&str] = if female { &["Ms", "Mrs", "Miss", "Mademoiselle"] } else { &["Mr", "Monsieur"] };
    let name = Name {
        // Two in ten have one of the rarer titles.
        title: if dice.percent(80) { titles[0] } else { dice.pick(titles) },
        first: dice.pick(if female { &nation.female } else { &nation.male }),
        last: dice.pick(&nation.last),
    };
    let email = format!("{}.{}@example.com", mailbox(name.first, "user"), mailbox(name.last, nation.code));
    let location = location(dice, nation);
    let login = login(dice, order.password);
    let dob = date(dice, "1945-01-01T00:00:00Z", 55 * 365, order.now);
    let registered = date(dice, "2002-05-01T00:00:00Z", 20 * 365, order.now);
    let (phone, cell) = (dice.fill(nation.phone), dice.fill(nation.cell));
    let id = Id { name: nation.id_name, value: (!nation.id_name.is_empty()).then(|| dice.fill("#########")) };
    let picture = picture(dice, female, nation);
    User {
        gender: order.has("gender").then_some(gender),
        name: order.has("name").then_some(name),
        location: order.has("location").then_some(location),
        email: order.has("email").then_some(email),
        login: order.has("login").then_some(login),
        dob: order.has("dob").then_some(dob),
        registered: order.has("registered").then_some(registered),
        phone: order.has("phone").then_some(phone),
        cell: order.has("cell").then_some(cell),
        id: order.has("id").then_some(id),
        picture: order.has("picture").then_some(picture),
        nat: order.has("nat").then_some(nation.code),
    }
}

fn location(dice: &mut Dice, nation: &'static Nation) -> Location {
    let (city, state) = dice.pick(&nation.cities);
    let number = 1 + dice.below(9999);
    let (offset, description) = dice.pick(&TIMEZONES);
    Location {
        street: Street { number, name: dice.pick(&nation.streets) },
        city,
        state,
        country: Some(nation.country).filter(|country| !country.is_empty()),
        postcode: match nation.code {
            "CA" => Postcode::Text(dice.fill("@#@ #@#")),
            "GB" => Postcode::Text(dice.fill("@@#@ #@@")),
            // Four digits with their leading zeros: why it is a string.
            "NO" => Postcode::Text(dice.fill("####")),
            _ => Postcode::Number(10_000 + dice.below(89_999)),
        },
        coordinates: Coordinates {
            latitude: format!("{:.4}", dice.real(-90.0, 90.0, 4)),
            longitude: format!("{:.4}", dice.real(-180.0, 180.0, 4)),
        },
        timezone: Timezone { offset, description },
    }
}

fn login(dice: &mut Dice, password: Option<&str>) -> Login {
    Login {
        uuid: dice.uuid().to_string(),
        username: format!("{}{}{}", dice.pick(&COLOURS), dice.pick(&ANIMALS), 100 + dice.below(900)),
        password: match password {
            Some(rule) => password_by(rule, dice),
            None => dice.pick(&PASSWORDS).to_owned(),
        },
        salt: dice.string(WORD, 8),
        md5: dice.hex(32),
        sha1: dice.hex(40),
        sha256: dice.hex(64),
    }
}

/// `password=upper,lower,number,special,MIN-MAX`, in any order; 8 to 64 characters without a length.
fn password_by(rule: &str, dice: &mut Dice) -> String {
    let mut alphabet = Vec::new();
    let (mut min, mut max) = (8, 64);
    for part in rule.split(',') {
        match part {
            "upper" => alphabet.extend(b'A'..=b'Z'),
            "lower" => alphabet.extend(b'a'..=b'z'),
            "number" => alphabet.extend(b'0'..=b'9'),
            "special" => alphabet.extend(b" !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
            _ => {
                let (low, high) = part.split_once('-').unwrap_or((part, part));
                if let (Ok(low), Ok(high)) = (low.parse::<i64>(), high.parse::<i64>()) {
                    (min, max) = (low.clamp(1, 64), high.clamp(1, 64));
                }
            }
        }
    }
    let alphabet = if alphabet.is_empty() { WORD } else { &alphabet };
    let len = dice.between(min.min(max), max);
    dice.string(alphabet, usize::try_from(len).unwrap_or(8))
}

fn date(dice: &mut Dice, from: &str, days: i64, now: DateTime<Utc>) -> Dated {
    let from: DateTime<Utc> = from.parse().unwrap_or(DateTime::UNIX_EPOCH);
    let date = from + TimeDelta::milliseconds(dice.between(0, days * 86_400_000));
    let had_birthday = (now.month(), now.day()) >= (date.month(), date.day());
    Dated {
        date: date.to_rfc3339_opts(SecondsFormat::Millis, true),
        age: (now.year() - date.year() - i32::from(!had_birthday)).max(0),
    }
}

fn picture(dice: &mut Dice, female: bool, nation: &Nation) -> Picture {
    let folder = match (nation.code, female) {
        ("LEGO", _) => "lego",
        (_, true) => "women",
        (_, false) => "men",
    };
    let n = dice.below(if folder == "lego" { 10 } else { 100 });
    let url = |size: &str| format!("https://randomuser.me/api/portraits/{size}{folder}/{n}.jpg");
    Picture { large: url(""), medium: url("med/"), thumbnail: url("thumb/") }
}

/// The ASCII letters of a name, as the upstream makes mailboxes; a name in another script has none.
fn mailbox(name: &str, otherwise: &str) -> String {
    let ascii = |c: char| c.is_ascii_alphabetic().then(|| c.to_ascii_lowercase());
    let letters: String = name.chars().filter_map(ascii).collect();
    if letters.is_empty() { otherwise.to_lowercase() } else { letters }
}
