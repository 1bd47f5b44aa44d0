//! The CSV sink: chunks -> fields -> one file a table and partition, which is its own checkpoint.
//!
//! Exactly once per offset, across kill -9: a file's rows and the offset behind them become durable together
//! (`file`). One process owns the folder, by a lock, and takes all partitions itself: a group would hand a file to
//! two members for a moment.

mod file;
mod folder;
mod letters;
mod topics;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use service::Service;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::dead_letter::DeadLetters;
use crate::decode::{Decoded, Decoder};
use crate::message::{Chunk, Partition, Span};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::receive::{Assignment, Control, Receiver};
use crate::route::{Problem, Route, listed};
use crate::rows::{CellValue, Rows};
use crate::settings::Settings;
use file::{Checkpoint, FileSync};
use folder::Files;
use letters::Letters;
use topics::Topics;

/// How long the end waits for dead letters.
const LETTERS_PATIENCE: Duration = Duration::from_secs(3);
/// More dead letters on their way: nothing is received.
const LETTERS_MAX: usize = 1_000;
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);
const POLLING_ENDED: &str =
    "the thread that reads from kafka has ended; a restart goes on from the files' checkpoints";

/// A partition, and the place of a plan among the plans.
type FileId = (Partition, usize);

/// Consumes into files until the service is told to stop.
///
/// # Errors
/// The folder cannot be used, a file does not belong to its topic, or the disk refuses.
pub async fn run(settings: Settings, routes: Vec<Route>, service: Service) -> anyhow::Result<()> {
    let plans = plans(&routes).map_err(|problems| anyhow::anyhow!(listed(&problems)))?;
    let folder = settings.consumer.csv_dir.clone();
    let _lock = folder::lock(&folder)?;
    let mut names: Vec<String> = plans.iter().flat_map(|plan| plan.topics.clone()).collect();
    names.sort();
    names.dedup();
    let topics = Topics::new(&settings, &names)?;
    let Some(ranges) = topics.ranges(&service).await? else { return Ok(()) };
    // Files are opened, and cut to their checkpoints, only when all of them belong to their topics.
    let places = folder::places(&folder, &plans, &names, &ranges)?;
    folder::within(&places)?;
    let last_messages = folder::last_messages(&places);
    let Some(found) = topics.first_messages(&service, last_messages).await? else { return Ok(()) };
    folder::same_topics(&places, &found)?;
    let (files, positions) = folder::open(places)?;
    let starts = positions.iter().map(|(partition, start)| (*partition, *start)).collect();
    let receiver = Receiver::start(&settings, names, &Assignment::Fixed(starts))?;
    let dead_letters = DeadLetters::new(&settings.kafka, &settings.consumer.group, service.health.clone())?;
    info!(folder = %folder.display(), files = files.len(), "writing csv files");
    CsvSink::new(settings, service, receiver, plans, files, positions, dead_letters).run().await
}

// A file has one writer: two routes of one topic into one table would need two.
fn plans(routes: &[Route]) -> Result<Vec<Plan>, Vec<Problem>> {
    let mut plans: Vec<Plan> = Vec::new();
    let mut owners: BTreeMap<(String, String), Problem> = BTreeMap::new();
    let mut problems = Vec::new();
    for route in routes {
        let plan = match Plan::for_csv(route) {
            Ok(plan) => plan,
            Err(found) => {
                problems.extend(found);
                continue;
            }
        };
        let at = |message: String| route.file.problem(&route.table.span(), message);
        for topic in &plan.topics {
            let key = (plan.table.clone(), topic.clone());
            if let Some(Problem { file, line, column, .. }) = owners.get(&key) {
                problems.push(at(format!(
                    "topic {topic} into table {} is written by {}:{line}:{column} already, and both would write one \
                     CSV file; name another table here, or remove one of the two",
                    plan.table,
                    file.display()
                )));
            } else {
                owners.insert(key, at(String::new()));
            }
        }
        plans.push(plan);
    }
    if problems.is_empty() { Ok(plans) } else { Err(problems) }
}

