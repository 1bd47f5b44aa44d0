//! The first pass: a topic -> rows by their keys -> a glance at each.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::Utc;
use futures::StreamExt;
use futures::stream::FuturesOrdered;

use super::glance::{Glance, Look};
use super::letters::Letter;
use super::sources::{Sources, age_s};
use super::{Audit, Fault, Kind, Progress};
use crate::decode::{DataError, Decoded, Decoder};
use crate::key::Key;
use crate::message::{Chunk, Message};
use crate::plan::Plan;
use crate::rows::Rows;
use crate::store::Found;
use crate::topic::{Topics, Walk};

/// Rows that are read in one request.
pub(super) const READ_ROWS: usize = 64;
/// Bytes of such rows, as the messages have them.
const READ_BYTES: usize = 256 * 1024;
/// Requests at once, before another chunk is decoded.
const READS: usize = 8;

/// With so many times the faults that are named an audit ends: each trial reads the topics once more.
const FAULTS_TIMES: u64 = 10;

// Decoded rows of one plan, to be compared with the table.
struct Batch {
    topic: usize,
    route: usize,
    deletes: bool,
    rows: Rows,
    origins: Vec<Origin>,
}

struct Origin {
    partition: i32,
    offset: i64,
    timestamp_ms: Option<i64>,
    age_s: Option<i64>,
}

impl Origin {
    fn of(message: &Message<'_>, now_ms: i64) -> Self {
        let Message { partition, offset, timestamp_ms, .. } = *message;
        Self { partition, offset, timestamp_ms, age_s: age_s(message, now_ms) }
    }
}

// One open batch a plan.
type Open = BTreeMap<(usize, bool), Batch>;

