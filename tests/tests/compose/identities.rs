//! What identifies a record: as published on its topic, and as the key of its row.

use std::collections::BTreeMap;

use datasets::Dataset;
use end_to_end::messages;
use futures::TryStreamExt;
use scylla::client::session_builder::SessionBuilder;
use scylla::value::{CqlValue, Row};

/// The columns that make a dataset's row one of its kind, as fields of the message too.
fn identity(dataset: &Dataset) -> &'static [&'static str] {
    if dataset.name == "weather" { &["city", "observed_at"] } else { &["id"] }
}

/// How often each identity occurs.
pub(crate) type Identities = BTreeMap<String, usize>;

/// Identities of all messages on the topic.
pub(crate) fn published(listener: &str, dataset: &Dataset) -> Identities {
    let of = |value: &[u8]| {
        let record: serde_json::Value = serde_json::from_slice(value).unwrap();
        let fields = identity(dataset).iter().map(|field| record[field].as_str().unwrap().to_owned());
        fields.collect::<Vec<_>>().join(" ")
    };
    counted(messages(listener, dataset.topic).iter().map(|message| of(&message.value)))
}

/// Identities of all rows in the table; empty while the node does not answer.
pub(crate) fn stored(dataset: &Dataset) -> Identities {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    counted(runtime.block_on(scan(dataset)).unwrap_or_default().into_iter())
}

fn counted(identities: impl Iterator<Item = String>) -> Identities {
    let mut counts = Identities::new();
    for identity in identities {
        *counts.entry(identity).or_default() += 1;
    }
    counts
}

async fn scan(dataset: &Dataset) -> anyhow::Result<Vec<String>> {
    let session =
        SessionBuilder::new().known_node("localhost:9042").user("cassandra", "cassandra").build().await?;
    let question = format!("SELECT {} FROM {}", identity(dataset).join(", "), dataset.table);
    let rows = session.query_iter(question, ()).await?.rows_stream::<Row>()?;
    rows.map_err(anyhow::Error::from)
        .map_ok(|row| row.columns.iter().map(text).collect::<Vec<_>>().join(" "))
        .try_collect()
        .await
}

fn text(cell: &Option<CqlValue>) -> String {
    match cell {
        Some(CqlValue::Text(text)) => text.clone(),
        Some(CqlValue::Uuid(id)) => id.to_string(),
        Some(CqlValue::Timestamp(at)) => chrono::DateTime::from_timestamp_millis(at.0)
            .unwrap()
            .to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        other => panic!("no identity: {other:?}"),
    }
}
