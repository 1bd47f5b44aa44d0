//! What the engine does when something happens beside the messages: rebalances, seeks, probes, changed tables, time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use tracing::{debug, info, warn};

use super::{DRAIN_PATIENCE, Engine, Leaving, Phase, batcher};
use crate::horizon::{Answer, Verdict};
use crate::hosts::Hosts;
use crate::locked;
use crate::message::Partition;
use crate::receive::{Committed, Control};
use crate::routes::{Misfit, Target, changed, targets};
use crate::store::WriteError;

/// Probes that fail in a row before the session is opened anew: the nodes may have other addresses now.
const FAILURES_BEFORE_RECONNECT: u32 = 5;

impl Engine {
    pub(super) fn control(&mut self, control: Control) -> anyhow::Result<()> {
        // The polling thread has gone on: it has given up waiting for its last revocation.
        self.leave_now();
        match control {
            Control::Assigned(partitions) => {
                info!(partitions = partitions.len(), "partitions assigned");
                self.allowed();
                for Committed { partition, offset, note } in partitions {
                    if let Some(offset) = offset {
                        self.ledger.open(partition, offset);
                        self.written_to.extend(Hosts::of_note(&note));
                    }
                }
                self.same_store()?;
            }
            Control::Denied(reason) => {
                self.denied = true;
                let brokers = &self.settings.kafka.brokers;
                let reason = format!("{brokers}: {reason}; allow this user to read the topics and the group");
                self.service.health.red("access", reason);
            }
            Control::Revoked { epoch, partitions, done } => {
                info!(partitions = partitions.len(), "partitions revoked, finishing what is in flight");
                // What was not sent yet is the successor's.
                self.batcher = batcher(&self.settings, &self.targets, &self.replicas);
                let until = Instant::now() + DRAIN_PATIENCE;
                self.leaving = Some(Leaving { epoch, partitions, done, until });
            }
            Control::Sought { epoch } => {
                self.epochs.sought(epoch);
            }
            Control::MissingTopics(missing) if missing.is_empty() => self.service.health.green("topics"),
            Control::MissingTopics(missing) => self.topics_are_missing(&missing),
            Control::Trouble(reason) => debug!(reason, "kafka reports"),
            Control::Fatal(reason) => bail!("{reason}; a restart goes on from the committed offsets"),
        }
        Ok(())
    }

    fn topics_are_missing(&self, missing: &[String]) {
        let kafka = &self.settings.kafka;
        let (brokers, missing) = (&kafka.brokers, missing.join(", "));
        // Kafka shows a user only the topics that the user may describe.
        let or_hidden = match kafka.username.as_str() {
            "" => String::new(),
            user => format!(", or let user {user} read them"),
        };
        let reason = format!(
            "missing on {brokers}: {missing}; create them (kafka/create-topics.sh does){or_hidden}; they are then read by themselves"
        );
        self.service.health.red("topics", reason);
    }

    // Something arrives: what was denied is allowed by now.
    pub(super) fn allowed(&mut self) {
        if std::mem::take(&mut self.denied) {
            self.service.health.green("access");
        }
    }

    // Lets partitions go once their writes are done, or after three seconds.
    pub(super) fn leave(&mut self) {
        let Some(leaving) = &self.leaving else { return };
        if self.epochs.writes() && !self.writes.is_empty() && Instant::now() < leaving.until {
            return;
        }
        self.leave_now();
    }

    fn leave_now(&mut self) {
        let Some(leaving) = self.leaving.take() else { return };
        if self.horizon.is_immediate() {
            self.ledger.advance(Duration::MAX);
        }
        let ours = |partition: &Partition| leaving.partitions.contains(partition);
        let durable: Vec<_> = self
            .ledger
            .watermarks()
            .filter(|(partition, ..)| ours(partition))
            .map(|(partition, _, durable)| (partition, durable))
            .collect();
        self.new_epoch();
        self.ledger.forget(&leaving.partitions);
        self.epochs.left(leaving.epoch);
        // The polling thread may have given up waiting.
        let _ = leaving.done.send(durable);
    }

