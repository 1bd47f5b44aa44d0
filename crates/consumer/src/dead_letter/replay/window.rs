//! Some letters -> their messages, their rows, and what became of each.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{StreamExt, stream};

use super::{Judged, Replay};
use crate::batch::{Batch, Origin};
use crate::command::{Ended, PATIENCE, Proof};
use crate::dead_letter::Letter;
use crate::decode::DataError;
use crate::locked;
use crate::message::{Chunk, Partition};
use crate::rows::Rows;
use crate::store::WriteError;
use crate::suspects::{Judge, Suspect, Suspects, Verdict};
use crate::write::{Fate, STALE_AFTER, Written, write};

/// Rows in flight. Each goes by itself: letters are few, and what is refused alone needs no search.
const ROWS_AT_ONCE: usize = 64;

/// What became of a letter.
pub(super) enum Outcome {
    /// Its rows were acknowledged, the last of them at this time on the horizon's clock.
    Written(Duration),
    /// Its time to live has passed.
    Expired,
    /// A dead letter again.
    Dead(DataError),
    /// No route leads from its topic to its table.
    Unrouted,
}

/// Letters that are replayed together.
pub(super) struct Window<'a> {
    pub(super) letters: Vec<Letter<'a>>,
    /// One a letter. Before the rows are written: what will be if the tables take them.
    pub(super) outcomes: Vec<Outcome>,
    /// Whose origins are places among the letters.
    rows: Vec<Batch>,
}

impl<'a> Window<'a> {
    /// Decodes the letters of these records, of the topic of dead letters `source`.
    pub(super) fn decode(replay: &Replay, records: &'a Chunk, source: &'a str) -> Self {
        let mut letters = Vec::new();
        let mut messages = Chunk::default();
        for run in records.spans() {
            for place in run.messages.clone() {
                // It was one when it was folded, and records do not change.
                if let Ok(letter) = Letter::of(records.message(source, run.partition.number, place)) {
                    letter.restore(&mut messages);
                    letters.push(letter);
                }
            }
        }
        let messages = Arc::new(messages);
        let now_ms = chrono::Utc::now().timestamp_millis();
        let mut rows = Vec::new();
        let mut outcomes = Vec::new();
        for (place, letter) in letters.iter().enumerate() {
            let message = messages.message(letter.topic, letter.partition, place);
            outcomes.push(match replay.judge(letter, &message, now_ms) {
                Judged::Rows(made) => {
                    let row = |(target, made)| row(&messages, place, letter, target, made);
                    rows.extend(made.into_iter().map(row));
                    Outcome::Written(Duration::ZERO)
                }
                Judged::Expired => Outcome::Expired,
                Judged::Dead(error) => Outcome::Dead(error),
                Judged::Unrouted => Outcome::Unrouted,
            });
        }
        Self { letters, outcomes, rows }
    }

    /// Writes the rows, and judges those that are refused.
    ///
    /// # Errors
    /// Why not all rows have their outcome.
    pub(super) async fn write(&mut self, replay: &Replay, proof: &Proof) -> Result<(), Ended> {
        let trouble: Arc<Mutex<String>> = Arc::default();
        let writes = stream::iter(std::mem::take(&mut self.rows)).map(|row| {
            let (store, target) = (Arc::clone(&replay.store), replay.targets[row.plan].clone());
            let trouble = Arc::clone(&trouble);
            let note = move |error: &WriteError| *locked(&trouble) = error.to_string();
            write(store, target, row, proof.over.clone(), Some(STALE_AFTER), note)
        });
        let mut writes = writes.buffer_unordered(ROWS_AT_ONCE);
        let mut suspects = Suspects::default();
        while let Some(Written { batch, fate }) = writes.next().await {
            match fate {
                Fate::Acknowledged(at) => self.written(&batch, proof.now(at)),
                Fate::Refused(reason) => suspects.push(Suspect::new(batch, reason)),
                Fate::Stale => {
                    let (limit, why) = (STALE_AFTER.as_secs(), locked(&trouble).clone());
                    return Err(Ended::Early(format!("cassandra has not taken a row for {limit} s: {why}")));
                }
                Fate::Void => return Err(proof.why()),
            }
        }
        self.judge(replay, proof, suspects).await
    }

    async fn judge(&mut self, replay: &Replay, proof: &Proof, mut suspects: Suspects) -> Result<(), Ended> {
        while !suspects.is_empty() {
            suspects.judge(|suspects| {
                let judge = Judge {
                    store: Arc::clone(&replay.store),
                    routes: Arc::clone(&replay.routes),
                    targets: replay.targets.clone(),
                    writer: replay.settings.consumer.group.clone(),
                };
                judge.round(suspects)
            });
            let round = tokio::select! {
                round = suspects.judged() => round,
                () = proof.over.cancelled() => return Err(proof.why()),
            };
            let round = round.ok_or_else(|| Ended::Early("no round of judgement is under way".to_owned()))?;
            let round = round.map_err(|error| Ended::Early(error.to_string()))?;
            for (suspect, verdict) in round? {
                match verdict {
                    Verdict::Taken(at) => self.written(&suspect.batch, proof.now(at)),
                    Verdict::Row => {
                        let plan = &replay.targets[suspect.batch.plan].plan;
                        self.dead(&suspect.batch, suspect.error(plan));
                    }
                    Verdict::Open if suspect.waits_for() > PATIENCE => {
                        let (limit, why) = (PATIENCE.as_secs(), &suspect.reason);
                        return Err(Ended::Early(format!(
                            "it is not known after {limit} s whether a row is at fault or the cluster: {why}"
                        )));
                    }
                    Verdict::Open => suspects.push(suspect),
                }
            }
        }
        Ok(())
    }

    // A letter of several rows is written when all of them are.
    fn written(&mut self, row: &Batch, stamp: Duration) {
        let Some(place) = place(row) else { return };
        if let Outcome::Written(last) = &mut self.outcomes[place] {
            *last = stamp.max(*last);
        }
    }

    fn dead(&mut self, row: &Batch, error: DataError) {
        if let Some(place) = place(row) {
            self.outcomes[place] = Outcome::Dead(error);
        }
    }
}

fn row(messages: &Arc<Chunk>, place: usize, letter: &Letter<'_>, plan: usize, rows: Rows) -> Batch {
    let partition = Partition { topic: 0, number: letter.partition };
    Batch { plan, rows, origins: vec![Origin::alone(messages, place, partition)] }
}

// Which of the window's letters the row is of.
fn place(row: &Batch) -> Option<usize> {
    row.origins.first().map(|origin| origin.place)
}
