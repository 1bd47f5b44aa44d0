//! I1 to I3 of the producers' records: the upstream's history and the topic against the table.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use end_to_end::{committed, each_message, writetime};
use rdkafka::Message;
use scylla::value::CqlValue;

use super::{history, no_dead_letters};
use crate::feed::{Feed, Produced};
use crate::findings::{Findings, Violation};
use crate::stage::Stage;

/// Once the producers have ended: each record of a topic is there once and is one row if it is committed, and where the upstream
/// tells its history again, nothing of it is missing between the first record and the last. Returns how many records there are.
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

/// A message of a topic, or a row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    writetime: i64,
    /// Of one column, to see that the row is of the message.
    cell: Option<String>,
    /// How often it is there.
    count: usize,
}

impl Record {
    // Of two of one id, the one that wins.
    fn note(self, known: &mut BTreeMap<String, Self>, id: String) {
        let count = known.get(&id).map_or(0, |record| record.count) + 1;
        match known.get_mut(&id) {
            Some(record) if record.writetime >= self.writetime => record.count = count,
            _ => drop(known.insert(id, Self { count, ..self })),
        }
    }
}

async fn of_one(stage: &Stage<'_>, produced: &Produced, findings: &mut Findings) -> Result<usize> {
    let column = produced.column();
    let committed = committed(&stage.world.brokers, &stage.world.name, produced.dataset.topic);
    let mut published: BTreeMap<String, Record> = BTreeMap::new();
    let mut due = BTreeSet::new();
    let (mut first, mut last) = (None, None);
    each_message(&stage.world.brokers, produced.dataset.topic, |message| {
        let key = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
        let value: serde_json::Value =
            serde_json::from_slice(message.payload().unwrap_or_default()).unwrap_or_default();
        let cell = value[column].as_str().map(str::to_owned);
        Record { writetime: writetime(message), cell, count: 0 }.note(&mut published, key.clone());
        if message.offset() < committed[&message.partition()] {
            due.insert(key.clone());
        }
        first.get_or_insert_with(|| key.clone());
        last = Some(key);
    });
    for (id, record) in published.iter().filter(|(_, record)| record.count > 1) {
        findings.add(Violation::Doubled, || format!("{id} is {} times on the topic", record.count));
    }
    let rows = rows(stage, produced).await?;
    for id in due.iter().filter(|id| !rows.contains_key(*id)) {
        findings.add(Violation::Lost, || format!("{id} is on the topic and not in the table"));
    }
    for (id, row) in &rows {
        if row.count > 1 {
            findings.add(Violation::Doubled, || format!("{id} is {} rows", row.count));
        }
        match published.get(id) {
            None => {
                findings.add(Violation::Invented, || format!("{id} is a row and not on the topic"));
            }
            Some(record) if row.cell != record.cell || row.writetime != record.writetime => {
                findings.add(Violation::Different, || format!("{id}: {row:?} of {record:?}"));
            }
            Some(_) => {}
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

fn compare(told: &BTreeSet<String>, published: &BTreeMap<String, Record>, findings: &mut Findings) {
    for id in told.iter().filter(|id| !published.contains_key(*id)) {
        findings.add(Violation::Lost, || format!("{id} was streamed and is not on the topic"));
    }
    for id in published.keys().filter(|id| !told.contains(*id)) {
        findings.add(Violation::Invented, || format!("{id} is on the topic and was never streamed"));
    }
}

// Tables may have more than the id in their keys.
async fn rows(stage: &Stage<'_>, produced: &Produced) -> Result<BTreeMap<String, Record>> {
    let mut rows = BTreeMap::new();
    let (table, column) = (produced.table(), produced.column());
    let question = format!("SELECT id, writetime({column}), {column} FROM {}.{table}", stage.world.name);
    for row in stage.world.rows(&question).await {
        let id = row[0].as_ref().and_then(CqlValue::as_uuid).context("a row has an id")?;
        let writetime = row[1].as_ref().and_then(CqlValue::as_bigint).context("a row has that column")?;
        let cell = row[2].as_ref().and_then(CqlValue::as_text).cloned();
        Record { writetime, cell, count: 0 }.note(&mut rows, id.to_string());
    }
    Ok(rows)
}
