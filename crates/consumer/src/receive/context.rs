//! librdkafka's callbacks: rebalances, statistics, errors.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics::counter;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::statistics::Broker;
use rdkafka::{ClientContext, Offset, Statistics, TopicPartitionList};
use service::kafka::Cluster;
use tokio::sync::mpsc::UnboundedSender;
use tracing::warn;

use super::gaps::Gaps;
use super::lowered::Lowered;
use crate::locked;
use crate::message::{Partition, Span};

/// How long a revocation may wait for the engine to finish what is in flight; the engine gives itself 3 s.
const REVOKE_PATIENCE: Duration = Duration::from_secs(5);
/// A broker that owes an answer for longer stands still, or is cut off.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// The same of the coordinator, for longer than the session of a member that has died.
const COORDINATES_WITHIN: Duration = Duration::from_secs(20);

/// What happens beside the messages.
#[derive(Debug)]
pub enum Control {
    /// Partitions are ours from here on.
    Assigned(Vec<Committed>),
    /// Partitions go to somebody else. What was read before `epoch` is void.
    Revoked {
        /// The epoch that begins.
        epoch: u64,
        /// Which partitions.
        partitions: Vec<Partition>,
        /// Takes the durable watermarks, to be committed on the way out.
        done: mpsc::Sender<Vec<(Partition, i64)>>,
    },
    /// A seek is done: reading goes on in this epoch.
    Sought {
        /// The epoch that begins.
        epoch: u64,
    },
    /// Topics that do not exist; empty when all do.
    MissingTopics(Vec<String>),
    /// The broker does not let us read, in its words.
    Denied(String),
    /// Something that may pass by itself.
    Trouble(String),
    /// The consumer cannot go on.
    Fatal(String),
}

/// What the group keeps of a partition.
#[derive(Debug)]
pub struct Committed {
    /// Which.
    pub partition: Partition,
    /// The next offset to read, if there is one.
    pub offset: Option<i64>,
    /// The note that was committed with it; see [`Shared::annotate`].
    pub note: String,
}

/// What the polling thread and its user both see.
#[derive(Debug)]
pub struct Shared {
    /// The topics' names; partitions refer to them by index.
    pub topics: Vec<String>,
    /// The broker's troubles.
    pub cluster: Cluster,
    /// Whether a broker is connected now.
    pub connected: AtomicBool,
    pub(super) epoch: AtomicU64,
    pub(super) paused: AtomicBool,
    pub(super) all_topics_seen: AtomicBool,
    ranges: Mutex<BTreeMap<Partition, Option<Range<i64>>>>,
    /// Partitions of our topics that are not assigned to us.
    others: Mutex<BTreeSet<Partition>>,
    gaps: Mutex<Gaps>,
    /// The first offset that was read of each partition since it was assigned.
    starts: Mutex<BTreeMap<Partition, i64>>,
    pub(super) lowered: Mutex<Lowered>,
    note: Mutex<String>,
    control: UnboundedSender<Control>,
}

impl Shared {
    pub(super) fn new(topics: Vec<String>, control: UnboundedSender<Control>) -> Self {
        Self {
            topics,
            cluster: Cluster::default(),
            connected: AtomicBool::new(false),
            epoch: AtomicU64::new(0),
            paused: AtomicBool::new(false),
            all_topics_seen: AtomicBool::new(false),
            ranges: Mutex::default(),
            others: Mutex::default(),
            gaps: Mutex::default(),
            starts: Mutex::default(),
            lowered: Mutex::default(),
            note: Mutex::default(),
            control,
        }
    }

    /// The oldest offset and the end of each assigned partition, as the broker last told; `None` where it did not, as without a
    /// leader.
    pub fn ranges(&self) -> BTreeMap<Partition, Option<Range<i64>>> {
        locked(&self.ranges).clone()
    }

    /// The topics' partitions that are not assigned to us, as the broker last told.
    pub fn others(&self) -> BTreeSet<Partition> {
        locked(&self.others).clone()
    }

