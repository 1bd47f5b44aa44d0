//! What a replay has done, and how far it is, for a person.

use std::time::Duration;

use consumer::replay::{Progress, Refusal, Report, TopicReport};

use crate::print::{grouped, line, safe};

/// Bytes of a reason that are shown.
const REASON_BYTES_MAX: usize = 300;

/// The whole report.
pub(super) fn text(report: &Report, dry_run: bool) -> String {
    let mut text = String::new();
    for topic in &report.topics {
        one_topic(&mut text, topic, dry_run);
    }
    if !report.refusals.is_empty() {
        text.push('\n');
    }
    for Refusal { table, class, reason, count, first } in &report.refusals {
        let why = safe(&format!("{table}: {class}: {reason}"), REASON_BYTES_MAX);
        line(
            &mut text,
            format_args!("refused  {} x {why}\n         {}", grouped(*count), safe(&first.join(", "), 2_000)),
        );
    }
    if let Some(address) = report.refusals.first().and_then(|refusal| refusal.first.first()) {
        line(&mut text, format_args!("\nLook at one: tributary explain {}", safe(address, REASON_BYTES_MAX)));
    }
    let messages = report.topics.iter().map(|topic| topic.messages).sum();
    let is_empty = messages == 0;
    let messages = grouped(messages);
    let seconds = report.seconds;
    let end = match (&report.ended, dry_run) {
        (None, _) if is_empty => "nothing in that range: no message was read".to_owned(),
        (None, true) => format!("{messages} messages in {seconds:.1} s, and nothing was written"),
        (None, false) => {
            let topics =
                report.topics.iter().map(|topic| format!(" --topic {}", topic.topic)).collect::<String>();
            let topics = safe(&topics, 2_000);
            format!(
                "{messages} messages in {seconds:.1} s; their rows are durable; compare: tributary audit{topics}"
            )
        }
        (Some(ended), _) => {
            let (why, remedy) = (safe(ended.why(), REASON_BYTES_MAX), ended.remedy());
            format!(
                "ended early after {messages} messages, {seconds:.1} s: {why}; {remedy}{}",
                harm(&report.reviving)
            )
        }
    };
    line(&mut text, format_args!("\n{end}"));
    text
}

// What was written cannot be wrong; but a row stands until its delete is read.
fn harm(reviving: &[String]) -> String {
    if reviving.is_empty() {
        return ", what is written already does no harm".to_owned();
    }
    let tables = safe(&reviving.join(", "), 2_000);
    format!(
        "; if a table was emptied or created again before, rows of {tables} may be back that newer messages delete or let \
         expire, until a replay has run to its end"
    )
}

fn one_topic(text: &mut String, of_topic: &TopicReport, dry_run: bool) {
    let TopicReport {
        topic,
        offsets,
        passed,
        messages,
        later,
        written,
        deleted,
        expired,
        refused,
        since,
        ..
    } = of_topic;
    // Retention or compaction has taken it, or it is a transaction's marker and never had one.
    let gone = match passed.saturating_sub(*messages + *later) {
        0 => String::new(),
        gone => format!(", {} without a message", grouped(gone)),
    };
    let later = match later {
        0 => String::new(),
        later => format!(", {} not before --until", grouped(*later)),
    };
    let not_read = match offsets.saturating_sub(*passed) {
        0 => String::new(),
        left => format!(", {} not read", grouped(left)),
    };
    line(
        text,
        format_args!(
            "{topic}: {} messages of {} offsets{gone}{later}{not_read}",
            grouped(*messages),
            grouped(*offsets)
        ),
    );
    let rows = if dry_run { "would be rows" } else { "written" };
    line(
        text,
        format_args!(
            "  {rows} {}   deletes {}   expired {}   refused {}",
            grouped(*written),
            grouped(*deleted),
            grouped(*expired),
            grouped(*refused)
        ),
    );
    if let Some(since) = since {
        line(
            text,
            format_args!(
                "  what is not durable of it, unless the topic is compacted: the same command with --topic {topic} --since {since}"
            ),
        );
    }
}

