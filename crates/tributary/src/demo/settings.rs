//! The configuration that every service reads -> the same settings with the demo's rates.
//!
//! Whatever `tributary.toml` or a variable says stays as it is, a weather key for instance. The demo only fills in what
//! nobody has set, and keeps faker below what the embedded broker can hold.

use dashboard::Dashboard;
use datasets::REGISTRY;
use producers::Upstreams;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use service::config::{self, ConfigError};

/// Records a second at most: what comes between two syncs of the files has to fit into the embedded broker.
const FAKER_RATE_MAX: u64 = 2000;

/// What the services are started with.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) producers: producers::Settings,
    pub(super) consumer: consumer::Settings,
    pub(super) simulator: simulators::Settings,
    pub(super) dashboard: Dashboard,
    /// What was not taken as configured.
    pub(super) notes: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SimulatorSection {
    simulator: simulators::Settings,
}

impl Settings {
    /// Loads them; `upstreams` wins over what is configured.
    pub(super) fn load(upstreams: Option<Upstreams>) -> Result<Self, ConfigError> {
        let mut producers: producers::Settings = config::load()?;
        if let Some(upstreams) = upstreams {
            producers.producer.upstreams = upstreams;
        }
        let mut notes = Vec::new();
        for dataset in REGISTRY {
            let section = producers.sections.entry(dataset.section()).or_insert(Value::Null);
            if section.is_null() {
                *section = Value::Object(Map::new());
            }
            // What is no table is refused by the dataset, in its own words.
            if let Some(section) = section.as_object_mut() {
                notes.extend(adapt(dataset.name, section));
            }
        }
        let consumer = config::load()?;
        let simulator = config::load::<SimulatorSection>()?.simulator;
        let dashboard = config::load::<dashboard::Settings>()?.dashboard;
        dashboard.check()?;
        Ok(Self { producers, consumer, simulator, dashboard, notes })
    }
}

/// Fills in a dataset's rate; returns what was changed.
fn adapt(dataset: &str, section: &mut Map<String, Value>) -> Option<String> {
    let (key, value) = match dataset {
        "faker" => ("rate", json!(50)),
        // Ten cities every 15 s stay below 50 requests a minute.
        "weather" => ("every", json!("15s")),
        "companies" | "random-user" => ("every", json!("5s")),
        _ => return None,
    };
    let given = section.entry(key).or_insert(value);
    if dataset != "faker" {
        return None;
    }
    let rate = given.as_u64().or_else(|| given.as_str()?.trim().parse().ok())?;
    // 0 is 'as fast as it can'.
    if rate != 0 && rate <= FAKER_RATE_MAX {
        return None;
    }
    *given = json!(FAKER_RATE_MAX);
    Some(format!(
        "faker.rate is {FAKER_RATE_MAX}, not {rate}: the embedded broker keeps 5 MiB of a partition"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapted(dataset: &str, section: Value) -> (Value, Option<String>) {
        let Value::Object(mut section) = section else { panic!("a table") };
        let note = adapt(dataset, &mut section);
        (Value::Object(section), note)
    }

    #[test]
    fn what_is_configured_stays() {
        let configured = json!({"every": "1h", "api_key": "k"});
        assert_eq!(adapted("weather", configured.clone()), (configured, None));
        assert_eq!(adapted("faker", json!({"rate": "7"})), (json!({"rate": "7"}), None));
    }

    #[test]
    fn a_rate_that_the_broker_cannot_hold_is_lowered_and_said() {
        for rate in [json!(0), json!("0"), json!(100_000)] {
            let (section, note) = adapted("faker", json!({ "rate": rate }));
            assert_eq!(section, json!({"rate": 2000}));
            assert!(note.unwrap().contains("faker.rate"));
        }
    }

    #[test]
    fn a_rate_that_is_no_number_is_left_to_the_dataset_to_refuse() {
        assert_eq!(adapted("faker", json!({"rate": "often"})), (json!({"rate": "often"}), None));
    }
}
