//! Fixtures and datasets for the tests, by name.

use std::fs;
use std::path::PathBuf;

use datasets::{
    Dataset, Event, Generated, Message, ParseError, Parsed, Polled, REGISTRY, SettingsError, Streamed,
    Upstream,
};
use serde_json::{Value, json};

pub(crate) fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The bytes of one fixture, such as `weather/at_sea.json`.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = fixtures().join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

/// All fixtures of a dataset.
pub(crate) fn fixture_names(dataset: &str) -> Vec<String> {
    let folder = fixtures().join(dataset);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("read {}: {error}", folder.display()));
    let names = entries.map(|entry| entry.expect("a readable folder").file_name());
    names.map(|name| format!("{dataset}/{}", name.to_str().expect("an ASCII name"))).collect()
}

pub(crate) fn dataset(name: &str) -> &'static Dataset {
    REGISTRY.iter().find(|dataset| dataset.name == name).unwrap_or_else(|| panic!("{name} is not registered"))
}

pub(crate) fn polled(name: &str, settings: &Value) -> Result<Box<dyn Polled>, SettingsError> {
    match &dataset(name).upstream {
        Upstream::Polled { new, .. } => new(settings),
        other => panic!("{name} is not polled but {other:?}"),
    }
}

pub(crate) fn streamed(name: &str, settings: &Value) -> Result<Box<dyn Streamed>, SettingsError> {
    match &dataset(name).upstream {
        Upstream::Streamed { new, .. } => new(settings),
        other => panic!("{name} is not streamed but {other:?}"),
    }
}

pub(crate) fn generated(settings: &Value, entropy: u64) -> Result<Box<dyn Generated>, SettingsError> {
    match &dataset("faker").upstream {
        Upstream::Generated { new, .. } => new(settings, entropy),
        other => panic!("faker is not generated but {other:?}"),
    }
}

/// Parses a body as the answer to the dataset's first request under its default settings.
pub(crate) fn parse(name: &str, body: &[u8]) -> Result<Parsed, ParseError> {
    let dataset = polled(name, &json!({})).expect("the defaults are valid");
    dataset.parse(&dataset.requests()[0], body)
}

/// Parses a fixture of which every item is good.
pub(crate) fn messages(fixture_name: &str) -> Vec<Message> {
    let (dataset, _) = fixture_name.split_once('/').expect("dataset/file");
    let parsed = parse(dataset, &fixture(fixture_name)).expect("a good body");
    assert_eq!(parsed.rejected, [], "{fixture_name}");
    parsed.messages
}

/// Parses a fixture of exactly one item; returns its key and its published value.
pub(crate) fn one(fixture_name: &str) -> (String, Value) {
    let messages = messages(fixture_name);
    assert_eq!(messages.len(), 1, "{fixture_name}");
    (messages[0].key.clone(), value(&messages[0]))
}

pub(crate) fn value(message: &Message) -> Value {
    serde_json::from_slice(&message.value).expect("a published value is JSON")
}

/// Parses a fixture that is the upstream's own error; returns its words and whether it is terminal.
pub(crate) fn refusal(fixture_name: &str) -> (String, bool) {
    let (dataset, _) = fixture_name.split_once('/').expect("dataset/file");
    match parse(dataset, &fixture(fixture_name)) {
        Err(ParseError::Refused { message, terminal }) => (message, terminal),
        other => panic!("{fixture_name} is not a refusal but {other:?}"),
    }
}

pub(crate) fn event(data: &str) -> Result<Event, ParseError> {
    streamed("wikipedia", &Value::Null).expect("the defaults are valid").parse(data)
}