/// `120,000 of 500,000 offsets, 40,000 a second, 10s left`
pub(super) fn progress(Progress { passed, of, .. }: Progress, elapsed: Duration) -> String {
    let far = format!("{} of {} offsets", grouped(passed), grouped(of));
    let a_second = u128::from(passed) * 1_000 / elapsed.as_millis().max(1);
    match u64::try_from(a_second) {
        Ok(a_second @ 1..) => {
            let left = Duration::from_secs(of.saturating_sub(passed).div_ceil(a_second));
            format!("{far}, {} a second, {} left", grouped(a_second), humantime::format_duration(left))
        }
        _ => far,
    }
}

#[cfg(test)]
mod tests {
    use consumer::command::Ended;

    use super::*;

    fn report(ended: Option<Ended>) -> Report {
        let topic = TopicReport {
            topic: "orders".to_owned(),
            offsets: 1_234_580,
            passed: 1_234_580,
            messages: 1_234_560,
            later: 10,
            written: 1_234_550,
            deleted: 3,
            expired: 1,
            refused: 6,
            ..TopicReport::default()
        };
        let refusal = Refusal {
            table: "shop.orders".to_owned(),
            class: "value".to_owned(),
            reason: "column n: \x07".to_owned(),
            count: 6,
            first: vec!["orders:0:7".to_owned(), "orders:1:9".to_owned()],
        };
        let mut report = Report::default();
        report.topics.push(topic);
        report.refusals.push(refusal);
        (report.seconds, report.ended) = (61.25, ended);
        report
    }

    #[test]
    fn report_tells_each_outcome_and_the_first_messages_of_each_cause() {
        let expected = "\
orders: 1,234,560 messages of 1,234,580 offsets, 10 without a message, 10 not before --until
  written 1,234,550   deletes 3   expired 1   refused 6

refused  6 x shop.orders: value: column n: \\u{7}
         orders:0:7, orders:1:9

Look at one: tributary explain orders:0:7

1,234,560 messages in 61.2 s; their rows are durable; compare: tributary audit --topic orders
";
        assert_eq!(text(&report(None), false), expected);
        let dry = text(&report(None), true);
        assert!(dry.contains("would be rows 1,234,550") && dry.contains("nothing was written"), "{dry}");
    }

    #[test]
    fn report_of_what_ended_early_tells_what_to_do() {
        let mut early = report(Some(Ended::Early("it was interrupted".to_owned())));
        early.topics[0].passed -= 1_000;
        early.topics[0].messages -= 1_000;
        early.topics[0].since = Some("2026-11-22T10:00:00.000Z".to_owned());
        let early = text(&early, false);
        assert!(early.contains("10 not before --until, 1,000 not read"), "{early}");
        assert!(
            early.contains("after 1,233,560 messages, 61.2 s: it was interrupted; run it again"),
            "{early}"
        );
        assert!(early.contains("unless the topic is compacted: the same"), "{early}");
        assert!(early.contains("--topic orders --since 2026-11-22T10:00:00.000Z"), "{early}");
        assert!(early.contains("does no harm") && !early.contains("may be back"), "{early}");
        let mut deletes = report(Some(Ended::Early("it was interrupted".to_owned())));
        deletes.reviving.push("shop.orders".to_owned());
        let deletes = text(&deletes, false);
        assert!(deletes.contains("it was interrupted; run it again; if a table was emptied"), "{deletes}");
        assert!(deletes.contains("rows of shop.orders may be back that newer messages delete"), "{deletes}");
        assert!(!deletes.contains("no harm"), "{deletes}");
        let mend = text(&report(Some(Ended::Mend("column n is gone".to_owned()))), false);
        assert!(mend.contains("column n is gone; mend that first"), "{mend}");
    }

    #[test]
    fn nothing_is_durable_where_nothing_was_in_the_range() {
        let mut report = Report::default();
        report.topics.push(TopicReport { topic: "orders".to_owned(), ..TopicReport::default() });
        let text = text(&report, false);
        assert!(text.contains("nothing in that range") && !text.contains("durable"), "{text}");
    }

    #[test]
    fn progress_tells_rate_and_what_is_left() {
        let told = |passed, seconds| {
            progress(Progress { passed, of: 500_000, is_written: false }, Duration::from_secs(seconds))
        };
        assert_eq!(told(0, 3), "0 of 500,000 offsets");
        assert_eq!(told(120_000, 3), "120,000 of 500,000 offsets, 40,000 a second, 10s left");
    }
}
