//! The registry as a whole, and that no fixture lies around unread.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use datasets::{Dataset, Event, REGISTRY, Upstream};
use proptest::prelude::*;

use crate::bodies::{event, fixture, fixture_names, parse};

#[test]
fn the_five_datasets_are_registered_under_their_names() {
    let names: Vec<&str> = REGISTRY.iter().map(|dataset| dataset.name).collect();
    assert_eq!(names, ["weather", "faker", "wikipedia", "companies", "random-user"]);
}

#[test]
fn topics_and_tables_are_those_that_scripts_rely_on() {
    let ways: Vec<(&str, &str)> = REGISTRY.iter().map(|dataset| (dataset.topic, dataset.table)).collect();
    let expected = [
        ("weather", "kafkapipeline.weatherreport"),
        ("faker", "kafkapipeline.fakerdata"),
        ("wikipedia", "kafkapipeline.wikipediadata"),
        ("companies_created", "spark_streams.companies_created"),
        ("users_created", "spark_streams.created_users"),
    ];
    assert_eq!(ways, expected);
}

#[test]
fn no_two_datasets_share_a_name_a_topic_or_a_table() {
    let columns: [fn(&Dataset) -> &'static str; 4] = [|d| d.name, |d| d.topic, |d| d.table, |d| d.about];
    for get in columns {
        let distinct: HashSet<&str> = REGISTRY.iter().map(|dataset| get(dataset)).collect();
        assert_eq!(distinct.len(), REGISTRY.len(), "{distinct:?}");
    }
}

#[test]
fn sections_can_be_written_as_environment_variables() {
    let sections: Vec<String> = REGISTRY.iter().map(|dataset| dataset.section()).collect();
    assert_eq!(sections, ["weather", "faker", "wikipedia", "companies", "random_user"]);
}

#[test]
fn live_upstreams_are_asked_over_tls_and_without_a_trailing_slash() {
    for dataset in REGISTRY {
        let base_url = match dataset.upstream {
            Upstream::Polled { base_url, .. } | Upstream::Streamed { base_url, .. } => base_url,
            Upstream::Generated { .. } => continue,
        };
        assert!(base_url.starts_with("https://") && !base_url.ends_with('/'), "{base_url}");
    }
}

#[test]
fn every_fixture_is_named_in_its_datasets_tests() {
    let tests = [
        ("weather", include_str!("weather.rs")),
        ("wikipedia", include_str!("wikipedia.rs")),
        ("companies", include_str!("companies.rs")),
        ("random-user", include_str!("random_user.rs")),
    ];
    for (dataset, source) in tests {
        let names = fixture_names(dataset);
        assert!(names.len() > 9, "{dataset} has only {names:?}");
        for name in names {
            assert!(source.contains(&format!("\"{name}\"")), "no test reads {name}");
        }
    }
}

/// Every source file under a folder, with its path for the message.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a source folder") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else {
            let text = fs::read_to_string(&path).expect("UTF-8");
            found.push((path, text));
        }
    }
    found
}

#[test]
fn no_source_reaches_for_files_network_clock_environment_or_logs() {
    let impure = [
        "std::fs",
        "std::net",
        "std::env",
        "env!(",
        "std::process",
        "std::io",
        "::now(",
        "SystemTime",
        "Instant::",
        "rand::rng(",
        "thread_rng",
        "tokio",
        "tracing",
        "println!",
        "eprint",
        "Local::",
    ];
    let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(sources.len() >= 14, "only {} files were read", sources.len());
    for (path, text) in sources {
        for word in impure {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}

/// A good body with one stretch replaced: far closer to JSON than arbitrary bytes are.
fn damaged(dataset: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let names = fixture_names(dataset);
    let place = (0..names.len(), any::<prop::sample::Index>(), 0..40_usize);
    (place, prop::collection::vec(any::<u8>(), 0..20)).prop_map(move |((file, at, length), junk)| {
        let mut body = fixture(&names[file]);
        let at = at.index(body.len());
        let end = body.len().min(at + length);
        body.splice(at..end, junk);
        body
    })
}

proptest! {
    #[test]
    fn parsing_arbitrary_bytes_never_panics(body in prop::collection::vec(any::<u8>(), 0..400)) {
        for dataset in ["weather", "companies", "random-user"] {
            let parsed = parse(dataset, &body);
            prop_assert!(parsed.is_err(), "{dataset} took junk for a body: {parsed:?}");
        }
        let parsed = event(&String::from_utf8_lossy(&body));
        prop_assert!(parsed.is_err(), "junk became an event: {parsed:?}");
    }

    #[test]
    fn what_parsing_makes_of_damaged_bodies_is_an_error_or_json(
        weather in damaged("weather"),
        companies in damaged("companies"),
        users in damaged("random-user"),
        change in damaged("wikipedia"),
    ) {
        for (dataset, body) in [("weather", weather), ("companies", companies), ("random-user", users)] {
            for message in parse(dataset, &body).map(|parsed| parsed.messages).unwrap_or_default() {
                let value: serde_json::Value = serde_json::from_slice(&message.value)?;
                prop_assert!(value.is_object() && !message.key.is_empty(), "{value}");
            }
        }
        if let Ok(Event::Change { message, .. }) = event(&String::from_utf8_lossy(&change)) {
            let value: serde_json::Value = serde_json::from_slice(&message.value)?;
            prop_assert!(value["id"] == message.key.as_str(), "{value}");
        }
    }
}