    /// Commits this note with every offset from here on.
    pub fn annotate(&self, note: String) {
        *locked(&self.note) = note;
    }

    pub(super) fn note(&self) -> String {
        locked(&self.note).clone()
    }

    pub(super) fn starts(&self) -> BTreeMap<Partition, i64> {
        locked(&self.starts).clone()
    }

    pub(super) fn note_starts(&self, firsts: impl Iterator<Item = (Partition, i64)>) {
        let mut starts = locked(&self.starts);
        for (partition, first) in firsts {
            starts.entry(partition).or_insert(first);
        }
    }

    fn begin_read(&self, partitions: &[Committed]) {
        let (mut gaps, mut lowered) = (locked(&self.gaps), locked(&self.lowered));
        for known in partitions {
            if let Some(committed) = known.offset {
                gaps.begin(known.partition, committed);
            }
            lowered.begin(known.partition, known.offset.unwrap_or(0));
        }
    }

    pub(super) fn note_read(&self, spans: &[Span]) {
        let mut gaps = locked(&self.gaps);
        for span in spans {
            gaps.read(span.partition, span.first, span.end, span.jump.clone());
        }
    }

    /// The next messages are to be those.
    pub(super) fn note_sought(&self, targets: &[(Partition, i64)]) {
        let mut gaps = locked(&self.gaps);
        targets.iter().for_each(|(partition, offset)| gaps.begin(*partition, *offset));
    }

    pub(super) fn forget_read(&self, partitions: impl Iterator<Item = Partition>) {
        let (mut gaps, mut lowered) = (locked(&self.gaps), locked(&self.lowered));
        for partition in partitions {
            gaps.forget(partition);
            lowered.forget(partition);
        }
    }

    fn tell_deleted(&self, lows: &BTreeMap<Partition, i64>) {
        for (partition, offsets) in locked(&self.gaps).deleted(lows) {
            let (topic, partition) = (&self.topics[partition.topic], partition.number);
            counter!("tributary_offsets_skipped_total", "topic" => topic.clone())
                .increment(u64::try_from(offsets.end - offsets.start).unwrap_or(0));
            let (from, to) = (offsets.start, offsets.end);
            warn!(topic, partition, from, to, "offsets were deleted before they were read");
        }
    }

    pub(super) fn tell(&self, control: Control) {
        // Nobody listens during the shutdown.
        let _ = self.control.send(control);
    }

    pub(super) fn next_epoch(&self) -> u64 {
        self.epoch.fetch_add(1, Ordering::AcqRel) + 1
    }

    fn partitions(&self, list: &TopicPartitionList) -> Vec<Committed> {
        let place = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            let topic = self.topics.iter().position(|topic| topic == element.topic())?;
            let offset = match element.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            };
            let partition = Partition { topic, number: element.partition() };
            Some(Committed { partition, offset, note: element.metadata().to_owned() })
        };
        list.elements().iter().filter_map(place).collect()
    }
}

pub(super) struct Context {
    pub(super) shared: Arc<Shared>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.shared.cluster.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.shared.cluster.error_reported(&error, reason);
        self.shared.connected.store(false, Ordering::Relaxed);
    }

    fn stats(&self, statistics: Statistics) {
        // Broker -1 is a bootstrap address; it closes once the cluster is known.
        let up = || statistics.brokers.values().any(|broker| broker.state == "UP");
        let connected = match statistics.brokers.values().find_map(silence) {
            Some(silence) => {
                self.shared.cluster.is_silent(silence);
                false
            }
            None => up(),
        };
        if connected {
            self.shared.cluster.works();
        }
        self.shared.connected.store(connected, Ordering::Relaxed);
        let (mut lows, mut ranges, mut others) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        for (topic, name) in self.shared.topics.iter().enumerate() {
            let Some(known) = statistics.topics.get(name) else { continue };
            // -1 stands for none.
            for known in known.partitions.values().filter(|known| known.partition >= 0) {
                let partition = Partition { topic, number: known.partition };
                if known.desired {
                    let is_told = known.ls_offset >= 0;
                    ranges.insert(partition, is_told.then(|| known.lo_offset.max(0)..known.ls_offset));
                    if is_told {
                        lows.insert(partition, known.lo_offset);
                    }
                } else if !known.desired && !known.unknown {
                    others.insert(partition);
                }
            }
        }
        self.shared.tell_deleted(&lows);
        *locked(&self.shared.ranges) = ranges;
        *locked(&self.shared.others) = others;
    }
}

