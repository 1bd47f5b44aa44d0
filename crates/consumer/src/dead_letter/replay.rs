//! Dead letters -> the rows that their messages should have been, and the end of those letters whose rows are durable.
//!
//! The engine's own parts, in its order: decode by today's routes, write, judge what is refused, wait until it is on disk.
//! A row has the WRITETIME that it would have had at first, so that it changes nothing newer. A letter is removed only when
//! its rows are durable; what stops a replay on its way leaves letters whose rows are there, and they can be replayed again.
//! A letter that fails for the same reason is left as it is; for another one it is sent once more, under its own key, so that
//! it never becomes two.

mod report;
mod same_store;
mod window;

use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::KafkaError;
use service::Health;
use tokio_util::sync::CancellationToken;

pub use report::{Again, Report};

use crate::command::{self, Ended, Failed, PATIENCE, Proof};
use crate::dead_letter::{By, DeadLetter, DeadLetters, Key, Letter, Letters, SUFFIX, Selected, Unsent};
use crate::decode::{DataError, Decoded, Decoder};
use crate::message::Message;
use crate::route::Route;
use crate::routes::{Target, target_of};
use crate::rows::Rows;
use crate::settings::Settings;
use crate::store::Store;
use window::{Outcome, Window};

/// Bytes of messages that are replayed at once, at most, or one message.
const WINDOW_BYTES: usize = 4 << 20;
/// Messages that are replayed at once at most.
const WINDOW_LETTERS: usize = 10_000;

/// Everything that a replay needs of the servers.
pub struct Replay {
    settings: Settings,
    routes: Arc<[Route]>,
    store: Arc<Store>,
    targets: Vec<Target>,
    sender: DeadLetters,
}

/// What today's routes make of a letter's message.
pub enum Judged {
    /// These rows, by the target of each.
    Rows(Vec<(usize, Rows)>),
    /// Nothing: its time to live has passed.
    Expired,
    /// A dead letter again.
    Dead(DataError),
    /// No route writes its topic into its table.
    Unrouted,
}

// A letter that may be removed once what was stamped like this is durable: the stamp, its topic, its key.
type Waiting = (Duration, String, Key);

impl Replay {
    /// Connects, and fits the routes to the tables as the consumer does.
    ///
    /// # Errors
    /// See [`Failed`].
    pub async fn open(settings: &Settings, routes: Vec<Route>) -> Result<Self, Failed> {
        let (store, targets) = command::connect(settings, &routes).await?;
        let sender = DeadLetters::new(&settings.kafka, &settings.consumer.group, Health::default())
            .map_err(|error: KafkaError| Failed::Refused(error.to_string()))?;
        Ok(Self { settings: settings.clone(), routes: routes.into(), store, targets, sender })
    }

    /// Where the settings trust the server's commit log with more than it keeps, in words.
    pub async fn warnings(&self) -> Vec<String> {
        self.store.warnings(&self.settings.consumer).await
    }

    /// What today's routes make of a letter's `message`; `now_ms` is the wall clock. Nothing is written.
    pub fn judge(&self, letter: &Letter<'_>, message: &Message<'_>, now_ms: i64) -> Judged {
        let mut rows_of = Vec::new();
        let mut routed = false;
        for (place, route) in self.routes.iter().enumerate() {
            if route.table.get_ref() != letter.table
                || !route.topics.iter().any(|topic| topic == letter.topic)
            {
                continue;
            }
            routed = true;
            let target = target_of(&self.targets, place, message);
            let plan = &self.targets[target].plan;
            let mut rows = Rows::new(plan.width());
            let bytes_max = self.settings.consumer.row_bytes_max;
            match Decoder::default().decode_within(bytes_max, plan, message, now_ms, &mut rows) {
                Ok(Decoded::Row) => rows_of.push((target, rows)),
                Ok(Decoded::Expired) => {}
                Err(error) => return Judged::Dead(error),
            }
        }
        match (routed, rows_of.is_empty()) {
            (false, _) => Judged::Unrouted,
            (true, true) => Judged::Expired,
            (true, false) => Judged::Rows(rows_of),
        }
    }

    /// Decodes the letters and writes nothing.
    ///
    /// # Errors
    /// Kafka does not deliver.
    pub async fn dry_run(
        &self,
        letters: &Letters,
        selected: &[(String, Vec<Selected>)],
    ) -> Result<Report, Failed> {
        let mut report = Report::of(selected);
        for (topic, selected) in windows(selected) {
            let records = letters.records(topic, selected).await;
            let records = records.map_err(|error| Failed::Unavailable(error.to_string()))?;
            let source = format!("{topic}{SUFFIX}");
            let window = Window::decode(self, &records, &source);
            report.gone += selected.len() - window.letters.len();
            for (letter, outcome) in window.letters.iter().zip(&window.outcomes) {
                report.count(letter, outcome);
            }
        }
        Ok(report)
    }

