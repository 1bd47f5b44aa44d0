//! How fast a backlog is drained, by what the consumer counts.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use end_to_end::{ends, get, metric};

use crate::findings::{Broken, Findings, Violation};
use crate::stage::Stage;
use crate::topic;

const DRAINED_WITHIN: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Waits until the consumer that was just started has an outcome for all of the topic, and notes the stored rows a second.
pub(crate) async fn drained(stage: &mut Stage<'_>, name: &str) -> Result<()> {
    let before: i64 = topic::committed(stage)?.values().sum();
    let end: i64 = ends(&stage.world.brokers, &stage.users()?.topic).values().sum();
    stage.start(crate::step::Part::Consumer).await?;
    let consumer = stage.consumers.first().context("a consumer")?;
    let until = Instant::now() + DRAINED_WITHIN;
    // Time and rows of the first look that found any.
    let mut began = None;
    let (took, stored) = loop {
        let ended =
            || Broken(Violation::Ended, format!("the consumer has ended by itself:\n{}", consumer.log()));
        ensure!(consumer.is_running(), ended());
        let answers = get(consumer.http(), "/metrics").is_some();
        let outcomes = if answers { metric(consumer, "tributary_messages_total", &[]) } else { 0.0 };
        if outcomes > 0.0 {
            let stored = metric(consumer, "tributary_messages_total", &[r#"outcome="stored""#]);
            let (at, already) = *began.get_or_insert_with(|| (Instant::now(), stored));
            if outcomes >= (end - before) as f64 {
                break (at.elapsed().max(LOOK_EVERY), stored - already);
            }
        }
        ensure!(Instant::now() < until, "{outcomes} outcomes of {} after {DRAINED_WITHIN:?}", end - before);
        tokio::time::sleep(LOOK_EVERY).await;
    };
    let rate = stored / took.as_secs_f64();
    let messages = end - before;
    eprintln!(
        "==> {name}: {messages} messages, {stored} rows in {:.1} s: {rate:.0} rows/s",
        took.as_secs_f64()
    );
    stage.rates.insert(name.to_owned(), rate);
    Ok(())
}

/// The second of two noted rates is at least that much of the first.
pub(crate) fn ratio(
    stage: &Stage<'_>,
    whole: &str,
    part: &str,
    least: f64,
    findings: &mut Findings,
) -> Result<()> {
    let rate = |name: &str| stage.rates.get(name).with_context(|| format!("no rate {name} was noted"));
    let ratio = rate(part)? / rate(whole)?;
    eprintln!("==> {part} / {whole} = {ratio:.3}");
    if ratio < least {
        findings.add(Violation::Slow, || format!("{part} is {ratio:.3} of {whole}, less than {least}"));
    }
    Ok(())
}
