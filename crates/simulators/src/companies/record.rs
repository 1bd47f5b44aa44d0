//! Dice and a locale -> one company or person in fakerapi.it's shape.

use chrono::{NaiveDate, TimeDelta};
use serde::Serialize;

use crate::dice::Dice;
use crate::nations::{self, Nation};
use crate::number::Number;

/// `_locale`: the language of names and streets.
pub(super) struct Locale {
    /// As the envelope tells it.
    pub(super) name: String,
    nation: &'static Nation,
}

impl Locale {
    /// `fr_FR` takes French words; an unknown or absent locale is answered in `en_US`.
    pub(super) fn named(asked: Option<&str>) -> Self {
        let asked = asked.unwrap_or(DEFAULT_LOCALE);
        let nation = asked.split_once('_').and_then(|(_, country)| nations::find(country));
        let nation = nation.filter(|nation| !nation.country.is_empty());
        let us = || (DEFAULT_LOCALE, nations::find("US").unwrap_or(&nations::all()[0]));
        let (name, nation) = nation.map_or_else(us, |nation| (asked, nation));
        Self { name: name.to_owned(), nation }
    }
}

const DEFAULT_LOCALE: &str = "en_US";

/// What a request asks of every person.
#[derive(Default)]
pub(super) struct PersonOrder<'a> {
    pub(super) gender: Option<&'a str>,
    pub(super) born_from: Option<NaiveDate>,
    pub(super) born_to: Option<NaiveDate>,
}

#[derive(Serialize)]
pub(super) struct Company {
    id: u64,
    name: String,
    email: String,
    vat: String,
    phone: String,
    country: &'static str,
    addresses: Vec<Address>,
    website: String,
    image: String,
    contact: Person,
}

#[derive(Serialize)]
pub(super) struct Person {
    id: u64,
    firstname: &'static str,
    lastname: &'static str,
    email: String,
    phone: String,
    birthday: String,
    gender: &'static str,
    address: Address,
    website: String,
    image: String,
}

#[derive(Serialize)]
struct Address {
    id: u64,
    street: String,
    #[serde(rename = "streetName")]
    street_name: &'static str,
    #[serde(rename = "buildingNumber")]
    building_number: String,
    city: &'static str,
    zipcode: String,
    country: &'static str,
    #[serde(flatten)]
    code: CountryCode,
    latitude: Number,
    longitude: Number,
}

