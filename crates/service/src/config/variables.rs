//! The environment -> those of its variables that are settings.

use std::collections::HashMap;
use std::ffi::OsString;

use super::{ConfigError, PREFIX, SECTIONS};

// Ours; others may hold any bytes.
pub(super) fn variables(
    all: impl Iterator<Item = (OsString, OsString)>,
) -> Result<HashMap<String, String>, ConfigError> {
    let prefix = format!("{PREFIX}__");
    let texts: Vec<(String, OsString)> =
        all.filter_map(|(key, value)| Some((key.into_string().ok()?, value))).collect();
    for (key, _) in texts.iter().filter(|(_, value)| !value.is_empty()) {
        if let Some(meant) = meant(key) {
            return Err(ConfigError::Section(format!(
                "{key} is no setting: write {meant}, with two underscores"
            )));
        }
    }
    texts
        .into_iter()
        .filter(|(key, _)| key.starts_with(&prefix))
        .map(|(key, value)| match value.into_string() {
            Ok(value) => Ok((key, value)),
            Err(_) => Err(ConfigError::Range {
                key,
                value: "...".to_owned(),
                expected: "the value is not UTF-8".to_owned(),
            }),
        })
        .collect()
}

// `TRIBUTARY_KAFKA__BROKERS` -> `TRIBUTARY__KAFKA__BROKERS`: one underscore too few would be ignored in silence. Names without
// two underscores behind a section are others', those of a Kubernetes service called tributary-kafka for instance.
fn meant(key: &str) -> Option<String> {
    let rest = key.strip_prefix(PREFIX)?.strip_prefix('_')?;
    let lower = rest.to_ascii_lowercase();
    let is_of = |section: &&str| lower.strip_prefix(section).is_some_and(|tail| tail.starts_with("__"));
    SECTIONS.iter().any(is_of).then(|| format!("{PREFIX}__{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn variable_that_is_no_text_is_named() {
        use std::os::unix::ffi::OsStringExt;
        let bytes = OsString::from_vec(vec![b'a', 0xff]);
        assert!(variables([("OTHER".into(), bytes.clone())].into_iter()).unwrap().is_empty());
        let error = variables([("TRIBUTARY__KAFKA__BROKERS".into(), bytes)].into_iter()).unwrap_err();
        assert!(error.to_string().contains("TRIBUTARY__KAFKA__BROKERS"), "{error}");
    }

    #[test]
    fn variable_with_one_underscore_too_few_is_refused_with_the_name_that_is_meant() {
        let read = |key: &str| variables([(key.into(), "hunter2".into())].into_iter());
        for (wrong, right) in [
            ("TRIBUTARY_KAFKA__BROKERS", "TRIBUTARY__KAFKA__BROKERS"),
            ("TRIBUTARY_RANDOM_USER__EVERY", "TRIBUTARY__RANDOM_USER__EVERY"),
        ] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains(wrong) && error.contains(right) && !error.contains("hunter2"), "{error}");
        }
        for other in [
            "TRIBUTARY_CONFIG",
            "TRIBUTARY_CACHE",
            "TRIBUTARY_TEST_BACKEND",
            "TRIBUTARY_TEST_KAFKA",
            "TRIBUTARY_KAFKA_SERVICE_HOST",
            "TRIBUTARY_CONSUMER_ENV_TRIBUTARY__KAFKA__BROKERS",
            "TRIBUTARY_HTTPS__X",
        ] {
            assert!(read(other).unwrap().is_empty(), "{other}");
        }
        assert!(variables([("TRIBUTARY_KAFKA__BROKERS".into(), "".into())].into_iter()).unwrap().is_empty());
    }
}
