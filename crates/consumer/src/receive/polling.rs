//! The polling thread: librdkafka's messages -> chunks, as long as there is room for them.
//!
//! Ordinary back-pressure is a short wait for room in the memory budget; librdkafka's bounded queue fills meanwhile.
//! When there is no room for longer than [`PAUSE_AFTER`], the thread pauses its partitions and polls on, so that
//! rebalances are served during an outage; partitions assigned meanwhile inherit the pause. Pausing flushes what was
//! prefetched, which is why it is kept for outages.
//!
//! The queue of one partition is never split off: rust-rdkafka #840 can then stall for ever.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tracing::debug;

use super::context::Context;
use super::{Assignment, Command, Control, Delivery, Shared};
use crate::locked;
use crate::message::{Chunk, Partition};
use crate::settings::Settings;
use crate::topic::push;

/// No room for this long: pause the partitions and poll on.
const PAUSE_AFTER: Duration = Duration::from_secs(2);
const CHUNK_MESSAGES_MAX: usize = 512;
const CHUNK_BYTES_MAX: usize = 256 * 1024;
const SEEK_TIMEOUT: Duration = Duration::from_secs(10);
const SEEK_FAILURES_MAX: u32 = 20;
const MISSING_TOPICS_EVERY: Duration = Duration::from_secs(5);

/// The thread.
pub(super) struct Polling {
    consumer: BaseConsumer<Context>,
    shared: Arc<Shared>,
    commands: mpsc::Receiver<Command>,
    chunks: UnboundedSender<Delivery>,
    room: Arc<Semaphore>,
    budget: usize,
    runtime: Handle,
    chunk: Chunk,
    chunk_epoch: u64,
    no_room_since: Option<Instant>,
    last_topic: usize,
    missing_checked: Option<Instant>,
}

impl Polling {
    /// Goes on until it is told to stop; `budget` are the bytes that all chunks together may have.
    pub(super) fn new(
        consumer: BaseConsumer<Context>,
        shared: Arc<Shared>,
        commands: mpsc::Receiver<Command>,
        chunks: UnboundedSender<Delivery>,
        budget: usize,
    ) -> Self {
        Self {
            consumer,
            shared,
            commands,
            chunks,
            room: Arc::new(Semaphore::new(budget)),
            budget,
            runtime: Handle::current(),
            chunk: Chunk::default(),
            chunk_epoch: 0,
            no_room_since: None,
            last_topic: 0,
            missing_checked: None,
        }
    }

