//! Probes beside a command that writes: when writing may begin, what is durable, and whether it is over.
//!
//! The horizon is the engine's. What differs: an engine writes again what a restarted node may have forgotten, a command ends,
//! since its letters or messages are still there.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Ended, PATIENCE};
use crate::dead_letter::INTERRUPTED;
use crate::horizon::{Horizon, Verdict};
use crate::locked;
use crate::settings::Settings;
use crate::store::{Store, WriteError};

const PROBE_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// No probe has been answered.
    Unproved,
    /// What was acknowledged up to this time on the horizon's clock is durable.
    UpTo(Option<Duration>),
    /// Nothing more will be known.
    Over(Ended),
}

/// See the module. Dropped, it probes no more.
pub(crate) struct Proof {
    horizon: Arc<Mutex<Horizon>>,
    state: watch::Receiver<State>,
    /// Cancelled when it is over.
    pub(crate) over: CancellationToken,
    probing: JoinHandle<()>,
}

impl Proof {
    pub(crate) fn start(store: Arc<Store>, settings: &Settings, stop: &CancellationToken) -> Self {
        let horizon = Arc::new(Mutex::new(Horizon::new(settings.consumer.durable_after)));
        let (told, state) = watch::channel(State::Unproved);
        let over = CancellationToken::new();
        let (asked, ended, stop) = (Arc::clone(&horizon), over.clone(), stop.clone());
        let writer = settings.consumer.group.clone();
        let probing = tokio::spawn(async move {
            let why = tokio::select! {
                why = probe(&store, &writer, &asked, &told) => why,
                () = stop.cancelled() => Ended::Early(INTERRUPTED.to_owned()),
            };
            told.send_replace(State::Over(why));
            ended.cancel();
        });
        Self { horizon, state, over, probing }
    }

    /// Waits until something may be written.
    ///
    /// # Errors
    /// Why it is over.
    pub(crate) async fn begin(&mut self) -> Result<(), Ended> {
        while *self.state.borrow() == State::Unproved {
            self.next().await?;
        }
        self.durable().map(drop)
    }

    /// What an acknowledgement answered at that time is stamped with.
    pub(crate) fn now(&self, at: Instant) -> Duration {
        locked(&self.horizon).now(at)
    }

    /// What is stamped with at most this is durable.
    ///
    /// # Errors
    /// Why it is over.
    pub(crate) fn durable(&self) -> Result<Option<Duration>, Ended> {
        match &*self.state.borrow() {
            State::Unproved => Ok(None),
            State::UpTo(limit) => Ok(*limit),
            State::Over(why) => Err(why.clone()),
        }
    }

    /// Why it is over.
    pub(crate) fn why(&self) -> Ended {
        self.durable().err().unwrap_or_else(|| Ended::Early("it is not over".to_owned()))
    }

    /// Waits until what was stamped with this is durable.
    ///
    /// # Errors
    /// Why it is over.
    pub(crate) async fn wait_for(&mut self, stamp: Duration) -> Result<(), Ended> {
        while self.durable()?.is_none_or(|limit| limit < stamp) {
            self.next().await?;
        }
        Ok(())
    }

    /// Waits for the next answer.
    ///
    /// # Errors
    /// Why it is over.
    pub(crate) async fn next(&mut self) -> Result<(), Ended> {
        self.durable()?;
        if self.state.changed().await.is_err() {
            return Err(Ended::Early("the probes have ended".to_owned()));
        }
        self.durable().map(drop)
    }
}

impl Drop for Proof {
    fn drop(&mut self) {
        self.probing.abort();
    }
}

// Ends when nothing more can be proved; returns why.
async fn probe(store: &Store, writer: &str, horizon: &Mutex<Horizon>, told: &watch::Sender<State>) -> Ended {
    let mut ticks = tokio::time::interval(PROBE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut answered_at = Instant::now();
    loop {
        ticks.tick().await;
        locked(horizon).sent(Instant::now());
        let mut trouble = "not every node answers".to_owned();
        let verdict = match store.probe(writer, chrono::Utc::now().timestamp_millis()).await {
            Ok(answer) => locked(horizon).answered(Instant::now(), &answer),
            Err(WriteError::Unauthorized(why)) => return Ended::Refused(why),
            Err(error) => {
                trouble = error.to_string();
                Verdict::Unanswered
            }
        };
        match verdict {
            Verdict::First => {
                told.send_replace(State::UpTo(None));
            }
            Verdict::Same { durable_up_to } => {
                told.send_replace(State::UpTo(durable_up_to));
            }
            Verdict::Restarted { reason } => {
                let why = format!("cassandra may have forgotten what it acknowledged: {reason}");
                return Ended::Early(why);
            }
            Verdict::Replaced => {
                return Ended::Mend("cassandra was replaced by another database".to_owned());
            }
            Verdict::Unanswered if answered_at.elapsed() > PATIENCE => {
                let silence = PATIENCE.as_secs();
                return Ended::Early(format!("cassandra has not answered for {silence} s: {trouble}"));
            }
            Verdict::Unanswered => continue,
        }
        answered_at = Instant::now();
    }
}
