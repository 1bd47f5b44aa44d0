//! I1 to I3 of the producers' records: the upstream's history and the topic against the table.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};

use anyhow::{Context, Result};
use end_to_end::each_message;
use rdkafka::Message;
use scylla::value::CqlValue;

use super::{history, no_dead_letters};
use crate::feed::{Feed, Produced};
use crate::findings::{Findings, Violation};
use crate::stage::Stage;

/// Once the producers have ended and everything is committed: each record of a topic is one row, and where the upstream tells
/// its history again, nothing of it is missing between the first record and the last. Returns how many records there are.
pub(crate) async fn records(stage: &Stage<'_>, findings: &mut Findings) -> Result<usize> {
    let mut records = 0;
    for feed in &stage.feeds {
        if let Feed::Produced(produced) = feed {
            no_dead_letters(stage, produced.dataset.topic, findings);
            records += of_one(stage, produced, findings).await?;
        }
    }
    Ok(records)
}

async fn of_one(stage: &Stage<'_>, produced: &Produced, findings: &mut Findings) -> Result<usize> {
    // Of a value its hash is enough to tell that it is another.
    let hasher = RandomState::new();
    let mut published: BTreeMap<String, u64> = BTreeMap::new();
    let (mut first, mut last) = (None, None);
    each_message(&stage.world.brokers, produced.dataset.topic, |message| {
        let key = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
        let hash = hasher.hash_one(message.payload());
        if *published.entry(key.clone()).or_insert(hash) != hash {
            findings.add(Violation::Different, || format!("{key} is on the topic in two versions"));
        }
        first.get_or_insert_with(|| key.clone());
        last = Some(key);
    });
    let rows = rows(stage, produced).await?;
    for id in published.keys().filter(|id| !rows.contains_key(*id)) {
        findings.add(Violation::Lost, || format!("{id} is on the topic and not in the table"));
    }
    for (id, count) in &rows {
        if *count > 1 {
            findings.add(Violation::Doubled, || format!("{id} is {count} rows"));
        }
        if !published.contains_key(id) {
            findings.add(Violation::Invented, || format!("{id} is a row and not on the topic"));
        }
    }
    if let (Some(first), Some(last)) = (first, last)
        && produced.dataset.name == datasets::wikipedia::DATASET.name
    {
        let told = history::between(produced.simulators.http(), stage.opened_at, &first, &last).await?;
        compare(&told, &published, findings);
    }
    Ok(published.len())
}

fn compare(told: &BTreeSet<String>, published: &BTreeMap<String, u64>, findings: &mut Findings) {
    for id in told.iter().filter(|id| !published.contains_key(*id)) {
        findings.add(Violation::Lost, || format!("{id} was streamed and is not on the topic"));
    }
    for id in published.keys().filter(|id| !told.contains(*id)) {
        findings.add(Violation::Invented, || format!("{id} is on the topic and was never streamed"));
    }
}

// How many rows each id has: tables may have more than the id in their keys.
async fn rows(stage: &Stage<'_>, produced: &Produced) -> Result<BTreeMap<String, usize>> {
    let mut rows = BTreeMap::new();
    let question = format!("SELECT id FROM {}.{}", stage.world.name, produced.table());
    for row in stage.world.rows(&question).await {
        let id = row[0].as_ref().and_then(CqlValue::as_uuid).context("a row has an id")?;
        *rows.entry(id.to_string()).or_default() += 1;
    }
    Ok(rows)
}
