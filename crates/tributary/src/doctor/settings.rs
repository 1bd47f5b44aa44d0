//! The settings, section by section -> those that can be used, and what is wrong with the others.

use std::path::PathBuf;

use consumer::settings::{Cassandra, Consumer};
use datasets::REGISTRY;
use serde::de::IgnoredAny;
use service::config::{ConfigError, SECTIONS, load_only};
use service::{kafka, telemetry};

use super::finding::Finding;

/// What the consumer would use; a section that is wrong is absent.
#[derive(Default)]
pub(super) struct Usable {
    pub(super) kafka: Option<kafka::Settings>,
    pub(super) cassandra: Option<Cassandra>,
    pub(super) consumer: Option<Consumer>,
    /// Where the dashboard is sought.
    pub(super) dashboard: Option<String>,
}

/// Reads all sections; `routes` takes the place of the folder that is configured.
pub(super) fn read(routes: Option<PathBuf>) -> (Usable, Vec<Finding>) {
    let mut findings = Vec::new();
    let mut told = |what: &str, error: &ConfigError| findings.push(judge(what, error));
    let mut usable = Usable::default();
    match of_consumer("kafka").and_then(|read| read.kafka.check().map(|()| read.kafka)) {
        Ok(kafka) => usable.kafka = Some(kafka),
        Err(error) => told("settings [kafka]", &error),
    }
    match of_consumer("cassandra") {
        Ok(read) => usable.cassandra = Some(read.cassandra),
        Err(error) => told("settings [cassandra]", &error),
    }
    match of_consumer("consumer").and_then(|read| read.consumer.check().map(|()| read.consumer)) {
        Ok(mut consumer) => {
            consumer.routes = routes.unwrap_or(consumer.routes);
            usable.consumer = Some(consumer);
        }
        Err(error) => told("settings [consumer]", &error),
    }
    if let Err(error) = of_consumer("http") {
        told("settings [http]", &error);
    }
    match of_dashboard() {
        Ok(settings) => usable.dashboard = Some(settings.url),
        Err(error) => told("settings [dashboard]", &error),
    }
    for dataset in REGISTRY {
        if let Err(error) = of_producer(dataset) {
            told(&format!("settings of {}", dataset.name), &error);
        }
    }
    if let Err(error) = load_only::<IgnoredAny>(|section| !SECTIONS.contains(&section)) {
        told("settings", &error);
    }
    (usable, distinct(findings))
}

fn of_consumer(section: &str) -> Result<consumer::Settings, ConfigError> {
    load_only(|name| name == section)
}

fn of_dashboard() -> Result<dashboard::Dashboard, ConfigError> {
    let settings: dashboard::Settings = load_only(|name| name == "dashboard")?;
    settings.dashboard.check()?;
    Ok(settings.dashboard)
}

fn of_producer(dataset: &datasets::Dataset) -> Result<(), ConfigError> {
    let own = dataset.section();
    let settings: producers::Settings = load_only(|name| name == "producer" || name == own)?;
    producers::check(dataset, &settings).map_err(|error| {
        error.downcast().unwrap_or_else(|other: anyhow::Error| ConfigError::Section(format!("{other:#}")))
    })
}

// What is wrong with the whole file, or with what all producers share, is found again and again.
fn distinct(findings: Vec<Finding>) -> Vec<Finding> {
    if findings.is_empty() {
        return vec![Finding::ok("settings", "all sections can be used")];
    }
    let mut distinct: Vec<Finding> = Vec::new();
    for finding in findings {
        if distinct.iter().all(|known| known.says != finding.says) {
            distinct.push(finding);
        }
    }
    distinct
}

/// What is wrong with a section.
fn judge(what: &str, error: &ConfigError) -> Finding {
    let remedy = match error {
        ConfigError::File { .. } => "create that file, or correct TRIBUTARY_CONFIG, which names it".to_owned(),
        ConfigError::Toml { .. } => "correct the file at that place; nothing in it is used until then".to_owned(),
        ConfigError::Secret { key, path, .. } => {
            format!("write the secret into {}, let this user read it, or correct {key}", path.display())
        }
        ConfigError::Range { key, .. } if key == "producer.upstreams" => {
            "set that key, which is free at https://openweathermap.org/api, or producer.upstreams to auto (UPSTREAMS in .env)"
                .to_owned()
        }
        ConfigError::Value(_) | ConfigError::Section(_) | ConfigError::Range { .. } => {
            "correct it in tributary.toml, or in the variable TRIBUTARY__SECTION__KEY".to_owned()
        }
    };
    Finding::wrong(what, telemetry::chain(error), remedy)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use serde_json::json;

    use super::super::finding::State;
    use super::*;

    #[test]
    fn a_secret_that_cannot_be_read_is_told_with_its_path_and_its_key() {
        let error = ConfigError::Secret {
            key: "TRIBUTARY__KAFKA__PASSWORD_FILE".to_owned(),
            path: "/run/secrets/kafka".into(),
            source: ErrorKind::PermissionDenied.into(),
        };
        let finding = judge("settings [kafka]", &error);
        assert_eq!((finding.state, finding.what.as_str()), (State::Wrong, "settings [kafka]"));
        assert!(
            finding.says.contains("/run/secrets/kafka") && finding.says.contains("permission denied"),
            "{finding:?}"
        );
        assert!(finding.remedy.contains("correct TRIBUTARY__KAFKA__PASSWORD_FILE"), "{finding:?}");
    }

    #[test]
    fn live_weather_without_a_key_is_told_with_where_to_get_one() {
        let settings = serde_json::from_value(json!({"producer": {"upstreams": "live"}})).unwrap();
        let error = producers::check(&datasets::weather::DATASET, &settings).unwrap_err();
        let finding = judge("settings of weather", &error.downcast().unwrap());
        assert!(finding.says.contains("weather needs a key"), "{finding:?}");
        assert!(finding.remedy.contains("https://openweathermap.org/api"), "{finding:?}");
        producers::check(&datasets::faker::DATASET, &settings).unwrap();
    }

    #[test]
    fn what_is_wrong_in_all_sections_is_told_once() {
        let wrong = |what: &str, says: &str| Finding::wrong(what, says, "correct it");
        let once = distinct(vec![wrong("a", "line 3"), wrong("b", "line 3"), wrong("b", "line 4")]);
        assert_eq!(once, [wrong("a", "line 3"), wrong("b", "line 4")]);
        assert_eq!(distinct(Vec::new())[0].state, State::Ok);
    }

    #[test]
    fn values_out_of_range_are_told_with_the_range() {
        let consumer = Consumer { batch_rows: 0, ..Consumer::default() };
        let finding = judge("settings [consumer]", &consumer.check().unwrap_err());
        assert!(finding.says.contains("consumer.batch_rows = \"0\": expected 1 to 1000"), "{finding:?}");
        assert!(finding.remedy.contains("tributary.toml"), "{finding:?}");
    }
}