    pub(super) fn run(mut self) {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Store(offsets)) => self.store(&offsets),
                Ok(Command::Seek(offsets)) => self.seek(&offsets),
                Ok(Command::Stop) | Err(mpsc::TryRecvError::Disconnected) => return,
                Err(mpsc::TryRecvError::Empty) => {
                    if self.step().is_err() {
                        return;
                    }
                }
            }
        }
    }

    // One poll, or one short wait for room. `Err`: the consumer is gone.
    fn step(&mut self) -> Result<(), ()> {
        let paused = self.shared.paused.load(Ordering::Relaxed);
        let full = self.chunk.len() >= CHUNK_MESSAGES_MAX || self.chunk.size() >= CHUNK_BYTES_MAX;
        if full && !paused {
            return self.offer();
        }
        let patience =
            if self.chunk.is_empty() || paused { Duration::from_millis(100) } else { Duration::ZERO };
        // The message borrows the consumer, and is copied before anything else happens.
        match self.consumer.poll(patience) {
            Some(Ok(message)) => {
                let (partition, epoch) = place(&self.shared, &mut self.last_topic, &message);
                if epoch != self.chunk_epoch {
                    self.chunk = Chunk::default();
                    self.chunk_epoch = epoch;
                }
                push(&mut self.chunk, partition, &message);
                return Ok(());
            }
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                self.shared.tell(Control::Fatal(format!("kafka consumer: {code}")));
                return Err(());
            }
            Some(Err(error)) => self.report(&error),
            None => {}
        }
        self.name_missing_topics();
        if !self.chunk.is_empty() {
            return self.offer();
        }
        // The chunk that was refused is void since a revocation or a seek: nothing else would end the pause.
        if paused && self.room.available_permits() >= self.budget / 2 {
            self.set_paused(false);
        }
        Ok(())
    }

    // Sends the chunk on if the budget has room, else waits a little.
    fn offer(&mut self) -> Result<(), ()> {
        if self.chunk_epoch != self.shared.epoch.load(Ordering::Acquire) {
            self.chunk = Chunk::default();
            return Ok(());
        }
        let size = u32::try_from(self.chunk.size().clamp(1, self.budget)).unwrap_or(u32::MAX);
        let paused = self.shared.paused.load(Ordering::Relaxed);
        let wait = if paused { Duration::ZERO } else { Duration::from_millis(20) };
        let room = Arc::clone(&self.room).acquire_many_owned(size);
        let Ok(permit) = self.runtime.block_on(async { tokio::time::timeout(wait, room).await }) else {
            self.no_room();
            return Ok(());
        };
        // The semaphore is never closed.
        let Ok(permit) = permit else { return Err(()) };
        self.note_starts();
        self.shared.note_read(self.chunk.spans());
        self.no_room_since = None;
        if paused {
            self.set_paused(false);
        }
        let next = self.chunk.same_capacity();
        let mut chunk = std::mem::replace(&mut self.chunk, next);
        chunk.hold(permit);
        self.chunks.send(Delivery { epoch: self.chunk_epoch, chunk }).map_err(drop)
    }

    fn no_room(&mut self) {
        let since = *self.no_room_since.get_or_insert_with(Instant::now);
        if !self.shared.paused.load(Ordering::Relaxed) && since.elapsed() >= PAUSE_AFTER {
            self.set_paused(true);
        }
    }

    fn set_paused(&self, paused: bool) {
        self.shared.paused.store(paused, Ordering::Relaxed);
        debug!(paused, "fetching");
        let changed = self.consumer.assignment().and_then(|assignment| {
            if paused { self.consumer.pause(&assignment) } else { self.consumer.resume(&assignment) }
        });
        if let Err(error) = changed {
            self.shared.tell(Control::Trouble(format!("pause or resume partitions: {error}")));
        }
    }

    // Stores offsets for the next commit, and commits those that librdkafka would not.
    fn store(&self, offsets: &[(Partition, i64)]) {
        let lowered = locked(&self.shared.lowered).among(offsets);
        let mut stored = annotated(&self.shared, offsets).and_then(|list| self.consumer.store_offsets(&list));
        if stored.is_ok() && !lowered.is_empty() {
            stored = annotated(&self.shared, &lowered)
                .and_then(|list| self.consumer.commit(&list, CommitMode::Async));
        }
        if let Err(error) = stored {
            // A partition that has just been revoked: its new owner reads the tail again.
            debug!(%error, "offsets not stored");
        }
    }

    // Goes back to the given offsets, and where nothing was settled yet, to the first message that was read.
    fn seek(&mut self, settled: &[(Partition, i64)]) {
        self.note_starts();
        self.chunk = Chunk::default();
        let mut failures = 0;
        loop {
            match self.try_seek(settled) {
                Ok(()) => break,
                Err(error) if failures == SEEK_FAILURES_MAX => {
                    // Committed offsets are durable ones: a new process starts from there.
                    return self.shared.tell(Control::Fatal(format!("kafka consumer cannot seek: {error}")));
                }
                Err(error) => {
                    debug!(%error, "seek again");
                    failures += 1;
                    // A rebalance may be under way: let it go on. What is read meanwhile is read again.
                    if let Some(Ok(message)) = self.consumer.poll(Duration::from_millis(200)) {
                        let (partition, _) = place(&self.shared, &mut self.last_topic, &message);
                        self.shared.note_starts([(partition, message.offset())].into_iter());
                    }
                }
            }
        }
        let epoch = self.shared.next_epoch();
        debug!(epoch, failures, "sought");
        self.shared.tell(Control::Sought { epoch });
    }

    fn try_seek(&self, settled: &[(Partition, i64)]) -> Result<(), KafkaError> {
        let assigned = self.consumer.assignment()?;
        let is_assigned = |partition: Partition| {
            assigned.find_partition(&self.shared.topics[partition.topic], partition.number).is_some()
        };
        let targets = seek_targets(self.shared.starts(), settled, is_assigned);
        if targets.is_empty() {
            return Ok(());
        }
        self.shared.note_sought(&targets);
        let answer = self.consumer.seek_partitions(list(&self.shared, &targets)?, SEEK_TIMEOUT)?;
        answer.elements().iter().try_for_each(|element| element.error())
    }

    fn report(&self, error: &KafkaError) {
        use RDKafkaErrorCode::{
            GroupAuthorizationFailed, TopicAuthorizationFailed, UnknownTopic, UnknownTopicOrPartition,
        };
        match error.rdkafka_error_code() {
            Some(GroupAuthorizationFailed | TopicAuthorizationFailed) => {
                self.shared.tell(Control::Denied(error.to_string()));
            }
            Some(UnknownTopic | UnknownTopicOrPartition) => {
                self.shared.all_topics_seen.store(false, Ordering::Relaxed);
            }
            _ => {}
        }
        self.shared.tell(Control::Trouble(error.to_string()));
    }

    fn note_starts(&self) {
        self.shared.note_starts(self.chunk.spans().iter().map(|span| (span.partition, span.first)));
    }

    // librdkafka waits for a missing topic in silence.
    fn name_missing_topics(&mut self) {
        if self.missing_checked.is_some_and(|checked| checked.elapsed() < MISSING_TOPICS_EVERY) {
            return;
        }
        self.missing_checked = Some(Instant::now());
        if !self.shared.connected.load(Ordering::Relaxed)
            || self.shared.all_topics_seen.load(Ordering::Relaxed)
        {
            return;
        }
        let Ok(metadata) = self.consumer.fetch_metadata(None, Duration::from_secs(1)) else { return };
        let known: Vec<&str> = metadata.topics().iter().map(rdkafka::metadata::MetadataTopic::name).collect();
        let missing: Vec<String> =
            self.shared.topics.iter().filter(|topic| !known.contains(&topic.as_str())).cloned().collect();
        self.shared.all_topics_seen.store(missing.is_empty(), Ordering::Relaxed);
        self.shared.tell(Control::MissingTopics(missing));
    }
}