// What a broker owes an answer for, if for too long. One that stands still, or that no packet reaches, keeps its connections: only
// the missing answers tell. A fetch is answered after half a second, with messages or without; who joins the group is answered by
// its coordinator, the one logical broker, when the other members have joined, too, or their sessions are over.
fn silence(broker: &Broker) -> Option<String> {
    let owes = broker.state == "UP" && broker.waitresp_cnt > 0;
    let within = if broker.source == "logical" { COORDINATES_WITHIN } else { ANSWERS_WITHIN };
    let silent = Duration::from_micros(u64::try_from(broker.rxidle).ok()?);
    let reason = || format!("{} has not answered for {} s", broker.nodename, silent.as_secs());
    (owes && silent >= within).then(reason)
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Revoke(list) = rebalance else { return };
        let partitions: Vec<Partition> =
            self.shared.partitions(list).into_iter().map(|known| known.partition).collect();
        // librdkafka keeps a partition paused across a revocation, and would deliver nothing after the next assignment.
        if let Err(error) = consumer.resume(list) {
            self.shared.tell(Control::Trouble(format!("resume revoked partitions: {error}")));
        }
        let (done, finished) = mpsc::channel();
        let epoch = self.shared.next_epoch();
        locked(&self.shared.starts).retain(|known, _| !partitions.contains(known));
        self.shared.forget_read(partitions.iter().copied());
        self.shared.tell(Control::Revoked { epoch, partitions, done });
        // Without an answer nothing is stored: the new owner reads again what may not be durable.
        let Ok(durable) = finished.recv_timeout(REVOKE_PATIENCE) else { return };
        let stored =
            super::polling::annotated(&self.shared, &durable).and_then(|list| consumer.store_offsets(&list));
        if let Err(error) = stored {
            tracing::debug!(%error, "offsets not stored on the way out");
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Assign(list) = rebalance else { return };
        if self.shared.paused.load(Ordering::Relaxed)
            && let Err(error) = consumer.pause(list)
        {
            self.shared.tell(Control::Trouble(format!("pause new partitions: {error}")));
        }
        // Without an answer the first message of each partition tells where reading begins.
        let committed = consumer.committed_offsets((*list).clone(), Duration::from_secs(3));
        let partitions =
            committed.map_or_else(|_| self.shared.partitions(list), |list| self.shared.partitions(&list));
        self.shared.begin_read(&partitions);
        self.shared.tell(Control::Assigned(partitions));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_silent_when_it_owes_an_answer_for_ten_seconds() {
        let broker = |state: &str, owed, idle_s: i64| Broker {
            nodename: "kafka:9092".to_owned(),
            state: state.to_owned(),
            waitresp_cnt: owed,
            rxidle: idle_s * 1_000_000,
            ..Broker::default()
        };
        assert_eq!(silence(&broker("UP", 1, 9)), None);
        assert_eq!(silence(&broker("UP", 0, 60)), None);
        assert_eq!(silence(&broker("DOWN", 1, 60)), None);
        let silent = silence(&broker("UP", 2, 12));
        assert_eq!(silent.as_deref(), Some("kafka:9092 has not answered for 12 s"));
        let coordinator = |idle_s| Broker { source: "logical".to_owned(), ..broker("UP", 1, idle_s) };
        assert_eq!(silence(&coordinator(12)), None);
        assert!(silence(&coordinator(20)).is_some());
    }
}
