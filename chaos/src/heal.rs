//! I5 and I7: the health turns red in a fault, and the stream flows again after it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use end_to_end::{committed, ends};
use testbed::{Service, get};
use uuid::Uuid;

use crate::feed::Feed;
use crate::findings::{Broken, Violation};
use crate::stage::Stage;
use crate::topic::LOOK_EVERY;

/// The youngest users, whose rows tell that the stream flows again.
const YOUNGEST: usize = 500;
/// The end of a log that a violation shows.
const LOG_LINES: usize = 12;

/// The consumers' health turns red.
pub(crate) async fn red_within(stage: &Stage<'_>, within: Duration) -> Result<()> {
    let until = Instant::now() + within;
    while !stage.says(503) {
        let what = || format!("the consumer's health is not red after {within:?}");
        look_again(stage, until, Violation::NotRed, what).await?;
    }
    Ok(())
}

/// The consumers' health turns red, or they count that offsets were reset since the topic was made anew.
pub(crate) async fn noticed_within(stage: &Stage<'_>, within: Duration) -> Result<()> {
    let until = Instant::now() + within;
    while !stage.says(503) && stage.offset_resets() <= stage.resets {
        let what = || format!("the consumer tells of nothing after {within:?}");
        look_again(stage, until, Violation::NotRed, what).await?;
    }
    Ok(())
}

/// What Kafka acknowledges from now on is stored by then, and the health is green.
pub(crate) async fn heals_within(stage: &Stage<'_>, within: Duration) -> Result<()> {
    let until = Instant::now() + within;
    let mut goals: Vec<Goal<'_>> = stage.feeds.iter().map(|feed| Goal::of(feed, stage)).collect();
    loop {
        let mut left = Vec::new();
        for mut goal in goals {
            if !goal.is_reached(stage).await? {
                left.push(goal);
            }
        }
        goals = left;
        if goals.is_empty() && stage.says(200) {
            return Ok(());
        }
        let what = || {
            let healths: Vec<_> =
                stage.consumers.iter().map(|consumer| get(consumer.http(), "/health")).collect();
            format!("after {within:?} the health is {healths:?}, and this is waited for: {goals:?}")
        };
        look_again(stage, until, Violation::NotHealed, what).await?;
    }
}

// What tells that a feed flows again.
enum Goal<'a> {
    /// Kafka has acknowledged so many messages; then the youngest are to be stored.
    Acknowledged(usize),
    /// These users are in the table: those that are not yet.
    Stored(BTreeSet<Uuid>),
    /// The committed offsets of a topic are beyond these.
    MoreCommitted(&'a str, BTreeMap<i32, i64>),
}

impl fmt::Debug for Goal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acknowledged(count) => write!(f, "{count} messages acknowledged"),
            Self::Stored(missing) => write!(f, "{} more of the youngest {YOUNGEST} users", missing.len()),
            Self::MoreCommitted(topic, ends) => write!(f, "{topic} committed beyond {ends:?}"),
        }
    }
}

impl<'a> Goal<'a> {
    fn of(feed: &'a Feed, stage: &Stage<'_>) -> Self {
        match feed {
            Feed::Users(users) => Self::Acknowledged(users.load.acknowledged() + YOUNGEST),
            Feed::Produced(produced) => {
                let topic = produced.dataset.topic;
                Self::MoreCommitted(topic, ends(&stage.world.brokers, topic))
            }
        }
    }

    async fn is_reached(&mut self, stage: &Stage<'_>) -> Result<bool> {
        match self {
            Self::Acknowledged(count) => {
                let load = &stage.users()?.load;
                if load.acknowledged() >= *count {
                    *self = Self::Stored(load.latest(YOUNGEST).into_iter().collect());
                }
                Ok(false)
            }
            Self::Stored(missing) => {
                let asked: Vec<Uuid> = missing.iter().copied().collect();
                let question = format!("SELECT id FROM {}.created_users WHERE id IN ?", stage.world.name);
                // A node that has just come back may time out.
                if let Ok(answer) = stage.world.session.query_unpaged(question, (asked,)).await {
                    for row in answer.into_rows_result()?.rows::<(Uuid,)>()? {
                        missing.remove(&row?.0);
                    }
                }
                Ok(missing.is_empty())
            }
            Self::MoreCommitted(topic, ends) => {
                let committed = committed(&stage.world.brokers, &stage.world.name, topic);
                let all = ends.iter().all(|(partition, end)| committed[partition] >= *end);
                Ok(all && ends.iter().any(|(partition, end)| committed[partition] > *end))
            }
        }
    }
}

async fn look_again(
    stage: &Stage<'_>,
    until: Instant,
    violation: Violation,
    what: impl FnOnce() -> String,
) -> Result<()> {
    let log = || {
        let log = stage.consumers.iter().map(Service::log).collect::<String>();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n    ")
    };
    if !stage.consumers.iter().all(Service::is_running) {
        return Err(anyhow!(Broken(
            Violation::Ended,
            format!("a consumer has ended by itself:\n    {}", log())
        )));
    }
    if Instant::now() >= until {
        return Err(anyhow!(Broken(violation, format!("{}:\n    {}", what(), log()))));
    }
    tokio::time::sleep(LOOK_EVERY).await;
    Ok(())
}