/// Today's wire says `country_code`, the published source `county_code`.
#[derive(Serialize)]
enum CountryCode {
    #[serde(rename = "country_code")]
    Today(&'static str),
    #[serde(rename = "county_code")]
    Older(&'static str),
}

const COUNTRIES: [(&str, &str); 28] = [
    ("Belize", "BZ"),
    ("Malta", "MT"),
    ("Cyprus", "CY"),
    ("Bolivia (Plurinational State of)", "BO"),
    ("Cote d'Ivoire", "CI"),
    ("Réunion", "RE"),
    ("Åland Islands", "AX"),
    ("Saint Barthélemy", "BL"),
    ("Korea, Republic of", "KR"),
    ("Guinea-Bissau", "GW"),
    ("Lao People's Democratic Republic", "LA"),
    ("Namibia", "NA"),
    ("Norway", "NO"),
    ("Bhutan", "BT"),
    ("Uruguay", "UY"),
    ("Tuvalu", "TV"),
    ("Iceland", "IS"),
    ("Kenya", "KE"),
    ("Estonia", "EE"),
    ("Peru", "PE"),
    ("Samoa", "WS"),
    ("Ghana", "GH"),
    ("Slovenia", "SI"),
    ("Nepal", "NP"),
    ("Canada", "CA"),
    ("Antarctica", "AQ"),
    ("Viet Nam", "VN"),
    ("Türkiye", "TR"),
];
const TRADES: [&str; 16] = [
    "Harbor", "Finch", "Granite", "Lantern", "Juniper", "Copper", "Meridian", "Willow", "Beacon", "Saffron",
    "Cobalt", "Orchard", "Falcon", "Summit", "Delta", "Quill",
];
const SUFFIXES: [&str; 7] = ["Ltd", "Inc", "LLC", "GmbH", "and Sons", "Group", "PLC"];

pub(super) fn company(dice: &mut Dice, id: u64, locale: &Locale) -> Company {
    let (stem, name) = company_name(dice, locale);
    let domain = format!("{stem}.example");
    // An older deployment's spelling now and then, for the whole company.
    let older = dice.one_in(12);
    // Eight to eleven digits, often with leading zeros.
    let digits = 8 + dice.index(4);
    let mut vat = dice.string(b"0123456789", digits);
    if dice.one_in(3) {
        vat.replace_range(..1, "0");
    }
    Company {
        id,
        email: format!("{}@{domain}", dice.pick(&["office", "info", "hello", "sales", "contact"])),
        phone: phone(dice),
        country: dice.pick(&COUNTRIES).0,
        addresses: (1..=1 + dice.below(5)).map(|n| address(dice, n, locale, older)).collect(),
        contact: one_person(dice, id, locale, &PersonOrder::default(), &domain, older),
        website: format!("http://{domain}"),
        image: image(dice),
        name,
        vat,
    }
}

pub(super) fn person(dice: &mut Dice, id: u64, locale: &Locale, order: &PersonOrder<'_>) -> Person {
    let older = dice.one_in(12);
    one_person(dice, id, locale, order, "example.com", older)
}

fn one_person(
    dice: &mut Dice,
    id: u64,
    locale: &Locale,
    order: &PersonOrder<'_>,
    domain: &str,
    older: bool,
) -> Person {
    let nation = locale.nation;
    let female = match order.gender {
        Some("female") => true,
        Some("male") => false,
        _ => dice.percent(50),
    };
    let firstname = dice.pick(if female { &nation.female } else { &nation.male });
    let lastname = dice.pick(&nation.last);
    let mailbox = slug(firstname, "person");
    Person {
        id,
        firstname,
        lastname,
        email: format!("{mailbox}{}@{domain}", dice.below(100)),
        phone: phone(dice),
        birthday: birthday(dice, order),
        gender: if female { "female" } else { "male" },
        address: address(dice, 1, locale, older),
        website: format!("http://{}.example", slug(lastname, "home")),
        image: image(dice),
    }
}

fn company_name(dice: &mut Dice, locale: &Locale) -> (String, String) {
    let (one, two) = (dice.pick(&TRADES), dice.pick(&TRADES));
    let (last, suffix) = (dice.pick(&locale.nation.last), dice.pick(&SUFFIXES));
    let name = match dice.below(4) {
        0 => format!("{one} & {two} {suffix}"),
        1 => format!("{last} {suffix}"),
        2 => format!("{last}, {one} \"{two}\" {suffix}"),
        _ => format!("{one}-{two} {suffix}"),
    };
    (format!("{}{}{}", slug(one, "x"), slug(two, "x"), dice.below(1000)), name)
}

fn address(dice: &mut Dice, id: u64, locale: &Locale, older: bool) -> Address {
    let street_name = dice.pick(&locale.nation.streets);
    let building_number = (1 + dice.below(9999)).to_string();
    let (country, code) = dice.pick(&COUNTRIES);
    let decimals = if dice.one_in(20) { 0 } else { 6 };
    Address {
        id,
        street: format!("{building_number} {street_name}"),
        street_name,
        building_number,
        city: dice.pick(&locale.nation.cities).0,
        zipcode: if dice.percent(50) { dice.fill("#####-####") } else { dice.fill("#####") },
        country,
        code: if older { CountryCode::Older(code) } else { CountryCode::Today(code) },
        latitude: Number(dice.real(-90.0, 90.0, decimals)),
        longitude: Number(dice.real(-180.0, 180.0, 6)),
    }
}

fn birthday(dice: &mut Dice, order: &PersonOrder<'_>) -> String {
    // Fixed years rather than ages counted from today: a seed keeps its birthdays.
    let from = order.born_from.or_else(|| NaiveDate::from_ymd_opt(1940, 1, 1)).unwrap_or_default();
    let to = order.born_to.or_else(|| NaiveDate::from_ymd_opt(2007, 12, 31)).unwrap_or_default();
    let days = dice.between(0, (to - from).num_days().max(0));
    (from + TimeDelta::days(days)).format("%Y-%m-%d").to_string()
}

/// E.164.
fn phone(dice: &mut Dice) -> String {
    let pattern = dice.pick(&["+1415555####", "+4930#######", "+35621######", "+2547########"]);
    dice.fill(pattern)
}

fn image(dice: &mut Dice) -> String {
    let kind = dice.pick(&["people", "any", "tech", "arch"]);
    format!("http://placeimg.com/640/480/{kind}")
}

fn slug(name: &str, otherwise: &str) -> String {
    let ascii = |c: char| c.is_ascii_alphabetic().then(|| c.to_ascii_lowercase());
    let letters: String = name.chars().filter_map(ascii).collect();
    if letters.is_empty() { otherwise.to_owned() } else { letters }
}
