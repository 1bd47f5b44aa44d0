//! Configuration: `tributary.toml`, then variables `TRIBUTARY__SECTION__KEY` -> one typed settings struct.
//!
//! The file is optional; `TRIBUTARY_CONFIG` names another. A key that ends in `_file` (`password_file`) stands
//! for the key without the ending, with the trimmed content of that file as its value: that is how secrets
//! come in without passing through the environment. Empty variables count as absent.

mod sections;
mod variables;

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::config::{Config, Environment, File, FileFormat};
use serde::de::DeserializeOwned;

pub use sections::load_only;
use variables::variables;

const PREFIX: &str = "TRIBUTARY";
const DEFAULT_FILE: &str = "tributary.toml";
/// All services share the file: the sections of others may stand there, any other is a slip.
pub const SECTIONS: &[&str] = &[
    "cassandra",
    "companies",
    "consumer",
    "dashboard",
    "faker",
    "http",
    "kafka",
    "producer",
    "random_user",
    "simulator",
    "weather",
    "wikipedia",
];

/// Why the settings cannot be used; each variant names the place to mend.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The configuration file is named but cannot be read.
    #[error("read configuration file {path}")]
    File {
        /// The file that was sought.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration file is not TOML. The line itself is not told: it may hold a password.
    #[error("parse configuration file {path}, line {line}, column {column}: {what}")]
    Toml {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in characters.
        column: usize,
        /// The parser's words.
        what: String,
    },
    /// A `*_file` key names a file that cannot be read.
    #[error("read the secret that {key} names, {path}")]
    Secret {
        /// The key as given.
        key: String,
        /// The file it names.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key is unknown, missing, or has a value of the wrong kind.
    #[error(transparent)]
    Value(::config::ConfigError),
    /// A section does not pass its owner's own checks; the text names section, key, value and what is allowed.
    #[error("{0}")]
    Section(String),
    /// A value has the right type and is still not usable.
    #[error("{key} = {value:?}: {expected}")]
    Range {
        /// Dotted key, as in `weather.every`.
        key: String,
        /// What was given.
        value: String,
        /// What is allowed.
        expected: String,
    },
}

/// Loads the process's settings from the file and the environment.
///
/// # Errors
/// [`ConfigError`] names the key, the value and what was expected.
pub fn load<T: DeserializeOwned>() -> Result<T, ConfigError> {
    let (path, text) = file()?;
    from_parts(&path, &text, variables(std::env::vars_os())?)
}

// The configuration file and its text, which is empty where there is none.
fn file() -> Result<(PathBuf, String), ConfigError> {
    let named = std::env::var_os("TRIBUTARY_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let path = named.clone().unwrap_or_else(|| DEFAULT_FILE.into());
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => String::new(),
        Err(source) => return Err(ConfigError::File { path, source }),
    };
    Ok((path, text))
}

/// Checks that a time is within its range; `key` is dotted.
///
/// # Errors
/// [`ConfigError::Range`].
pub fn check_time(key: &str, value: Duration, range: RangeInclusive<Duration>) -> Result<(), ConfigError> {
    if range.contains(&value) {
        return Ok(());
    }
    let shown = humantime::format_duration;
    Err(ConfigError::Range {
        key: key.to_owned(),
        value: shown(value).to_string(),
        expected: format!("expected {} to {}", shown(*range.start()), shown(*range.end())),
    })
}

fn from_parts<T: DeserializeOwned>(
    path: &Path,
    text: &str,
    variables: HashMap<String, String>,
) -> Result<T, ConfigError> {
    let mut table: toml::Table = text.parse().map_err(|error| not_toml(path, text, &error))?;
    read_files_in_table(&mut table)?;
    let environment = Environment::with_prefix(PREFIX)
        .prefix_separator("__")
        .separator("__")
        .ignore_empty(true)
        .source(Some(read_files_in_variables(variables)?));
    let config = Config::builder()
        .add_source(File::from_str(&table.to_string(), FileFormat::Toml))
        .add_source(environment)
        .build()
        .map_err(ConfigError::Value)?;
    check_sections(&config)?;
    config.clone().try_deserialize().map_err(|error| wrong_value(error, &config))
}

fn check_sections(config: &Config) -> Result<(), ConfigError> {
    let ::config::ValueKind::Table(table) = &config.cache.kind else { return Ok(()) };
    match table.keys().find(|section| !SECTIONS.contains(&section.as_str())) {
        None => Ok(()),
        Some(section) => Err(ConfigError::Section(format!(
            "[{section}]: no section has this name; there are {}",
            SECTIONS.join(", ")
        ))),
    }
}

fn wrong_value(error: ::config::ConfigError, config: &Config) -> ConfigError {
    use ::config::ConfigError::{At, Type};
    if let At { key: Some(key), .. } | Type { key: Some(key), .. } = &error {
        let section = key.split(['.', '[']).next().unwrap_or_default();
        // What stands in the section's place is not told: a password put there is a secret still.
        let value = config.get::<::config::Value>(section);
        if value.is_ok_and(|value| !matches!(value.kind, ::config::ValueKind::Table(_))) {
            return ConfigError::Section(format!("[{section}] is not a table of settings"));
        }
    }
    ConfigError::Value(error)
}

fn not_toml(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let (line, column) =
        (before.matches('\n').count() + 1, before.chars().rev().take_while(|c| *c != '\n').count() + 1);
    ConfigError::Toml { path: path.to_owned(), line, column, what: error.message().to_owned() }
}

fn read_files_in_table(table: &mut toml::Table) -> Result<(), ConfigError> {
    let keys: Vec<String> = table.keys().cloned().collect();
    for key in keys {
        let target = key.strip_suffix("_file");
        match (target, table.get_mut(&key)) {
            (_, Some(toml::Value::Table(inner))) => read_files_in_table(inner)?,
            (Some(target), Some(toml::Value::String(path))) => {
                let secret = if path.is_empty() { None } else { Some(read_secret(&key, path.clone())?) };
                table.remove(&key);
                if let Some(secret) = secret {
                    table.insert(target.to_owned(), toml::Value::String(secret));
                }
            }
            (Some(_), Some(other)) => {
                return Err(ConfigError::Range {
                    value: other.type_str().to_owned(),
                    expected: "expected the path of a file".to_owned(),
                    key,
                });
            }
            _ => {}
        }
    }
    Ok(())
}

fn read_files_in_variables(
    variables: HashMap<String, String>,
) -> Result<HashMap<String, String>, ConfigError> {
    let mut read = HashMap::new();
    for (key, value) in variables.into_iter().filter(|(_, value)| !value.is_empty()) {
        match key.strip_suffix("_FILE") {
            Some(target) => read.insert(target.to_owned(), read_secret(&key, value)?),
            // A file wins over a plain variable whichever comes first.
            None if read.contains_key(&key) => None,
            None => read.insert(key, value),
        };
    }
    Ok(read)
}

fn read_secret(key: &str, path: String) -> Result<String, ConfigError> {
    match std::fs::read_to_string(&path) {
        Ok(text) if text.trim().is_empty() => Err(ConfigError::Range {
            key: key.to_owned(),
            value: path,
            expected: "the file is empty".to_owned(),
        }),
        Ok(text) => Ok(text.trim().to_owned()),
        Err(source) => Err(ConfigError::Secret { key: key.to_owned(), path: path.into(), source }),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, Default, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Section {
        rate: u32,
        password: String,
    }

    #[derive(Debug, Deserialize, Default, PartialEq)]
    #[serde(default)]
    struct Settings {
        faker: Section,
    }

    fn load(text: &str, variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let variables = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        from_parts(Path::new("tributary.toml"), text, variables.collect())
    }

    #[test]
    fn variables_win_over_the_file() {
        let settings = load("[faker]\nrate = 1", &[("TRIBUTARY__FAKER__RATE", "7")]).unwrap();
        assert_eq!(settings.faker.rate, 7);
    }

    #[test]
    fn numeric_looking_secrets_keep_their_leading_zero() {
        let settings = load("", &[("TRIBUTARY__FAKER__PASSWORD", "007")]).unwrap();
        assert_eq!(settings.faker.password, "007");
    }

    #[test]
    fn secret_files_are_read_and_trimmed_from_both_sources() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "hunter2\n").unwrap();
        let path = file.path().to_str().unwrap();
        let from_variable = load("", &[("TRIBUTARY__FAKER__PASSWORD_FILE", path)]).unwrap();
        let from_file = load(&format!("[faker]\npassword_file = {path:?}"), &[]).unwrap();
        assert_eq!(from_variable.faker.password, "hunter2");
        assert_eq!(from_file, from_variable);
    }

    #[test]
    fn missing_secret_file_is_named() {
        let error = load("", &[("TRIBUTARY__FAKER__PASSWORD_FILE", "/none/here")]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("TRIBUTARY__FAKER__PASSWORD_FILE") && text.contains("/none/here"), "{text}");
    }

    #[test]
    fn typo_names_the_key() {
        let error = load("[faker]\nrat = 1", &[]).unwrap_err().to_string();
        assert!(error.contains("rat") && error.contains("rate"), "{error}");
    }

    #[test]
    fn wrong_kind_names_key_and_value() {
        let error = load("", &[("TRIBUTARY__FAKER__RATE", "often")]).unwrap_err().to_string();
        assert!(error.contains("often") && error.contains("faker.rate"), "{error}");
    }

    #[test]
    fn file_that_is_no_toml_is_told_by_line_and_column_without_its_text() {
        let wrong = [
            ("[faker]\nrate = 1\npassword = hunter2\n", "line 3, column 12"),
            ("[faker]\npassword = \"hunter2\n", "line 2"),
            ("[faker]\npassword = hunter2 hunter2\n", "line 2"),
            ("password hunter2", "line 1"),
            ("password = 'a'\npassword = 'hunter2'", "line 2"),
            ("password = { hunter2", "line 1"),
            ("password = \"\\hunter2\"", "line 1"),
            ("password = 12hunter2", "line 1"),
        ];
        for (text, place) in wrong {
            let error = anyhow::Error::from(load(text, &[]).unwrap_err());
            for shown in [format!("{error:#}"), format!("{error:?}")] {
                assert!(!shown.contains("hunter2"), "{shown}");
            }
            assert!(
                format!("{error:#}").contains(place) && format!("{error:#}").contains("tributary.toml"),
                "{error:#}"
            );
        }
    }

    #[test]
    fn secret_of_the_wrong_kind_is_not_shown() {
        let wrong = [
            "[faker]\npassword = ['hunter2']",
            "[faker]\npassword = { value = 'hunter2' }",
            "[faker]\npassword = { hunter2 = 1 }",
            "faker = 'hunter2'",
            "faker = ['hunter2']",
            "[faker]\npasword = 'hunter2'",
        ];
        for text in wrong {
            let error = anyhow::Error::from(load(text, &[]).unwrap_err());
            for shown in [format!("{error:#}"), format!("{error:?}")] {
                assert!(!shown.contains("hunter2"), "{shown}");
            }
        }
        for variable in ["TRIBUTARY__FAKER", "TRIBUTARY__FAKER__PASSWORD__VALUE"] {
            let error = anyhow::Error::from(load("", &[(variable, "hunter2")]).unwrap_err());
            assert!(!format!("{error:#}{error:?}").contains("hunter2"), "{error:#}");
        }
    }

    #[test]
    fn unknown_sections_are_named_with_all_that_there_are() {
        for error in
            [load("[consumers]\nsink = 'csv'", &[]), load("", &[("TRIBUTARY__CONSUMERS__SINK", "csv")])]
        {
            let error = error.unwrap_err().to_string();
            assert!(
                error.contains("[consumers]") && error.contains("cassandra, companies, consumer,"),
                "{error}"
            );
        }
        load("[weather]\nkey = 1", &[("TRIBUTARY__CASSANDRA__USERNAME", "a")]).unwrap();
    }

    #[test]
    fn secret_that_is_no_path_or_empty_is_refused_and_names_its_key() {
        for text in
            ["[faker]\npassword_file = 5", "[faker]\npassword_file = ['/x']", "[faker]\npasword_file = 5"]
        {
            let error = load(text, &[]).unwrap_err().to_string();
            assert!(error.contains("word_file") && error.contains("path of a file"), "{error}");
        }
        let empty = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&empty, " \n").unwrap();
        let path = empty.path().to_str().unwrap();
        let variables =
            [("TRIBUTARY__FAKER__PASSWORD_FILE", path), ("TRIBUTARY__FAKER__PASSWORD", "hunter2")];
        let error = load("", &variables).unwrap_err().to_string();
        assert!(error.contains("TRIBUTARY__FAKER__PASSWORD_FILE") && error.contains(path), "{error}");
    }

    #[test]
    fn times_out_of_range_are_told_with_the_range() {
        let seconds = Duration::from_secs;
        let range = || seconds(1)..=seconds(60);
        check_time("consumer.csv_sync_every", seconds(60), range()).unwrap();
        let error = check_time("consumer.csv_sync_every", seconds(61), range()).unwrap_err().to_string();
        assert_eq!(error, "consumer.csv_sync_every = \"1m 1s\": expected 1s to 1m");
    }

    #[test]
    fn empty_variables_count_as_absent() {
        assert_eq!(load("", &[("TRIBUTARY__FAKER__RATE", "")]).unwrap(), Settings::default());
    }
}
