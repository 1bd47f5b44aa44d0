//! What is on the topics, and what of it is committed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use end_to_end::{admin, commit, ends, exists};
use rdkafka::admin::AdminOptions;

use crate::findings::{Broken, Violation};
use crate::stage::Stage;

/// How often something is looked at that is waited for: each look opens connections.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What is written is committed so much later at most, with the shipped horizon of 16 s.
pub(crate) const ALL_COMMITTED_WITHIN: Duration = Duration::from_secs(90);
/// What the last messages of a load may take to be acknowledged.
const HELD_WITHIN: Duration = Duration::from_secs(120);
/// What the load may take for the backlog that was asked for.
const BACKLOG_WITHIN: Duration = Duration::from_secs(600);
/// How long a topic may take to come and go.
const CHANGED_WITHIN: Duration = Duration::from_secs(30);

/// The group's offsets in the topic of the load.
pub(crate) fn committed(stage: &Stage<'_>) -> Result<BTreeMap<i32, i64>> {
    Ok(end_to_end::committed(&stage.world.brokers, &stage.world.name, &stage.users()?.topic))
}

/// I5: all of the topics is committed by then.
pub(crate) async fn committed_within(stage: &Stage<'_>, within: Duration) -> Result<()> {
    let until = Instant::now() + within;
    let world = &stage.world;
    for topic in stage.feeds.iter().map(crate::feed::Feed::topic) {
        let ends = ends(&world.brokers, topic);
        loop {
            let committed = end_to_end::committed(&world.brokers, &world.name, topic);
            if committed == ends {
                break;
            }
            let what = || format!("{topic}: committed {committed:?} of {ends:?} after {within:?}");
            ensure!(Instant::now() < until, Broken(Violation::NotHealed, what()));
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Ok(())
}

/// Lets the load publish until the topic holds so many more messages than are committed.
pub(crate) async fn backlog(stage: &Stage<'_>, messages: i64) -> Result<()> {
    let until = Instant::now() + BACKLOG_WITHIN;
    let committed: i64 = committed(stage)?.values().sum();
    let topic = &stage.users()?.topic;
    while ends(&stage.world.brokers, topic).values().sum::<i64>() < committed + messages {
        ensure!(Instant::now() < until, "the load did not publish {messages} messages in {BACKLOG_WITHIN:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Pauses the load, and waits for what it has on its way.
pub(crate) async fn hold(stage: &Stage<'_>) -> Result<()> {
    let load = &stage.users()?.load;
    load.hold(true);
    let until = Instant::now() + HELD_WITHIN;
    let mut before = None;
    // The last message is acknowledged once nothing more comes.
    while before != Some(load.acknowledged()) || load.pending() > 0 {
        let what = || format!("Kafka has answered nothing to {} messages", load.pending());
        ensure!(Instant::now() < until, Broken(Violation::NotHealed, what()));
        before = Some(load.acknowledged());
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Sets the offsets of the stopped group to the beginning.
pub(crate) fn rewind_group(stage: &mut Stage<'_>) -> Result<()> {
    let topic = &stage.users()?.topic;
    let beginning = ends(&stage.world.brokers, topic).into_keys().map(|partition| (partition, 0)).collect();
    commit(&stage.world.brokers, &stage.world.name, topic, &beginning);
    stage.compared = BTreeMap::new();
    Ok(())
}

/// Deletes the topic of the load, and creates it again. What it held must have been committed.
pub(crate) async fn recreate(stage: &mut Stage<'_>) -> Result<()> {
    let topic = stage.users()?.topic.clone();
    let brokers = stage.world.brokers.clone();
    stage.earlier.read(&brokers, &topic, |_, _| true);
    stage.resets = stage.offset_resets();
    let partitions = ends(&brokers, &topic).len();
    let admin = admin(&brokers);
    for deleted in admin.delete_topics(&[&topic], &AdminOptions::new()).await? {
        deleted.map_err(|(topic, code)| anyhow::anyhow!("delete {topic}: {code}"))?;
    }
    let until = Instant::now() + CHANGED_WITHIN;
    // Until the broker itself has heard of it, what is sent would go into the old topic's log.
    while exists(&brokers, &topic) {
        ensure!(Instant::now() < until, "{topic} is still there");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let count = i32::try_from(partitions).context("few partitions")?;
    while let Err(error) = stage.servers.kafka.create_topic(&topic, count, &[]) {
        ensure!(Instant::now() < until, "create {topic} again: {error}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    // For a moment the broker still has the old log: what it takes then is lost with that.
    loop {
        let ends = ends(&brokers, &topic);
        if ends.len() == partitions && ends.values().all(|end| *end == 0) {
            break;
        }
        ensure!(Instant::now() < until, "{topic} still has what was deleted: {ends:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    stage.compared = BTreeMap::new();
    Ok(())
}
