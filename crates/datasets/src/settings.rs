//! A dataset's section of the configuration -> checked values.
//!
//! Values from a file arrive typed; values from the environment arrive as strings, or as numbers where they look like
//! one. Every reader here takes both, and every error names the section, the key, the value and what is allowed.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The section is something else than a table of settings.
    #[error("[{section}] is a table of settings, not {given}")]
    NotATable {
        /// The section of the configuration.
        section: &'static str,
        /// What stands there instead: its kind alone, for a key put in the wrong place is a secret still.
        given: &'static str,
    },
    /// No setting has this name.
    #[error("[{section}] has no setting {key}; it has {allowed}")]
    Unknown {
        /// The section of the configuration.
        section: &'static str,
        /// The name that was given.
        key: String,
        /// The names that exist.
        allowed: String,
    },
    /// The value is outside of what is allowed.
    #[error("[{section}] {key} = {given}: allowed is {allowed}")]
    Invalid {
        /// The section of the configuration.
        section: &'static str,
        /// The setting.
        key: &'static str,
        /// The value that was given; hidden where it is a secret.
        given: String,
        /// What is allowed, with the range.
        allowed: String,
    },
}

/// How often a dataset may be polled.
const EVERY: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(24 * 60 * 60);
const REQUESTS_PER_MINUTE: RangeInclusive<u32> = 1..=3000;

/// One section. An empty string counts as absent: that is how compose passes on a variable that nobody has set.
pub(crate) struct Section<'a> {
    name: &'static str,
    values: Option<&'a Map<String, Value>>,
}

impl<'a> Section<'a> {
    /// Takes the section's value, null when the configuration has none, and the keys that it may have.
    pub(crate) fn open(
        name: &'static str,
        value: &'a Value,
        keys: &[&'static str],
    ) -> Result<Self, SettingsError> {
        let values = match value {
            Value::Null => None,
            Value::Object(values) => Some(values),
            Value::Array(_) => return Err(SettingsError::NotATable { section: name, given: "a list" }),
            Value::String(_) => return Err(SettingsError::NotATable { section: name, given: "a text" }),
            Value::Number(_) => return Err(SettingsError::NotATable { section: name, given: "a number" }),
            Value::Bool(_) => return Err(SettingsError::NotATable { section: name, given: "a truth value" }),
        };
        for key in values.into_iter().flat_map(Map::keys) {
            if !keys.contains(&key.as_str()) {
                let allowed = keys.join(", ");
                return Err(SettingsError::Unknown { section: name, key: key.clone(), allowed });
            }
        }
        Ok(Self { name, values })
    }

    pub(crate) fn value(&self, key: &str) -> Option<&'a Value> {
        let value = self.values?.get(key)?;
        match value {
            Value::Null => None,
            Value::String(text) if text.trim().is_empty() => None,
            value => Some(value),
        }
    }

    pub(crate) fn invalid(
        &self,
        key: &'static str,
        given: impl Display,
        allowed: impl Into<String>,
    ) -> SettingsError {
        SettingsError::Invalid { section: self.name, key, given: given.to_string(), allowed: allowed.into() }
    }

    /// Reads a text. A number or a truth value is a text too: the environment's `42` may arrive as either.
    pub(crate) fn text(&self, key: &'static str, allowed: &str) -> Result<Option<String>, SettingsError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.trim().to_owned())),
            Some(scalar @ (Value::Number(_) | Value::Bool(_))) => Ok(Some(scalar.to_string())),
            Some(other) => Err(self.invalid(key, other, allowed)),
        }
    }

    /// Reads a whole number.
    pub(crate) fn whole<T>(
        &self,
        key: &'static str,
        range: RangeInclusive<T>,
    ) -> Result<Option<T>, SettingsError>
    where
        T: TryFrom<u64> + PartialOrd + Display,
    {
        let Some(value) = self.value(key) else { return Ok(None) };
        let number = match value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number.and_then(|number| T::try_from(number).ok()).filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                let allowed = format!("a whole number from {} to {}", range.start(), range.end());
                Err(self.invalid(key, value, allowed))
            }
        }
    }

    /// Reads a list: an array of texts, or one text with separators in it.
    pub(crate) fn texts(
        &self,
        key: &'static str,
        separator: char,
        allowed: &str,
    ) -> Result<Option<Vec<String>>, SettingsError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let mut texts = Vec::new();
        let items = match value {
            Value::Array(items) => items.as_slice(),
            single => std::slice::from_ref(single),
        };
        for item in items {
            let Value::String(item) = item else { return Err(self.invalid(key, value, allowed)) };
            texts.extend(
                item.split(separator).map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned),
            );
        }
        Ok(Some(texts))
    }

    /// Reads `every`: a text with units such as `10s` or `1m 30s`, or a number of seconds.
    pub(crate) fn every(&self, default: Duration) -> Result<Duration, SettingsError> {
        let Some(value) = self.value("every") else { return Ok(default) };
        let every = match value {
            Value::Number(seconds) => seconds.as_u64().map(Duration::from_secs),
            Value::String(text) => match text.trim().parse() {
                Ok(seconds) => Some(Duration::from_secs(seconds)),
                Err(_) => humantime::parse_duration(text.trim()).ok(),
            },
            _ => None,
        };
        every.filter(|every| EVERY.contains(every)).ok_or_else(|| {
            self.invalid("every", value, "a duration from \"10ms\" to \"1day\", such as \"60s\"")
        })
    }

    /// Reads `requests_per_minute`.
    pub(crate) fn requests_per_minute(&self) -> Result<Option<u32>, SettingsError> {
        self.whole("requests_per_minute", REQUESTS_PER_MINUTE)
    }
}