impl<F: Fn(Progress)> Audit<'_, F> {
    /// Looks at every message to be judged of a topic.
    pub(super) async fn first(&mut self, topics: &Arc<Topics>, topic: usize) -> Result<(), String> {
        let sources = self.sources;
        let mut walk = Walk::start(topics, &self.topics[topic].name, self.topics[topic].judged.clone());
        let mut decoder = Decoder::default();
        let mut open = Open::new();
        let mut reads = FuturesOrdered::new();
        let mut ended = false;
        loop {
            let full = self.glance.is_full();
            if (ended || full) && reads.is_empty() {
                if !open.is_empty() {
                    reads.extend(std::mem::take(&mut open).into_values().map(|batch| read(sources, batch)));
                } else if full {
                    self.second().await?;
                } else {
                    return Ok(());
                }
            }
            tokio::select! {
                Some(answer) = reads.next() => self.look(&answer?),
                chunk = walk.next(), if !ended && !full && reads.len() < READS => match chunk? {
                    Some(chunk) => {
                        let batches = self.decode(topic, &chunk, &mut decoder, &mut open);
                        reads.extend(batches.into_iter().map(|batch| read(sources, batch)));
                        self.progress(0);
                    }
                    None => {
                        self.topics[topic].ended();
                        ended = true;
                    }
                },
                // Nothing left to wait for: the trial is over.
                else => {}
            }
        }
    }

    // Adds the chunk's rows to the open batches; returns those that are full.
    fn decode(&mut self, topic: usize, chunk: &Chunk, decoder: &mut Decoder, open: &mut Open) -> Vec<Batch> {
        let now_ms = Utc::now().timestamp_millis();
        let mut full = Vec::new();
        let name = self.topics[topic].name.clone();
        for run in chunk.spans() {
            let partition = run.partition.number;
            self.topics[topic].passed(partition, run.end, run.messages.len() as u64);
            self.looked_at += run.messages.len() as u64;
            for place in run.messages.clone() {
                let message = chunk.message(&name, partition, place);
                for route in self.topics[topic].routes.clone() {
                    let table = self.sources.routes[route].table;
                    let plan = self.sources.routes[route].plan.of(&message);
                    let batch =
                        open.entry((route, plan.deletes)).or_insert_with(|| Batch::new(topic, route, plan));
                    let bytes_max = self.settings.consumer.row_bytes_max;
                    let decoded = decoder.decode_within(bytes_max, plan, &message, now_ms, &mut batch.rows);
                    match decoded {
                        Ok(Decoded::Row) => {
                            batch.origins.push(Origin::of(&message, now_ms));
                            if batch.is_full(self.sources.rows_at_once(table)) {
                                full.extend(open.remove(&(route, plan.deletes)));
                            }
                        }
                        Ok(Decoded::Expired) => self.topics[topic].tally(route).counts.expired += 1,
                        Err(error) => self.dead(topic, route, &message, &error),
                    }
                }
            }
        }
        full
    }

    // A message that makes no row must have a dead letter.
    fn dead(&mut self, topic: usize, route: usize, message: &Message<'_>, error: &DataError) {
        let table = self.sources.routes[route].table;
        let Message { partition, offset, timestamp_ms, .. } = *message;
        let letter = self.topics[topic].letters.get(table, partition, offset, timestamp_ms);
        let counts = &mut self.topics[topic].tally(route).counts;
        match letter {
            Some(Letter::Waiting) => counts.dead_lettered += 1,
            Some(Letter::Purged) => counts.purged += 1,
            None => {
                counts.missing += 1;
                self.name(Fault {
                    kind: Kind::Missing,
                    topic: self.topics[topic].name.clone(),
                    partition,
                    offset,
                    table: self.sources.tables[table].name.clone(),
                    key: String::new(),
                    column: None,
                    detail: format!("neither row nor dead letter: {}: {}", error.class.name(), error.reason),
                });
            }
        }
    }

    fn look(&mut self, (batch, found): &(Batch, Found)) {
        let Batch { topic, route, deletes, rows, origins } = batch;
        let source = &self.sources.routes[*route];
        let plan = plan(&source.plan, *deletes);
        for (row, origin) in origins.iter().enumerate() {
            let Origin { partition, offset, timestamp_ms, age_s } = *origin;
            let effect = self.sources.effect(*route, plan, rows, row, age_s);
            let key = (source.table, source.key(plan, rows, row));
            let there = found.get(&key.1);
            let letter = self.topics[*topic].letters.get(source.table, partition, offset, timestamp_ms);
            // A row that was refused is not missed; it may have been stored all the same, later on.
            let look = match letter {
                Some(_) => Glance::default().look(&key, &effect, there),
                None => self.glance.look(&key, &effect, there),
            };
            let tally = self.topics[*topic].tally(*route);
            match (look, letter) {
                (Look::Stored, None) => tally.counts.stored += 1,
                // What is not there shows nothing of a delete.
                (Look::Stored, Some(_)) if !effect.deletes => tally.counts.stored += 1,
                (_, Some(Letter::Waiting)) => tally.counts.dead_lettered += 1,
                (_, Some(Letter::Purged)) => tally.counts.purged += 1,
                (Look::Superseded, None) => tally.counts.superseded += 1,
                (Look::Expired, None) => tally.counts.expired += 1,
                (Look::Open, None) => tally.open += 1,
            }
        }
    }

    /// Whether there are so many faults that more of them are not worth their reading.
    pub(super) fn is_hopeless(&self) -> Option<String> {
        let faults = self.faults.len() as u64 + self.faults_not_named;
        (faults >= FAULTS_TIMES * self.faults_max as u64).then(|| {
            format!(
                "{faults} faults are found, {FAULTS_TIMES} times as many as are named, and the rest is not judged; mend what is \
                 named, or name more (--named)"
            )
        })
    }

    /// Names a fault, or counts it where there are too many.
    pub(super) fn name(&mut self, fault: Fault) {
        if self.faults.len() < self.faults_max {
            self.faults.push(fault);
        } else {
            self.faults_not_named += 1;
        }
    }
}

impl Batch {
    fn new(topic: usize, route: usize, plan: &Plan) -> Self {
        Self { topic, route, deletes: plan.deletes, rows: Rows::new(plan.width()), origins: Vec::new() }
    }

    // A small message may be of a large row.
    fn is_full(&self, rows_at_once: usize) -> bool {
        self.origins.len() >= rows_at_once || self.rows.bytes.len() >= READ_BYTES
    }
}

async fn read(sources: &Sources, batch: Batch) -> Result<(Batch, Found), String> {
    let source = &sources.routes[batch.route];
    let plan = plan(&source.plan, batch.deletes);
    let mut keys: Vec<Key> = (0..batch.origins.len()).map(|row| source.key(plan, &batch.rows, row)).collect();
    keys.sort_unstable();
    keys.dedup();
    let found = if keys.is_empty() { Found::default() } else { sources.read(source.table, &keys).await? };
    Ok((batch, found))
}

fn plan(plan: &Plan, deletes: bool) -> &Plan {
    plan.delete.as_deref().filter(|_| deletes).unwrap_or(plan)
}
