//! The CSV sink: chunks -> fields -> one file a table and partition, which is its own checkpoint.
//!
//! Exactly once per offset, across kill -9: a file's rows and the offset behind them become durable together
//! (`file`). One process owns the folder, by a lock, and takes all partitions itself: a group would hand a file to
//! two members for a moment.

mod file;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use service::Service;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::dead_letter::DeadLetters;
use crate::decode::{Decoded, Decoder};
use crate::message::{Chunk, Partition};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::receive::{Assignment, Control, Delivery, Receiver};
use crate::route::{Route, listed};
use crate::rows::{CellValue, Rows};
use crate::settings::Settings;
use file::CsvFile;

const AGAIN_AFTER: Duration = Duration::from_secs(2);
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// Consumes into files until the service is told to stop.
///
/// # Errors
/// The folder cannot be used, a file does not belong to its topic, or the disk refuses.
pub async fn run(settings: Settings, routes: Vec<Route>, service: Service) -> anyhow::Result<()> {
    let mut plans = Vec::new();
    let mut problems = Vec::new();
    for route in &routes {
        match Plan::for_csv(route) {
            Ok(plan) => plans.push(plan),
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        bail!(listed(&problems));
    }
    let folder = settings.consumer.csv_dir.clone();
    let _lock = lock(&folder)?;
    let mut topics: Vec<String> = plans.iter().map(|plan| plan.topic.clone()).collect();
    topics.sort();
    topics.dedup();
    let Some(ranges) = ranges(&settings, &topics, &service).await? else { return Ok(()) };
    let (files, offsets) = open(&folder, &plans, &topics, &ranges)?;
    let receiver = Receiver::start(&settings, topics.clone(), &Assignment::Fixed(offsets))?;
    let dead_letters = DeadLetters::new(&settings.kafka, &settings.consumer.group, service.health.clone())?;
    info!(folder = %folder.display(), files = files.len(), "writing csv files");
    let sink = CsvSink {
        progress: Progress::new(topics),
        settings,
        service,
        receiver,
        dead_letters,
        plans,
        files,
        decoder: Decoder::default(),
        rows: Rows::default(),
        letters: JoinSet::new(),
        synced_at: Instant::now(),
    };
    sink.run().await
}

struct CsvSink {
    settings: Settings,
    service: Service,
    receiver: Receiver,
    dead_letters: DeadLetters,
    plans: Vec<Plan>,
    /// By partition and plan.
    files: BTreeMap<(Partition, usize), CsvFile>,
    decoder: Decoder,
    rows: Rows,
    progress: Progress,
    letters: JoinSet<bool>,
    synced_at: Instant,
}

impl CsvSink {
    async fn run(mut self) -> anyhow::Result<()> {
        let shutdown = self.service.shutdown.clone();
        let mut ticks =
            tokio::time::interval(Duration::from_secs(1).min(self.settings.consumer.csv_sync_every));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.service.health.green("files");
        while !shutdown.is_cancelled() {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                Some(control) = self.receiver.control.recv() => self.control(control)?,
                _ = ticks.tick() => self.tick(&shutdown).await?,
                Some(Delivery { chunk, .. }) = self.receiver.chunks.recv() => self.take_in(&chunk)?,
            }
            // Under load the ticks come late: the time since the last sync counts.
            if self.synced_at.elapsed() >= self.settings.consumer.csv_sync_every {
                self.sync(&shutdown).await?;
            }
        }
        self.sync(&CancellationToken::new()).await?;
        info!(stored = self.progress.totals().stored, "files synced");
        self.receiver.stop(CLOSE_PATIENCE).await;
        Ok(())
    }

    fn take_in(&mut self, chunk: &Chunk) -> anyhow::Result<()> {
        let now_ms = chrono::Utc::now().timestamp_millis();
        for span in chunk.spans() {
            self.progress.read(span.partition, span.messages.len());
            for ((_, plan), file) in self.files.range_mut((span.partition, 0)..=(span.partition, usize::MAX))
            {
                let plan = &self.plans[*plan];
                for place in span.messages.clone() {
                    let message = chunk.message(&plan.topic, span.partition.number, place);
                    if message.offset < file.next_offset() {
                        continue;
                    }
                    self.rows.widen(plan.width());
                    match self.decoder.decode(plan, &message, now_ms, &mut self.rows) {
                        Ok(Decoded::Row) => {
                            file.append(message.offset, fields(&self.rows))?;
                            self.progress.stored(span.partition);
                        }
                        Ok(Decoded::Expired) => {
                            file.pass(message.offset);
                            self.progress.expired(span.partition);
                        }
                        Err(error) => {
                            self.progress.dead(span.partition, error.class, message.offset, &error.reason);
                            let letters = self.dead_letters.clone();
                            let letter = letters.letter(&message, &error);
                            let forever = CancellationToken::new();
                            self.letters.spawn(async move { letters.send(letter, forever).await });
                            file.pass(message.offset);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    // The offsets may pass a dead letter only when Kafka has it.
    async fn sync(&mut self, give_up: &CancellationToken) -> anyhow::Result<()> {
        while !self.letters.is_empty() {
            tokio::select! {
                _ = self.letters.join_next() => {}
                () = give_up.cancelled() => return Ok(()),
            }
        }
        for file in self.files.values_mut() {
            file.sync()?;
        }
        self.synced_at = Instant::now();
        Ok(())
    }

    async fn tick(&mut self, shutdown: &CancellationToken) -> anyhow::Result<()> {
        if self.synced_at.elapsed() >= self.settings.consumer.csv_sync_every {
            self.sync(shutdown).await?;
        }
        let watermarks = self
            .files
            .iter()
            .map(|((partition, _), file)| (*partition, file.next_offset(), file.synced_offset()));
        self.progress.tick(watermarks, &self.receiver.shared.ends());
        let brokers = &self.settings.kafka.brokers;
        match self.receiver.shared.cluster.error() {
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

// Held until the process ends, however it ends.
fn lock(folder: &Path) -> anyhow::Result<File> {
    std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    let path = folder.join(".lock");
    let file = File::create(&path)
        .with_context(|| format!("write into {}: is the folder this user's?", folder.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(error) => bail!(
            "{} is in use by another consumer ({error}): one process owns a folder, give each its own consumer.csv_dir",
            folder.display()
        ),
    }
}

type Ranges = BTreeMap<Partition, (i64, i64)>;

// The partitions of all topics with their first offset and their end; waits for the broker and the topics.
async fn ranges(settings: &Settings, topics: &[String], service: &Service) -> anyhow::Result<Option<Ranges>> {
    let mut config = settings.kafka.client("tributary-csv");
    let consumer: Arc<BaseConsumer> = Arc::new(config.set("group.id", "tributary-csv").create()?);
    loop {
        let (asked, names) = (Arc::clone(&consumer), topics.to_vec());
        let found = tokio::task::spawn_blocking(move || ask_ranges(&asked, &names)).await?;
        match found {
            Ok(ranges) => return Ok(Some(ranges)),
            Err(error) => {
                let reason = format!("{}: {error:#}; next try in 2 s", settings.kafka.brokers);
                service.health.red("kafka", reason);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN_AFTER) => {}
            () = service.shutdown.cancelled() => return Ok(None),
        }
    }
}

fn ask_ranges(consumer: &BaseConsumer, topics: &[String]) -> anyhow::Result<Ranges> {
    let patience = Duration::from_secs(5);
    let mut ranges = Ranges::new();
    for (topic, name) in topics.iter().enumerate() {
        let metadata = consumer.fetch_metadata(Some(name), patience)?;
        let known = metadata.topics().iter().find(|known| known.name() == name && known.error().is_none());
        let Some(known) = known else {
            bail!("topic {name} does not exist: create it (kafka/create-topics.sh does)")
        };
        for partition in known.partitions() {
            let range = consumer.fetch_watermarks(name, partition.id(), patience)?;
            ranges.insert(Partition { topic, number: partition.id() }, range);
        }
    }
    Ok(ranges)
}

type Files = BTreeMap<(Partition, usize), CsvFile>;

// Opens or creates every file; returns where reading has to begin.
fn open(
    folder: &Path,
    plans: &[Plan],
    topics: &[String],
    ranges: &Ranges,
) -> anyhow::Result<(Files, Vec<(Partition, i64)>)> {
    let mut files = Files::new();
    let mut offsets = Vec::new();
    for (&partition, &(low, high)) in ranges {
        let topic = &topics[partition.topic];
        let mut start = high;
        for (place, plan) in plans.iter().enumerate().filter(|(_, plan)| plan.topic == *topic) {
            let name = format!("{}-{}", plan.table, partition.number);
            let header: Vec<&str> = plan.columns.iter().map(|column| column.name.as_str()).collect();
            let file = CsvFile::open(folder, &name, &header, low)?;
            let next = file.next_offset();
            if next > high {
                bail!(
                    "{} goes to offset {next} of {topic}:{}, which ends at {high}: the topic was recreated, or the \
                     file is another's; move the file and its .checkpoint away to start anew",
                    file.path().display(),
                    partition.number
                );
            }
            if next < low {
                warn!(
                    topic,
                    partition = partition.number,
                    next,
                    low,
                    "offsets were deleted before they were read"
                );
            }
            start = start.min(next.max(low));
            files.insert((partition, place), file);
        }
        offsets.push((partition, start));
    }
    Ok((files, offsets))
}