    pub(super) fn probed(&mut self, answer: Result<Answer, WriteError>) -> anyhow::Result<()> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.unanswered(&error.to_string());
                return Ok(());
            }
        };
        match self.horizon.answered(Instant::now(), &answer) {
            Verdict::First => {
                self.same_store()?;
                self.epochs.proved();
                self.answered();
            }
            Verdict::Same { durable_up_to } => {
                self.answered();
                if let Some(limit) = durable_up_to {
                    self.commit(limit);
                }
            }
            Verdict::Restarted { reason } => {
                self.answered();
                self.same_store()?;
                warn!(
                    reason,
                    "cassandra may have forgotten acknowledged rows, writing again what is not durable"
                );
                // Where the tables do not fit nothing is in flight, and the rewind comes when they do.
                if self.epochs.phase() != Phase::Misfit {
                    self.rewind();
                }
            }
            Verdict::Unanswered => self.unanswered("not every node answers"),
            Verdict::Replaced => return Err(self.replaced()),
        }
        Ok(())
    }

    // The nodes' ids are committed with the offsets: a database that none of them belongs to lacks what was stored.
    fn same_store(&mut self) -> anyhow::Result<()> {
        let hosts: Hosts = self.horizon.hosts().copied().collect();
        if hosts.is_empty() {
            return Ok(());
        }
        if self.written_to.are_strange_to(&hosts) {
            return Err(self.replaced());
        }
        self.receiver.shared.annotate(hosts.note());
        self.written_to.extend(hosts);
        Ok(())
    }

    fn replaced(&self) -> anyhow::Error {
        anyhow!(
            "cassandra at {} is not the database that was written to so far: none of its nodes is known. \
             It lacks rows whose offsets are committed: stop the consumers, rewind the group {} with \
             kafka-consumer-groups.sh --reset-offsets, then start again",
            self.settings.cassandra.contact_points,
            self.settings.consumer.group
        )
    }

    fn answered(&mut self) {
        self.probe_failures = 0;
        match locked(&self.write_trouble).clone() {
            None => self.service.health.green("cassandra"),
            Some(reason) => self.cassandra_is_red(&reason),
        }
    }

    fn unanswered(&mut self, reason: &str) {
        self.probe_failures += 1;
        self.cassandra_is_red(reason);
    }

    fn cassandra_is_red(&self, reason: &str) {
        let points = &self.settings.cassandra.contact_points;
        self.service.health.red("cassandra", format!("{points}: {reason}; trying on, nothing is skipped"));
    }

    pub(super) fn tick(&mut self) -> anyhow::Result<()> {
        self.report_kafka()?;
        self.progress.tick(self.ledger.watermarks(), &self.receiver.shared.ranges());
        if self.probe.is_empty() {
            self.send_probe();
        }
        if self.epochs.writes()
            && let Some(misfit) = changed(&self.store, &self.routes, &self.targets)
        {
            self.misfit(&misfit);
        }
        if self.epochs.phase() == Phase::Misfit && self.schema.is_empty() {
            let store = Arc::clone(&self.store);
            let routes = Arc::clone(&self.routes);
            self.schema.spawn(async move { targets(&store, &routes).await });
        }
        Ok(())
    }

    fn report_kafka(&self) -> anyhow::Result<()> {
        let brokers = &self.settings.kafka.brokers;
        let shared = &self.receiver.shared;
        if let Some(reason) = shared.cluster.refused() {
            bail!("kafka at {brokers}: {reason}");
        }
        match shared.cluster.error() {
            Some(error) => {
                self.service
                    .health
                    .red("kafka", format!("{brokers}: {error}; trying on, nothing is skipped"));
            }
            None if shared.connected.load(Ordering::Relaxed) => self.service.health.green("kafka"),
            None => {}
        }
        Ok(())
    }

    fn send_probe(&mut self) {
        let store = Arc::clone(&self.store);
        let writer = self.settings.consumer.group.clone();
        let reconnect = self.probe_failures >= FAILURES_BEFORE_RECONNECT;
        if reconnect {
            self.probe_failures = 0;
        }
        self.horizon.sent(Instant::now());
        self.probe.spawn(async move {
            if reconnect && let Err(error) = store.reconnect().await {
                debug!(%error, "session not opened anew");
            }
            store.probe(&writer, chrono::Utc::now().timestamp_millis()).await
        });
    }

    // The tables do not fit the routes: nothing is written until they do.
    pub(super) fn misfit(&mut self, misfit: &Misfit) {
        if self.epochs.misfit() {
            self.new_epoch();
        }
        self.service
            .health
            .red("schema", format!("{}; nothing is skipped, looking again every second", misfit.describe()));
    }

    pub(super) fn schema_read(&mut self, found: Result<Vec<Target>, Misfit>) {
        match found {
            Ok(targets) => {
                self.targets = targets;
                self.service.health.green("schema");
                self.rewind();
            }
            Err(misfit) => self.misfit(&misfit),
        }
    }
}
