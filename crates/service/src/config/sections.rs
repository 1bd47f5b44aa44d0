//! Some sections of the configuration, however wrong the others are: for whoever looks for what is wrong.

use std::collections::HashMap;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::variables::variables;
use super::{ConfigError, PREFIX, file, from_parts, not_toml};

/// As [`super::load`], of the sections that `keeps` names; the others are as if they were not there.
///
/// # Errors
/// As there. A file that is not TOML has no sections, so that it is an error of each.
pub fn load_only<T: DeserializeOwned>(keeps: impl Fn(&str) -> bool) -> Result<T, ConfigError> {
    let (path, text) = file()?;
    only(&path, &text, variables(std::env::vars_os())?, keeps)
}

fn only<T: DeserializeOwned>(
    path: &Path,
    text: &str,
    mut variables: HashMap<String, String>,
    keeps: impl Fn(&str) -> bool,
) -> Result<T, ConfigError> {
    let mut table: toml::Table = text.parse().map_err(|error| not_toml(path, text, &error))?;
    table.retain(|section, _| keeps(section));
    variables.retain(|key, _| keeps(&section(key)));
    from_parts(path, &table.to_string(), variables)
}

// `TRIBUTARY__RANDOM_USER__EVERY` -> `random_user`
fn section(key: &str) -> String {
    let rest = key.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix("__")).unwrap_or(key);
    rest.split("__").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::super::SECTIONS;
    use super::*;

    #[derive(Debug, Deserialize, Default, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Section {
        every: u32,
        password: String,
    }

    #[derive(Debug, Deserialize, Default, PartialEq)]
    #[serde(default)]
    struct Settings {
        kafka: Section,
        random_user: Section,
    }

    fn load(keeps: impl Fn(&str) -> bool) -> Result<Settings, ConfigError> {
        let text = "[kafka]\npassword_file = '/none/here'\n[random_user]\nevery = 1\n[wether]\nkey = 1";
        let variables = [("TRIBUTARY__RANDOM_USER__EVERY", "7"), ("TRIBUTARY__KAFKA__EVERY", "often")];
        let variables = variables.map(|(key, value)| (key.to_owned(), value.to_owned()));
        only(Path::new("tributary.toml"), text, variables.into(), keeps)
    }

    #[test]
    fn a_section_is_read_whatever_is_wrong_in_the_others() {
        assert_eq!(load(|section| section == "random_user").unwrap().random_user.every, 7);
        assert_eq!(load(|_| false).unwrap(), Settings::default());
        let error = load(|section| section == "kafka").unwrap_err().to_string();
        assert!(error.contains("/none/here"), "{error}");
    }

    #[test]
    fn sections_that_nobody_has_can_be_asked_for_alone() {
        let error = load(|section| !SECTIONS.contains(&section)).unwrap_err().to_string();
        assert!(error.contains("[wether]"), "{error}");
    }
}
