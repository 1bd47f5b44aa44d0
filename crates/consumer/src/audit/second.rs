//! The second pass: open rows are read once more, then all of their messages, wherever they are.
//!
//! The rows come first and the topics' ends after them: whatever a row holds was on a topic by then.

use std::sync::Arc;

use chrono::Utc;
use futures::future::try_join_all;

use super::glance::RowKey;
use super::sources::{FoundByTable, age_s};
use super::trial::{self, Trial};
use super::{Audit, AuditedTopic, Fault, Kind, Progress, Tally, connect, heard};
use crate::decode::{Decoded, Decoder};
use crate::key::Key;
use crate::message::Message;
use crate::rows::Rows;
use crate::store::{Found, FoundRow};
use crate::topic::{Ranges, Topics, Walk};

/// Cells of the rows that are on trial at once, each row's existence being one.
const CELLS_MAX: usize = 500_000;
/// Bytes of such rows and of their keys.
const BYTES_MAX: usize = 32 << 20;
/// Requests at once.
const READS: usize = 8;

/// A message of some topic, by one of its routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    topic: usize,
    route: usize,
    partition: i32,
    offset: i64,
}

// What is read of the topics, one after the other.
enum Part {
    /// From where the audit begins.
    Since,
    /// What is before that.
    Before,
}

impl<F: Fn(Progress)> Audit<'_, F> {
    /// Judges all rows that are open, and names the faults among what was looked at since the last time.
    pub(super) async fn second(&mut self) -> Result<(), String> {
        let mut rows: Vec<RowKey> = self.glance.take().into_iter().collect();
        if !rows.is_empty() {
            // Another client: the first pass may be in the middle of a topic.
            let topics = connect(self.settings).await.map_err(|error| error.to_string())?;
            rows.sort_unstable();
            while !rows.is_empty() {
                self.progress(rows.len());
                self.try_some(&topics, &mut rows).await?;
                if let Some(why) = self.is_hopeless() {
                    return Err(why);
                }
            }
        }
        for topic in &mut self.topics {
            for Tally { counts, open, faulty } in topic.tallies.values_mut() {
                // Whatever was open, or waited for another message, was superseded unless it was found faulty.
                counts.superseded =
                    (counts.superseded + std::mem::take(open)).saturating_sub(std::mem::take(faulty));
            }
            for segment in topic.segment.values_mut() {
                segment.start = segment.end;
            }
        }
        Ok(())
    }

    async fn try_some(&mut self, topics: &Arc<Topics>, rows: &mut Vec<RowKey>) -> Result<(), String> {
        let (on_trial, found) = self.read_some(rows).await?;
        let mut trial = Trial::of(on_trial.iter().cloned());
        for part in [Part::Since, Part::Before] {
            for topic in 0..self.topics.len() {
                let ranges = self.topics[topic].part(topics, &part).await?;
                self.hear(topics, topic, ranges, &mut trial, &found).await?;
            }
            let faulty = |row: &RowKey| !trial.faults(row, there(&found, row)).is_empty();
            if !on_trial.iter().any(faulty) {
                break;
            }
        }
        for row in &on_trial {
            let there = there(&found, row);
            let faults = trial.faults(row, there);
            if faults.is_empty() {
                self.glance.settle(row, there);
            }
            for fault in faults {
                self.sentence(row, there, &fault);
            }
        }
        Ok(())
    }

    // As many of the rows as may be on trial at once.
    async fn read_some(&self, rows: &mut Vec<RowKey>) -> Result<(Vec<RowKey>, FoundByTable), String> {
        let mut taken = Vec::new();
        let mut found = FoundByTable::new();
        let (mut cells, mut bytes) = (0, 0);
        while let Some((table, _)) = rows.last()
            && cells < CELLS_MAX
            && bytes < BYTES_MAX
        {
            let table = *table;
            let at_once = self.sources.rows_at_once(table);
            let first = rows.partition_point(|row| row.0 < table);
            let wave = rows.split_off(rows.len().saturating_sub(READS * at_once).max(first));
            let reads = wave.chunks(at_once).map(async |batch: &[RowKey]| {
                let keys: Vec<Key> = batch.iter().map(|(_, key)| key.clone()).collect();
                self.sources.read(table, &keys).await
            });
            let columns = self.sources.tables[table].select.columns().len();
            let of_table = found.entry(table).or_insert_with(|| Found::new(columns));
            for rows in try_join_all(reads).await? {
                of_table.extend(&rows).map_err(|error| error.to_string())?;
                bytes += rows.bytes();
            }
            cells += wave.len() * (columns + 1);
            bytes += wave.iter().map(|(_, key)| key.packed().len()).sum::<usize>();
            taken.extend(wave);
        }
        Ok((taken, found))
    }

    async fn hear(
        &self,
        topics: &Arc<Topics>,
        topic: usize,
        ranges: Ranges,
        trial: &mut Trial<Place>,
        found: &FoundByTable,
    ) -> Result<(), String> {
        let of = &self.topics[topic];
        let mut walk = Walk::start(topics, &of.name, ranges);
        let mut decoder = Decoder::default();
        let mut rows = Rows::default();
        while let Some(chunk) = walk.next().await? {
            let now_ms = Utc::now().timestamp_millis();
            for run in chunk.spans() {
                let partition = run.partition.number;
                for place in run.messages.clone() {
                    let message = chunk.message(&of.name, partition, place);
                    for route in &of.routes {
                        let source = &self.sources.routes[*route];
                        let plan = source.plan.of(&message);
                        rows.widen(plan.width());
                        let bytes_max = self.settings.consumer.row_bytes_max;
                        let decoded =
                            heard::decode(&mut decoder, bytes_max, plan, &message, now_ms, &mut rows);
                        let Some(decoded) = decoded else { continue };
                        let row = (source.table, source.key(plan, &rows, 0));
                        if !trial.knows(&row) {
                            continue;
                        }
                        let expired = decoded == Decoded::Expired;
                        let mut effect = self.sources.effect(*route, plan, &rows, 0, age_s(&message, now_ms));
                        effect.fades |= expired;
                        let place = Place { topic, route: *route, partition, offset: message.offset };
                        let certain = !expired && of.is_certain(source.table, &message);
                        let selected = self.sources.tables[source.table].select.columns();
                        trial.hear(&row, &effect, there(found, &row), selected, certain, &place);
                    }
                }
            }
        }
        Ok(())
    }

    fn sentence(&mut self, row: &RowKey, found: Option<FoundRow<'_>>, fault: &trial::Fault<Place>) {
        let Place { topic, route, partition, offset } = fault.place;
        // Each message is in one segment of the first pass, where its row was open.
        let segment = self.topics[topic].segment.get(&partition);
        if !segment.is_some_and(|segment| segment.contains(&offset)) {
            return;
        }
        let tally = self.topics[topic].tally(route);
        tally.counts.fault(fault.kind);
        tally.faulty += 1;
        let table = &self.sources.tables[row.0];
        let column = fault.column.map(|column| (table.select.columns()[column].name.clone(), column));
        let plan = &self.sources.routes[route].plan;
        let detail = match &column {
            None => "no row, no dead letter, and no later delete".to_owned(),
            Some((name, place)) => {
                let there = found.and_then(|found| found.cell(*place));
                let codec =
                    plan.columns.iter().find(|column| column.name == *name).map(|column| &column.codec);
                words(
                    name,
                    fault,
                    there.map(|(bytes, at)| (codec.map_or_else(String::new, |codec| codec.show(bytes)), at)),
                )
            }
        };
        self.name(Fault {
            kind: fault.kind,
            topic: self.topics[topic].name.clone(),
            partition,
            offset,
            table: table.name.clone(),
            key: table.key_text(&row.1),
            column: column.map(|(name, _)| name),
            detail,
        });
    }
}

