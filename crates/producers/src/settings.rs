//! Sections `[kafka]`, `[http]`, `[producer]` and the dataset's own -> what the producers' loop runs by.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use datasets::Dataset;
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;
use service::config::{ConfigError, check_time};

/// All that a producer reads of the configuration.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Section `[kafka]`.
    pub kafka: service::kafka::Settings,
    /// Section `[http]`.
    pub http: service::http::Settings,
    /// Section `[producer]`.
    pub producer: Producer,
    /// Every other section by its name, the dataset's among them.
    #[serde(flatten)]
    pub sections: BTreeMap<String, Value>,
}

// The sections hold keys of upstreams: their names may be shown, their values not.
impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Settings")
            .field("kafka", &self.kafka)
            .field("http", &self.http)
            .field("producer", &self.producer)
            .field("sections", &self.sections.keys())
            .finish()
    }
}

/// Where a dataset's upstream is sought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Upstreams {
    /// The real one where it answers by its contract, else the simulator.
    #[default]
    Auto,
    /// Only the real one.
    Live,
    /// Only the simulator.
    Simulated,
}

/// Section `[producer]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Producer {
    /// Which upstream: `auto`, `live` or `simulated`.
    pub upstreams: Upstreams,
    /// Base URL of the simulators.
    pub simulator: String,
    /// A mail address or URL for the User-Agent, so that an upstream's operators can reach someone.
    pub contact: String,
    /// Time for a TCP and TLS connection.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Time for one whole request, body included.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// How long a stream may be silent before it is opened again.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// Time for the answer to the probe of the live upstream.
    #[serde(with = "humantime_serde")]
    pub probe_timeout: Duration,
    /// How often the live upstream is probed while the simulated one serves.
    #[serde(with = "humantime_serde")]
    pub probe_every: Duration,
    /// Upper bound of the first wait after a failure; doubles with each further one.
    #[serde(with = "humantime_serde")]
    pub backoff_min: Duration,
    /// Upper bound of every wait after a failure.
    #[serde(with = "humantime_serde")]
    pub backoff_max: Duration,
    /// Wait after a refusal that only a person can mend, such as a wrong key.
    #[serde(with = "humantime_serde")]
    pub refused_wait: Duration,
    /// Time at the end for Kafka's last acknowledgements.
    #[serde(with = "humantime_serde")]
    pub flush_timeout: Duration,
    /// Largest accepted body, decompressed.
    pub body_bytes_max: usize,
    /// Largest accepted line, and largest accepted event, of a stream.
    pub event_bytes_max: usize,
}

impl Default for Producer {
    fn default() -> Self {
        Self {
            upstreams: Upstreams::Auto,
            simulator: "http://localhost:8090".to_owned(),
            contact: String::new(),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(60),
            probe_timeout: Duration::from_millis(1500),
            probe_every: Duration::from_secs(300),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(300),
            refused_wait: Duration::from_secs(300),
            flush_timeout: Duration::from_secs(8),
            body_bytes_max: 4 * 1024 * 1024,
            event_bytes_max: 1024 * 1024,
        }
    }
}

const MOMENT: Duration = Duration::from_millis(10);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Producer {
    /// Refuses durations that would ask an upstream without a pause, or never.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let durations: [(&str, Duration, RangeInclusive<Duration>); 9] = [
            ("connect_timeout", self.connect_timeout, MOMENT..=10 * MINUTE),
            ("request_timeout", self.request_timeout, MOMENT..=10 * MINUTE),
            ("idle_timeout", self.idle_timeout, MOMENT..=HOUR),
            ("probe_timeout", self.probe_timeout, MOMENT..=MINUTE),
            ("probe_every", self.probe_every, MOMENT..=DAY),
            ("backoff_min", self.backoff_min, MOMENT..=HOUR),
            ("backoff_max", self.backoff_max, self.backoff_min..=DAY),
            ("refused_wait", self.refused_wait, MOMENT..=DAY),
            ("flush_timeout", self.flush_timeout, MOMENT..=HOUR),
        ];
        for (key, value, range) in durations {
            check_time(&format!("producer.{key}"), value, range)?;
        }
        Ok(())
    }
}

impl service::Configured for Settings {
    fn http(&self) -> &service::http::Settings {
        &self.http
    }
}

/// A dataset's section, split between the loop and the dataset.
#[derive(Debug, PartialEq)]
pub(crate) struct Section {
    /// Instead of the real upstream, when configured.
    pub(crate) base_url: Option<Url>,
    /// The rest, for the dataset.
    pub(crate) values: Value,
}

impl Settings {
    /// Returns the dataset's section.
    pub(crate) fn section(&self, dataset: &Dataset) -> Result<Section, ConfigError> {
        let name = dataset.section();
        let mut values = self.sections.get(&name).cloned().unwrap_or(Value::Null);
        // The loop's own key: the dataset says what to ask, not whom.
        let base_url = values.as_object_mut().and_then(|values| values.remove("base_url"));
        let base_url = match base_url.as_ref().and_then(Value::as_str) {
            Some(text) if !text.trim().is_empty() => Some(url(&format!("{name}.base_url"), text)?),
            _ => None,
        };
        Ok(Section { base_url, values })
    }
}

