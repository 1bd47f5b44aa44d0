//! What a topic's settings and a sample mean for an operator, in words. Values in, values out.

use super::report::{Reason, Sample, Thresholds};
use super::topics::Config;
use crate::dead_letter::SUFFIX;
use crate::plan::Plan;

/// Rows that a driver reads at once unless it is told otherwise.
const PAGE_ROWS: u64 = 5_000;

/// What is odd about a topic, and about the topic of its dead letters.
pub(super) fn of_topic(topic: &str, config: Option<&Config>, letters: Option<&Config>) -> Vec<String> {
    let mut odd = Vec::new();
    let said = |config: Option<&Config>, name: &str| config.and_then(|config| config.get(name)).cloned();
    if said(config, "message.timestamp.type").is_some_and(|kind| kind == "LogAppendTime") {
        odd.push(format!(
            "topic {topic} has message.timestamp.type=LogAppendTime: which of two messages of one key is the newer is then \
             decided by their arrival, also when one is published again; set it to CreateTime"
        ));
    }
    if said(letters, "cleanup.policy").is_some_and(|policy| !policy.contains("compact")) {
        odd.push(format!(
            "topic {topic}{SUFFIX} is not compacted: a message that is refused again leaves a second dead letter; \
             set cleanup.policy=compact"
        ));
    }
    if let (Some(kept_ms), Some(known_ms)) = (config.map(kept_ms), tombstones_ms(letters))
        && known_ms < kept_ms
    {
        odd.push(format!(
            "topic {topic}{SUFFIX} has delete.retention.ms={known_ms}: that a dead letter was purged may be forgotten while its \
             message is still on {topic}, and audit then calls it missing; set it to {kept_ms} or more"
        ));
    }
    let bytes_max = |config| said(config, "max.message.bytes").and_then(|text| text.parse::<u64>().ok());
    if let (Some(source), Some(letters)) = (bytes_max(config), bytes_max(letters))
        && letters <= source
    {
        odd.push(format!(
            "topic {topic}{SUFFIX} has max.message.bytes={letters}, {topic} has {source}: a dead letter is its message with \
             headers, and the largest will not fit; raise it"
        ));
    }
    odd
}

// How long a topic keeps a message, for all that its settings say; what is only compacted may stay for ever.
fn kept_ms(config: &Config) -> i64 {
    let deletes = config.get("cleanup.policy").is_none_or(|policy| policy.contains("delete"));
    let kept = config.get("retention.ms").and_then(|text| text.parse().ok());
    // -1 is for ever.
    kept.filter(|kept_ms| deletes && *kept_ms >= 0).unwrap_or(i64::MAX)
}

// How long the topic of dead letters keeps at least that a letter was removed; `None` where it does not say.
fn tombstones_ms(letters: Option<&Config>) -> Option<i64> {
    letters?.get("delete.retention.ms")?.parse().ok()
}

/// What is odd about the messages of a topic; `true` where it is an error.
pub(super) fn of_sample(
    topic: &str,
    plan: &Plan,
    sample: &Sample,
    thresholds: &Thresholds,
) -> Vec<(bool, String)> {
    let mut odd = Vec::new();
    let Sample { messages, rows, expired, dead_letters, .. } = sample;
    if let Some(Reason { reason, partition, offset, .. }) = sample.reasons.first() {
        let kinds = match sample.reasons.len() {
            1 => String::new(),
            kinds => format!(", for {kinds} reasons; most often"),
        };
        let all = dead_letters == messages;
        let how_many = if all { "all".to_owned() } else { format!("{dead_letters} of") };
        odd.push((
            all,
            format!(
                "{how_many} {messages} sampled messages of {topic} would be dead letters{kinds}: {reason} \
                 (partition {partition}, offset {offset})"
            ),
        ));
    }
    if *expired > 0 && *rows == 0 && *dead_letters == 0 {
        odd.push((
            false,
            format!("all {messages} sampled messages of {topic} are older than the route's ttl: none becomes a row"),
        ));
    }
    let batches = &sample.batch_server_bytes;
    let shipped =
        if thresholds.assumed { " (as shipped: this server's settings cannot be read)" } else { "" };
    if batches.max > thresholds.batch_size_fail {
        let fit = fitting(sample, thresholds.batch_size_fail);
        odd.push((
            false,
            format!(
                "batches of {topic} have up to {} by the server's count, batch_size_fail_threshold is {}{shipped}: the server \
                 refuses such a batch, and the consumer writes its halves; lower consumer.batch_bytes, or batch_rows to {fit}",
                kib(batches.max),
                kib(thresholds.batch_size_fail)
            ),
        ));
    } else if batches.max > thresholds.batch_size_warn {
        odd.push((
            false,
            format!(
                "batches of {topic} have up to {} by the server's count, batch_size_warn_threshold is {}{shipped}: the server \
                 logs a line for each that is above; raise it in cassandra.yaml, below batch_size_fail_threshold ({})",
                kib(batches.max),
                kib(thresholds.batch_size_warn),
                kib(thresholds.batch_size_fail)
            ),
        ));
    }
    if sample.batch_partitions.max > thresholds.batch_partitions_warn {
        odd.push((
            false,
            format!(
                "batches of {topic} have up to {} partitions, unlogged_batch_across_partitions_warn_threshold is {}{shipped}: the \
                 server logs a line for each that is above; raise it in cassandra.yaml",
                sample.batch_partitions.max, thresholds.batch_partitions_warn
            ),
        ));
    }
    odd.extend(tombstones(plan, sample, thresholds).map(|message| (false, message)));
    odd
}

fn tombstones(plan: &Plan, sample: &Sample, thresholds: &Thresholds) -> Option<String> {
    #[expect(clippy::cast_precision_loss, reason = "the threshold is far below 2^52")]
    let fail = thresholds.tombstone_fail as f64;
    #[expect(clippy::cast_precision_loss, reason = "a constant")]
    let a_page = sample.null_cells.mean * PAGE_ROWS as f64;
    (a_page > fail).then(|| {
        format!(
            "rows of {} have {} tombstones each: a read of {PAGE_ROWS} rows, a driver's usual page, meets {a_page:.0} and fails \
             (tombstone_failure_threshold is {}); leave missing fields unset, or read smaller pages",
            plan.table, sample.null_cells.mean, thresholds.tombstone_fail
        )
    })
}

// How many rows of this size stay below the limit.
fn fitting(sample: &Sample, limit: u64) -> u64 {
    let rows = sample.batch_rows.max.max(1);
    let a_row = sample.batch_server_bytes.max.div_ceil(rows).max(1);
    (limit / a_row).max(1)
}

/// Bytes in the unit that Cassandra's settings use.
pub(super) fn kib(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "sizes of batches are far below 2^52")]
    let kib = bytes as f64 / 1024.0;
    if bytes.is_multiple_of(1024) { format!("{kib:.0} KiB") } else { format!("{kib:.1} KiB") }
}

#[cfg(test)]
mod tests;