    /// Replays the letters. `tell` hears how far it is after each window, and again and again while it waits for the disk. What
    /// ends it early is in [`Report::ended`].
    pub async fn run(
        &self,
        letters: &Letters,
        selected: &[(String, Vec<Selected>)],
        stop: &CancellationToken,
        mut tell: impl FnMut(&Report),
    ) -> Report {
        let mut report = Report::of(selected);
        let mut proof = Proof::start(Arc::clone(&self.store), &self.settings, stop);
        let ended = self.go(letters, selected, &mut proof, stop, &mut report, &mut tell).await;
        report.ended = ended.err();
        report
    }

    async fn go(
        &self,
        letters: &Letters,
        selected: &[(String, Vec<Selected>)],
        proof: &mut Proof,
        stop: &CancellationToken,
        report: &mut Report,
        tell: &mut impl FnMut(&Report),
    ) -> Result<(), Ended> {
        // The first probe precedes the first write: a restart after it is seen.
        proof.begin().await?;
        let mut waiting = Vec::new();
        for (topic, selected) in windows(selected) {
            let records = letters.records(topic, selected).await;
            let records = records.map_err(|error| Ended::Early(error.to_string()))?;
            let source = format!("{topic}{SUFFIX}");
            let mut window = Window::decode(self, &records, &source);
            report.gone += selected.len() - window.letters.len();
            window.write(self, proof).await?;
            let mut again = Vec::new();
            for (letter, outcome) in window.letters.iter().zip(&window.outcomes) {
                let is_other = report.count(letter, outcome);
                match outcome {
                    Outcome::Written(stamp) => waiting.push((*stamp, source.clone(), key(letter))),
                    // Nothing was written: nothing to wait for.
                    Outcome::Expired => waiting.push((Duration::ZERO, source.clone(), key(letter))),
                    Outcome::Dead(error) if is_other => again.push(DeadLetter::again(letter, error)),
                    Outcome::Dead(_) | Outcome::Unrouted => {}
                }
            }
            self.sender.send_all(again, PATIENCE, stop).await?;
            self.remove(&mut waiting, proof, stop, report).await?;
            tell(report);
        }
        while !waiting.is_empty() {
            proof.next().await?;
            self.remove(&mut waiting, proof, stop, report).await?;
            tell(report);
        }
        Ok(())
    }

    // Ends the letters whose rows are durable by now.
    async fn remove(
        &self,
        waiting: &mut Vec<Waiting>,
        proof: &Proof,
        stop: &CancellationToken,
        report: &mut Report,
    ) -> Result<(), Ended> {
        let Some(limit) = proof.durable()? else { return Ok(()) };
        let (durable, left) = std::mem::take(waiting).into_iter().partition(|(stamp, ..)| *stamp <= limit);
        *waiting = left;
        let durable: Vec<Waiting> = durable;
        let removal = |(_, topic, key): &Waiting| DeadLetter::removal(topic, key, By::Replay, None);
        let tombstones = durable.iter().map(removal);
        let sent = self.sender.send_all(tombstones.collect(), PATIENCE, stop).await;
        report.removed += sent.as_ref().map_or_else(|unsent| unsent.acknowledged, |()| durable.len());
        Ok(sent?)
    }
}

impl From<Unsent> for Ended {
    fn from(unsent: Unsent) -> Self {
        Self::Early(unsent.to_string())
    }
}

fn key(letter: &Letter<'_>) -> Key {
    let Message { partition, key, .. } = letter.record;
    Key { partition, bytes: key.unwrap_or_default().into() }
}

// Letters of one topic and partition that are replayed together.
fn windows(selected: &[(String, Vec<Selected>)]) -> impl Iterator<Item = (&str, &[Selected])> {
    selected.iter().flat_map(|(topic, selected)| {
        let (mut bytes, mut count) = (0, 0);
        let together = selected.chunk_by(move |one, next| {
            bytes += one.entry.bytes;
            count += 1;
            let is_full = bytes + next.entry.bytes > WINDOW_BYTES || count >= WINDOW_LETTERS;
            if is_full || one.key.partition != next.key.partition {
                (bytes, count) = (0, 0);
                return false;
            }
            true
        });
        together.map(move |window| (topic.as_str(), window))
    })
}

#[cfg(test)]
mod tests;
