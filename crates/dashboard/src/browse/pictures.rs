//! The newest messages of the five datasets -> what the page draws of them: temperatures, wikis, countries.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use datasets::{REGISTRY, companies, faker, random_user, weather, wikipedia};
use rdkafka::message::Message as _;
use serde::Serialize;
use serde_json::{Map, Value};
use service::kafka;

use super::records::read;
use super::{BrowseError, ask_kafka};

const CLIENT: &str = "tributary-dashboard-pictures";
/// The newest messages of each topic that the pictures are made of.
const NEWEST: usize = 500;
/// What no message of ours exceeds.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// The fields that are drawn, of all datasets.
const DRAWN: [&str; 7] = ["address", "bot", "city", "country", "observed_at", "temperature_kelvin", "wiki"];
/// Bars of one picture.
const BARS_MAX: usize = 12;

/// One part for each dataset; null while its topic is empty.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Pictures {
    weather: Option<Weather>,
    wikipedia: Option<Wikipedia>,
    faker: Option<Countries>,
    companies: Option<Countries>,
    random_user: Option<Countries>,
}

#[derive(Debug, Default, PartialEq, Serialize)]
struct Weather {
    of: usize,
    cities: Vec<City>,
}

#[derive(Debug, PartialEq, Serialize)]
struct City {
    city: String,
    celsius: f64,
    at: String,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Wikipedia {
    of: usize,
    wikis: Vec<Wiki>,
    bots: usize,
    people: usize,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Wiki {
    wiki: String,
    changes: usize,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Countries {
    of: usize,
    countries: Vec<Country>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Country {
    country: String,
    count: usize,
}

/// Reads the newest messages, and draws.
///
/// # Errors
/// Kafka does not answer.
pub(crate) async fn draw(settings: &kafka::Settings) -> Result<Pictures, BrowseError> {
    ask_kafka(settings, CLIENT, |topics, deadline| {
        let mut pictures = Pictures::default();
        for dataset in REGISTRY {
            let mut values: Vec<Value> = Vec::new();
            let taken = read(topics, dataset.topic, NEWEST, deadline, |message| {
                let payload = message.payload().filter(|payload| payload.len() <= MESSAGE_BYTES_MAX);
                let value =
                    payload.and_then(|payload| serde_json::from_slice::<Map<String, Value>>(payload).ok());
                values.extend(value.map(drawn));
            });
            match taken {
                Ok(_) if values.is_empty() => {}
                Ok(_) => pictures.add(dataset.name, &values),
                // A topic that is not there yet is no reason to draw nothing.
                Err(BrowseError::Unknown(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(pictures)
    })
    .await
}

// What is drawn of a message: the rest, whatever it is, is not kept.
fn drawn(mut value: Map<String, Value>) -> Value {
    value.retain(|name, value| DRAWN.contains(&name.as_str()) && !value.is_array() && !value.is_object());
    Value::Object(value)
}

impl Pictures {
    fn add(&mut self, dataset: &str, values: &[Value]) {
        let named = |of: &datasets::Dataset| of.name == dataset;
        if named(&weather::DATASET) {
            self.weather = Some(temperatures(values));
        } else if named(&wikipedia::DATASET) {
            self.wikipedia = Some(changes(values));
        } else if named(&faker::DATASET) {
            self.faker = Some(countries(values, |value| value["country"].as_str()));
        } else if named(&companies::DATASET) {
            self.companies = Some(countries(values, |value| value["country"].as_str()));
        } else if named(&random_user::DATASET) {
            // The address ends with it: street, city, state, country.
            let country =
                |value: &'_ Value| value["address"].as_str()?.rsplit(", ").next().map(str::to_owned);
            let owned: Vec<Value> = values.iter().filter_map(country).map(Value::String).collect();
            self.random_user = Some(Countries { of: values.len(), ..countries(&owned, Value::as_str) });
        }
    }
}

// Each city's newest.
fn temperatures(values: &[Value]) -> Weather {
    let mut newest: BTreeMap<&str, (&str, f64)> = BTreeMap::new();
    for value in values {
        let (city, at) = (value["city"].as_str(), value["observed_at"].as_str());
        let (Some(city), Some(at), Some(kelvin)) = (city, at, value["temperature_kelvin"].as_f64()) else {
            continue;
        };
        let known = newest.entry(city).or_insert((at, kelvin));
        if at >= known.0 {
            *known = (at, kelvin);
        }
    }
    let city = |(city, (at, kelvin)): (&str, (&str, f64))| City {
        city: city.to_owned(),
        celsius: ((kelvin - 273.15) * 10.0).round() / 10.0,
        at: at.to_owned(),
    };
    let mut cities: Vec<City> = newest.into_iter().map(city).collect();
    cities.sort_by(|one, other| other.celsius.total_cmp(&one.celsius));
    Weather { of: values.len(), cities }
}

fn changes(values: &[Value]) -> Wikipedia {
    let wikis = busiest(values.iter().filter_map(|value| value["wiki"].as_str()));
    let by = |bot| values.iter().filter(|value| value["bot"].as_bool() == Some(bot)).count();
    let wiki = |(wiki, changes)| Wiki { wiki, changes };
    Wikipedia { of: values.len(), wikis: wikis.map(wiki).collect(), bots: by(true), people: by(false) }
}

fn countries<'a>(values: &'a [Value], country: impl Fn(&'a Value) -> Option<&'a str>) -> Countries {
    let counted = busiest(values.iter().filter_map(country));
    let countries = counted.map(|(country, count)| Country { country, count }).collect();
    Countries { of: values.len(), countries }
}

fn busiest<'a>(names: impl Iterator<Item = &'a str>) -> impl Iterator<Item = (String, usize)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let mut counts: Vec<(String, usize)> =
        counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    counts.sort_by(|one, other| (Reverse(one.1), &one.0).cmp(&(Reverse(other.1), &other.0)));
    counts.into_iter().take(BARS_MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_city_is_drawn_as_it_was_observed_last_the_warmest_first() {
        let report = |city: &str, at: &str, kelvin: f64| json!({"city": city, "observed_at": at, "temperature_kelvin": kelvin});
        let values = [
            report("Oslo,NO", "2026-11-22T10:00:00Z", 273.15),
            report("Lima,PE", "2026-11-22T10:00:00Z", 295.25),
            report("Oslo,NO", "2026-11-22T09:00:00Z", 260.0),
            json!({"city": "torn"}),
        ];
        let drawn = temperatures(&values);
        let shown: Vec<(&str, f64)> =
            drawn.cities.iter().map(|city| (city.city.as_str(), city.celsius)).collect();
        assert_eq!((drawn.of, shown), (4, vec![("Lima,PE", 22.1), ("Oslo,NO", 0.0)]));
    }

    #[test]
    fn the_busiest_come_first_and_bots_are_told_from_people() {
        let change = |wiki: &str, bot: bool| json!({"wiki": wiki, "bot": bot});
        let drawn =
            changes(&[change("dewiki", true), change("enwiki", false), change("enwiki", true), json!({})]);
        assert_eq!((drawn.of, drawn.bots, drawn.people), (4, 2, 1));
        assert_eq!(drawn.wikis[0], Wiki { wiki: "enwiki".to_owned(), changes: 2 });
    }

    #[test]
    fn the_country_of_a_user_is_the_end_of_the_address() {
        let mut pictures = Pictures::default();
        pictures.add("random-user", &[json!({"address": "12 Main St, Cusco, Cusco, Peru"}), json!({})]);
        let drawn = pictures.random_user.unwrap();
        assert_eq!((drawn.of, drawn.countries), (2, vec![Country { country: "Peru".to_owned(), count: 1 }]));
    }

    #[test]
    fn of_a_message_only_what_is_drawn_is_kept() {
        let Value::Object(value) = json!({"wiki": "enwiki", "bot": true, "title": "x", "city": ["x"]}) else {
            panic!()
        };
        assert_eq!(drawn(value), json!({"wiki": "enwiki", "bot": true}));
    }

    #[test]
    fn every_dataset_has_a_picture() {
        let mut pictures = Pictures::default();
        for dataset in REGISTRY {
            pictures.add(dataset.name, &[json!({})]);
        }
        let Value::Object(parts) = serde_json::to_value(&pictures).unwrap() else { panic!("an object") };
        for dataset in REGISTRY {
            assert!(parts.get(dataset.name).is_some_and(|part| !part.is_null()), "{}", dataset.name);
        }
    }
}