/// Where reading goes on: at the settled offset of each partition that is assigned, and where nothing was settled yet,
/// at the first one that was read.
pub(crate) fn seek_targets(
    mut starts: BTreeMap<Partition, i64>,
    settled: &[(Partition, i64)],
    is_assigned: impl Fn(Partition) -> bool,
) -> Vec<(Partition, i64)> {
    starts.extend(settled.iter().copied());
    starts.into_iter().filter(|(partition, _)| is_assigned(*partition)).collect()
}

fn place(shared: &Shared, last_topic: &mut usize, message: &BorrowedMessage<'_>) -> (Partition, u64) {
    if shared.topics[*last_topic] != message.topic() {
        // Only subscribed topics are delivered.
        *last_topic = shared.topics.iter().position(|topic| topic == message.topic()).unwrap_or(*last_topic);
    }
    (Partition { topic: *last_topic, number: message.partition() }, shared.epoch.load(Ordering::Acquire))
}

pub(super) fn create(
    settings: &Settings,
    assignment: &Assignment,
    shared: Arc<Shared>,
) -> Result<BaseConsumer<Context>, KafkaError> {
    let mut config = settings.kafka.client("tributary-consumer");
    let group = match assignment {
        Assignment::Group(group) => group.as_str(),
        // librdkafka wants a name; nothing is stored under it.
        Assignment::Fixed(_) => "tributary-fixed",
    };
    let stored = matches!(assignment, Assignment::Group(_));
    config
        .set("group.id", group)
        .set("enable.auto.commit", if stored { "true" } else { "false" })
        .set("auto.commit.interval.ms", "1000")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("session.timeout.ms", settings.consumer.session_timeout.as_millis().to_string())
        .set("heartbeat.interval.ms", (settings.consumer.session_timeout.as_millis() / 4).to_string())
        .set("max.poll.interval.ms", settings.consumer.poll_timeout.as_millis().to_string())
        .set("topic.metadata.refresh.interval.ms", "10000")
        // The default of a second makes draining several times slower.
        .set("fetch.queue.backoff.ms", "10")
        // These two are most of the memory: without the second, one answer has up to a megabyte of each partition.
        .set("queued.max.messages.kbytes", "8192")
        .set("fetch.max.bytes", "4194304")
        .set("statistics.interval.ms", "5000");
    config.create_with_context(Context { shared })
}

pub(super) fn list(shared: &Shared, offsets: &[(Partition, i64)]) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (partition, offset) in offsets {
        list.add_partition_offset(
            &shared.topics[partition.topic],
            partition.number,
            Offset::Offset(*offset),
        )?;
    }
    Ok(list)
}

/// As `list`, with the note that is to be committed.
pub(super) fn annotated(
    shared: &Shared,
    offsets: &[(Partition, i64)],
) -> Result<TopicPartitionList, KafkaError> {
    let list = list(shared, offsets)?;
    let note = shared.note();
    for (partition, _) in offsets {
        if let Some(mut element) = list.find_partition(&shared.topics[partition.topic], partition.number) {
            element.set_metadata(&note);
        }
    }
    Ok(list)
}