struct CsvSink {
    settings: Settings,
    service: Service,
    receiver: Receiver,
    plans: Vec<Plan>,
    files: Files,
    /// The offset behind what was read of each partition.
    positions: BTreeMap<Partition, i64>,
    decoder: Decoder,
    rows: Rows,
    progress: Progress,
    letters: Letters,
    /// One round of all files at most.
    syncing: JoinSet<anyhow::Result<Vec<(FileId, Checkpoint)>>>,
    synced_at: Instant,
}

impl CsvSink {
    fn new(
        settings: Settings,
        service: Service,
        receiver: Receiver,
        plans: Vec<Plan>,
        files: Files,
        positions: BTreeMap<Partition, i64>,
        dead_letters: DeadLetters,
    ) -> Self {
        Self {
            progress: Progress::new(receiver.shared.topics.clone(), &plans),
            settings,
            service,
            receiver,
            plans,
            files,
            positions,
            decoder: Decoder::default(),
            rows: Rows::default(),
            letters: Letters::new(dead_letters),
            syncing: JoinSet::new(),
            synced_at: Instant::now(),
        }
    }

    async fn run(mut self) -> anyhow::Result<()> {
        let shutdown = self.service.shutdown.clone();
        let mut ticks =
            tokio::time::interval(Duration::from_secs(1).min(self.settings.consumer.csv_sync_every));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.service.health.green("files");
        while !shutdown.is_cancelled() {
            let hungry = self.letters.len() <= LETTERS_MAX;
            let over = tokio::select! {
                biased;
                () = shutdown.cancelled() => None,
                Some(synced) = self.syncing.join_next() => {
                    self.synced(synced??);
                    None
                }
                control = self.receiver.control.recv() => {
                    self.control(control.context(POLLING_ENDED)?)?;
                    None
                }
                Some(acknowledged) = self.letters.acknowledged() => {
                    acknowledged?;
                    None
                }
                _ = ticks.tick() => {
                    self.tick()?;
                    self.grew()
                }
                delivery = self.receiver.chunks.recv(), if hungry => {
                    self.take_in(&Arc::new(delivery.context(POLLING_ENDED)?.chunk))?
                }
            };
            if let Some(reason) = over {
                // What was read of a topic that was recreated is nowhere else any more.
                self.finish().await?;
                bail!(reason);
            }
            // Under load the ticks come late: the time since the last sync counts.
            if self.synced_at.elapsed() >= self.settings.consumer.csv_sync_every && self.syncing.is_empty() {
                self.begin_sync()?;
            }
        }
        self.finish().await?;
        info!(stored = self.progress.totals().stored, "files synced");
        self.receiver.stop(CLOSE_PATIENCE).await;
        Ok(())
    }

    // Returns why nothing more can be taken in, if so.
    fn take_in(&mut self, chunk: &Arc<Chunk>) -> anyhow::Result<Option<String>> {
        let now_ms = chrono::Utc::now().timestamp_millis();
        for span in chunk.spans() {
            if let Some(reason) = self.went_back(span) {
                return Ok(Some(reason));
            }
            self.progress.read(span.partition, span.messages.len());
            let topic = &self.receiver.shared.topics[span.partition.topic];
            for (&id, file) in self.files.range_mut((span.partition, 0)..=(span.partition, usize::MAX)) {
                let plan = &self.plans[id.1];
                for place in span.messages.clone() {
                    let message = chunk.message(topic, span.partition.number, place);
                    // Another file of this partition was behind this one at the start.
                    if message.offset < file.next_offset() {
                        continue;
                    }
                    self.rows.widen(plan.width());
                    match self.decoder.decode(plan, &message, now_ms, &mut self.rows) {
                        Ok(Decoded::Row) => {
                            file.append(message.offset, message.timestamp_ms, fields(&self.rows))?;
                            self.progress.stored(span.partition, message.timestamp_ms, now_ms);
                        }
                        Ok(Decoded::Expired) => {
                            file.pass(message.offset, message.timestamp_ms);
                            self.progress.expired(span.partition);
                        }
                        Err(error) => {
                            self.progress.dead(span.partition, error.class, message.offset, &error.reason);
                            self.letters.send(id, chunk, plan, &message, &error);
                            file.pass(message.offset, message.timestamp_ms);
                        }
                    }
                }
            }
        }
        Ok(None)
    }