/// Parses a base URL; `key` is where it was configured.
pub(crate) fn url(key: &str, text: &str) -> Result<Url, ConfigError> {
    let wrong = |value: &str, expected: &str| ConfigError::Range {
        key: key.to_owned(),
        value: value.to_owned(),
        expected: expected.to_owned(),
    };
    let expected = "an http or https URL is expected, such as http://localhost:8090";
    let url = Url::parse(text.trim()).map_err(|_| wrong(text, expected))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong(text, expected));
    }
    // The log shows base URLs.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("(hidden)", "a URL without user and password is expected"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(value: Value) -> Settings {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn base_url_is_the_loops_and_the_rest_is_the_datasets() {
        let settings = settings(json!({"companies": {"quantity": 3, "base_url": "http://localhost:1/"}}));
        let section = settings.section(&datasets::companies::DATASET).unwrap();
        assert_eq!(section.base_url.unwrap().as_str(), "http://localhost:1/");
        assert_eq!(section.values, json!({"quantity": 3}));
    }

    #[test]
    fn answer_to_the_largest_request_for_users_is_within_the_bodys_limit() {
        let datasets::Upstream::Polled { new, .. } = datasets::random_user::DATASET.upstream else {
            panic!("users are polled")
        };
        let results = (1..=10_000_usize).rev().find(|n| new(&json!({ "results": n })).is_ok()).unwrap();
        for body in [
            include_str!("../../datasets/fixtures/random-user/odd_names.json"),
            include_str!("../../datasets/fixtures/random-user/text_postcode.json"),
            include_str!("../../datasets/fixtures/random-user/integer_postcode.json"),
        ] {
            let body: Value = serde_json::from_str(body).unwrap();
            let mut user = body["results"][0].clone();
            // The request leaves these out.
            for field in ["id", "dob", "cell"] {
                user.as_object_mut().unwrap().remove(field);
            }
            let whole = json!({"results": vec![user; results], "info": body["info"]}).to_string();
            let limit = Producer::default().body_bytes_max;
            assert!(whole.len() < limit, "{results} users are {} bytes of {limit}", whole.len());
        }
    }

    #[test]
    fn empty_base_url_means_the_real_one() {
        let settings = settings(json!({"random_user": {"base_url": ""}}));
        assert_eq!(settings.section(&datasets::random_user::DATASET).unwrap().base_url, None);
    }

    #[test]
    fn base_url_without_a_host_is_refused_with_its_key() {
        for bad in ["localhost:8090", "file:///etc/passwd", "http://"] {
            let settings = settings(json!({"wikipedia": {"base_url": bad}}));
            let error = settings.section(&datasets::wikipedia::DATASET).unwrap_err().to_string();
            assert!(error.contains("wikipedia.base_url") && error.contains(bad), "{error}");
        }
    }

    #[test]
    fn secrets_show_in_no_debug_output_and_no_error() {
        let text =
            json!({"weather": {"api_key": "s3cret"}, "companies": {"base_url": "http://u:s3cret@host/"}});
        let settings = settings(text);
        assert!(!format!("{settings:?}").contains("s3cret"));
        let error = settings.section(&datasets::companies::DATASET).unwrap_err().to_string();
        assert!(error.contains("companies.base_url") && !error.contains("s3cret"), "{error}");
    }

    #[test]
    fn every_datasets_section_is_known() {
        for dataset in datasets::REGISTRY {
            assert!(service::config::SECTIONS.contains(&&*dataset.section()), "{}", dataset.name);
        }
    }

    #[test]
    fn misspelt_key_of_the_producer_is_refused() {
        let error =
            serde_json::from_value::<Settings>(json!({"producer": {"upstream": "live"}})).unwrap_err();
        assert!(error.to_string().contains("upstreams"), "{error}");
    }

    #[test]
    fn durations_out_of_range_are_refused_with_key_value_and_range() {
        for (key, value, range) in [
            ("connect_timeout", "0s", "10ms to 10m"),
            ("request_timeout", "11m", "10ms to 10m"),
            ("idle_timeout", "0s", "10ms to 1h"),
            ("probe_timeout", "9ms", "10ms to 1m"),
            ("probe_every", "0s", "10ms to 1day"),
            ("backoff_min", "0s", "10ms to 1h"),
            ("backoff_max", "500ms", "1s to 1day"),
            ("refused_wait", "2days", "10ms to 1day"),
            ("flush_timeout", "0s", "10ms to 1h"),
        ] {
            let settings = settings(json!({"producer": { key: value }}));
            let error = settings.producer.check().unwrap_err().to_string();
            let expected = format!("producer.{key} = {value:?}: expected {range}");
            assert_eq!(error, expected);
        }
        assert!(Producer::default().check().is_ok());
    }
}