impl AuditedTopic {
    // Whether the message must be in its table.
    fn is_certain(&self, table: usize, message: &Message<'_>) -> bool {
        let Message { partition, offset, timestamp_ms, .. } = *message;
        self.judged.get(&partition).is_some_and(|judged| judged.contains(&offset))
            && self.letters.get(table, partition, offset, timestamp_ms).is_none()
    }

    // The offsets of a part, as they are now.
    async fn part(&self, topics: &Arc<Topics>, part: &Part) -> Result<Ranges, String> {
        let (topics, name) = (Arc::clone(topics), self.name.clone());
        let now = tokio::task::spawn_blocking(move || topics.ranges(&name)).await;
        let mut ranges = now.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        for (number, range) in &mut ranges {
            let since = self.judged.get(number).map_or(range.start, |judged| judged.start);
            let since = since.clamp(range.start, range.end);
            *range = match part {
                Part::Since => since..range.end,
                Part::Before => range.start..since,
            };
        }
        Ok(ranges)
    }
}

fn there<'a>(found: &'a FoundByTable, row: &RowKey) -> Option<FoundRow<'a>> {
    found.get(&row.0)?.get(&row.1)
}

fn words(column: &str, fault: &trial::Fault<Place>, found: Option<(String, i64)>) -> String {
    let more = match fault.more {
        0 => String::new(),
        more => format!("; {more} more columns alike"),
    };
    let Some((value, at)) = found else { return format!("{column} is not there{more}") };
    let what = match fault.kind {
        Kind::Stale => format!("of the older WRITETIME {at}, this message's is {}", fault.writetime),
        _ => format!("of the WRITETIME {at}, which none of the messages has written there"),
    };
    format!("{column} is {value} {what}{more}")
}