    // Partitions are fixed and nothing is sought: offsets that come again are those of another topic.
    fn went_back(&mut self, span: &Span) -> Option<String> {
        let Span { partition, first, end, .. } = *span;
        let position = self.positions.entry(partition).or_insert(first);
        if first >= *position {
            *position = end;
            return None;
        }
        let topic = &self.receiver.shared.topics[partition.topic];
        let files = self.files.range((partition, 0)..=(partition, usize::MAX));
        let reasons: Vec<String> = files
            .map(|(_, file)| {
                let but = format!("begins again at {first}");
                folder::ahead(file.path(), file.next_offset(), topic, partition, &but)
            })
            .collect();
        Some(reasons.join("\n  "))
    }

    // The partitions are those of the start.
    fn grew(&self) -> Option<String> {
        let shared = &self.receiver.shared;
        let new = shared.others().into_iter().find(|partition| !self.positions.contains_key(partition))?;
        let topic = &shared.topics[new.topic];
        Some(format!("topic {topic} has got partition {}: a restart begins a file for it", new.number))
    }

    // The offsets may pass a dead letter only when Kafka has it. Reading goes on meanwhile.
    fn begin_sync(&mut self) -> anyhow::Result<()> {
        self.synced_at = Instant::now();
        let mut syncs = Vec::new();
        for (&id, file) in &mut self.files {
            syncs.extend(file.begin_sync(self.letters.settled(id))?.map(|sync| (id, sync)));
        }
        if !syncs.is_empty() {
            let run = |(id, sync): (FileId, FileSync)| Ok((id, sync.run()?));
            self.syncing.spawn_blocking(move || syncs.into_iter().map(run).collect());
        }
        Ok(())
    }

    fn synced(&mut self, checkpoints: Vec<(FileId, Checkpoint)>) {
        for (id, checkpoint) in checkpoints {
            if let Some(file) = self.files.get_mut(&id) {
                file.synced(checkpoint);
            }
        }
    }

    async fn finish(&mut self) -> anyhow::Result<()> {
        let until = tokio::time::Instant::now() + LETTERS_PATIENCE;
        while let Ok(Some(_)) = tokio::time::timeout_at(until, self.letters.acknowledged()).await {}
        while let Some(synced) = self.syncing.join_next().await {
            self.synced(synced??);
        }
        for (&id, file) in &mut self.files {
            file.sync(self.letters.settled(id))?;
        }
        let held_back: Vec<(PathBuf, usize)> = self
            .files
            .iter()
            .map(|(&id, file)| (file.path().to_owned(), self.letters.of(id)))
            .filter(|(_, letters)| *letters > 0)
            .collect();
        for (file, letters) in held_back {
            warn!(
                file = %file.display(),
                letters,
                "dead letters not acknowledged; the next start reads their messages again"
            );
        }
        Ok(())
    }

    fn tick(&mut self) -> anyhow::Result<()> {
        let watermarks = self
            .files
            .iter()
            .map(|((partition, _), file)| (*partition, file.next_offset(), file.synced_offset()));
        self.progress.tick(watermarks, &self.receiver.shared.ranges());
        let brokers = &self.settings.kafka.brokers;
        let cluster = &self.receiver.shared.cluster;
        if let Some(reason) = cluster.refused() {
            bail!("kafka at {brokers}: {reason}");
        }
        match cluster.error() {
            Some(error) => self.service.health.red("kafka", format!("{brokers}: {error}; trying on")),
            None => self.service.health.green("kafka"),
        }
        Ok(())
    }

    fn control(&mut self, control: Control) -> anyhow::Result<()> {
        match control {
            Control::Fatal(reason) => bail!("{reason}; a restart goes on from the files' checkpoints"),
            Control::Trouble(reason) => tracing::debug!(reason, "kafka reports"),
            // Partitions are fixed, and nothing is sought.
            Control::Assigned(_)
            | Control::Revoked { .. }
            | Control::Sought { .. }
            | Control::Denied(_)
            | Control::MissingTopics(_) => {}
        }
        Ok(())
    }
}

fn fields(rows: &Rows) -> impl Iterator<Item = &[u8]> {
    rows.row(0).map(|cell| if let CellValue::Bytes(bytes) = cell { bytes } else { b"" })
}

#[cfg(test)]
mod tests;
