//! The ledger, the topics, the tables, the dead letters and the committed offsets -> each violation of the promise.

mod commits;
mod history;
mod records;
mod users;

use anyhow::{Context, Result, ensure};
use end_to_end::{DeadLetter, dead_letters, get};

use crate::feed::Feed;
use crate::findings::{Findings, Violation};
use crate::stage::Stage;

pub(crate) use commits::committed_is_stored;
pub(crate) use records::records;
pub(crate) use users::users;

/// I1: what the producers had sent when they were told to end is on their topics.
pub(crate) fn sent_is_published(stage: &mut Stage<'_>, findings: &mut Findings) {
    for produced in stage.feeds.iter_mut().filter_map(Feed::produced) {
        let unpublished = produced.unpublished(&stage.world);
        if unpublished > 0.0 {
            let sent = produced.sent;
            findings.add(Violation::Lost, || {
                format!("{unpublished} of {sent} sent messages are not on the topic")
            });
        }
    }
}

/// I7: what is told of times and counts is none of it negative, whatever the clock says.
pub(crate) fn metrics_make_sense(stage: &Stage<'_>, findings: &mut Findings) -> Result<()> {
    for consumer in &stage.consumers {
        let (_, metrics) = get(consumer.http(), "/metrics").context("no answer to /metrics")?;
        ensure!(metrics.contains("tributary_messages_total"), "no metrics: {metrics}");
        for line in metrics.lines().filter(|line| !line.starts_with('#')) {
            if line.rsplit(' ').next().is_some_and(|value| value.starts_with('-')) {
                findings.add(Violation::Negative, || line.to_owned());
            }
        }
    }
    Ok(())
}

// I1: nothing of what flows here is refused.
fn no_dead_letters(stage: &Stage<'_>, topic: &str, findings: &mut Findings) {
    for letter in dead_letters(&stage.world.brokers, topic).values() {
        is_dead(letter, findings);
    }
}

fn is_dead(letter: &DeadLetter, findings: &mut Findings) {
    let reason = letter.headers.get("reason").map_or("", String::as_str);
    findings.add(Violation::DeadLettered, || format!("{}: {reason}", letter.key));
}
