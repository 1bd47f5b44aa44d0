//! `replay` and `purge`: the question, the work, the outcome.

use std::io::{BufRead, IsTerminal, Write};
use std::time::Duration;

use anyhow::{Context, anyhow};
use consumer::command::Ended;
use consumer::dead_letter::replay::{Again, Replay, Report};
use consumer::dead_letter::{By, DeadLetter, DeadLetters, Letters, SUFFIX, Select, Selected};
use serde::Serialize;
use service::Health;

use super::{Change, causes, configured, failed};
use crate::exit::Unavailable;
use crate::print::{aside, counted, line, output, safe};
use crate::progress::ProgressLine;
use crate::{life, print, settings};

/// Bytes of a reason that are shown.
const REASON_BYTES_MAX: usize = 300;
/// Kafka acknowledges so many tombstones in less.
const PATIENCE: Duration = Duration::from_secs(60);
const PURGED_AT_ONCE: usize = 1_000;
/// Not confirmed, as wrong usage.
const UNCONFIRMED: i32 = 2;

#[derive(Serialize)]
struct Purged {
    selected: usize,
    removed: usize,
}

pub(super) async fn replay(change: Change) -> anyhow::Result<i32> {
    let (settings, routes) = configured(&change.common)?;
    settings::of_tables(&settings, "a replay writes to Cassandra's tables")?;
    let (letters, select) = change.filters.read(&settings, &routes).await?;
    tell_missing(&letters);
    let selected = letters.select(&select);
    let routes = routes.map_err(|problems| anyhow!(problems))?;
    let replay = Replay::open(&settings, routes).await.map_err(failed)?;
    replay.is_of_the_group(&letters, &selected).await.map_err(failed)?;
    let question = "replay them?";
    if !change.dry_run && !confirmed(&change, &letters, &select, question)? {
        return Ok(UNCONFIRMED);
    }
    if !change.dry_run {
        print::warn(&replay.warnings().await);
    }
    let report = if change.dry_run {
        replay.dry_run(&letters, &selected).await.map_err(failed)?
    } else {
        let progress = ProgressLine::new();
        let durable_after_s = settings.consumer.durable_after.as_secs();
        let tell = |report: &Report| {
            let Report { written, expired, again, selected, removed, .. } = report;
            progress.tell(|| {
                format!(
                    "{} of {selected} tried, {removed} removed; a letter is removed {durable_after_s} s after its rows are written",
                    written + expired + again
                )
            });
        };
        let report = replay.run(&letters, &selected, &life::stop(), tell).await;
        progress.clear();
        report
    };
    output(&screen(&report, change.dry_run), change.common.json, &report)?;
    Ok(code(&report))
}

fn code(report: &Report) -> i32 {
    report.ended.as_ref().map_or_else(|| i32::from(report.again > 0), Ended::exit_code)
}

fn screen(report: &Report, dry_run: bool) -> String {
    let Report { selected, written, expired, again, gone, removed, reasons, ended, .. } = report;
    let mut text = String::new();
    let mut say = |name: &str, words: &str| line(&mut text, format_args!("{name:<8} {words}"));
    let (rows, ends) = if dry_run { ("would be rows", "would end") } else { ("written", "ended") };
    say("rows", &format!("{written} of {} {rows}", counted(*selected, "letter")));
    if *expired > 0 {
        say("expired", &format!("{expired}: their time to live has passed, and they {ends} without a row"));
    }
    if *gone > 0 {
        say("gone", &format!("{gone} were replaced or removed meanwhile"));
    }
    for Again { table, class, reason, count, changed, example } in reasons {
        let other = match (changed, dry_run) {
            (0, _) => String::new(),
            (changed, true) => format!(", {changed} of them for another reason than before"),
            (changed, false) => format!(", {changed} of them now with this reason"),
        };
        let why = safe(&format!("{table}: {class}: {reason} ({example})"), REASON_BYTES_MAX);
        say("again", &format!("{count} x {why}{other}"));
    }
    if !dry_run {
        let (removed, left) = (counted(*removed, "letter"), report.left());
        let again = if *again > 0 { format!(", {again} of which failed again") } else { String::new() };
        say("letters", &format!("{removed} removed, {left} left{again}"));
    }
    if let Some(ended) = ended {
        let (why, remedy) = (safe(ended.why(), REASON_BYTES_MAX), ended.remedy());
        say("ended", &format!("early: {why}; {remedy}, what is written already does no harm"));
    }
    text
}

pub(super) async fn purge(change: Change) -> anyhow::Result<i32> {
    let (settings, routes) = configured(&change.common)?;
    let (letters, select) = change.filters.read(&settings, &routes).await?;
    tell_missing(&letters);
    let selected = letters.select(&select);
    let mut purged =
        Purged { selected: selected.iter().map(|(_, of_topic)| of_topic.len()).sum(), removed: 0 };
    if change.dry_run {
        let text = causes::text(&causes::of(&letters, &select));
        output(
            &format!("{text}{} would be removed\n", counted(purged.selected, "letter")),
            change.common.json,
            &purged,
        )?;
        return Ok(0);
    }
    if !confirmed(&change, &letters, &select, "their messages will never be rows. Remove them?")? {
        return Ok(UNCONFIRMED);
    }
    let sender = DeadLetters::new(&settings.kafka, &settings.consumer.group, Health::default())
        .context("create a producer")?;
    let stop = life::stop();
    for (topic, of_topic) in &selected {
        let source = format!("{topic}{SUFFIX}");
        for some in of_topic.chunks(PURGED_AT_ONCE) {
            let removal = |Selected { key, entry }: &Selected| {
                DeadLetter::removal(&source, key, By::Purge, entry.timestamp_ms)
            };
            let sent = sender.send_all(some.iter().map(removal).collect(), PATIENCE, &stop).await;
            purged.removed += sent.as_ref().map_or_else(|unsent| unsent.acknowledged, |()| some.len());
            sent.map_err(|unsent| {
                let removed = counted(purged.removed, "letter");
                Unavailable(format!(
                    "{unsent}; at least {removed} removed by then, run it again for the rest"
                ))
            })?;
        }
    }
    output(&format!("{} removed\n", counted(purged.removed, "letter")), change.common.json, &purged)?;
    Ok(0)
}

// Nothing is selected of a topic that was misspelt.
fn tell_missing(letters: &Letters) {
    for topic in &letters.missing {
        aside(&format!("topic {}{SUFFIX} does not exist\n", safe(topic, REASON_BYTES_MAX)));
    }
}

// Nothing is asked where nobody can answer, or where there is nothing to do.
fn confirmed(change: &Change, letters: &Letters, select: &Select, question: &str) -> anyhow::Result<bool> {
    let causes = causes::of(letters, select);
    if causes.is_empty() {
        return Ok(true);
    }
    if change.yes {
        return Ok(!gathers(&change.filters.cause, &causes));
    }
    let count = counted(causes.iter().map(|cause| cause.count).sum(), "letter");
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        aside(&format!(
            "{count} selected, and nobody to ask: add --yes, or --dry-run to see what would happen\n"
        ));
        return Ok(false);
    }
    let question = format!("{}{count}: {question} [y/N] ", causes::text(&causes));
    std::io::stderr().write_all(question.as_bytes()).context("write the question")?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer).context("read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

// Whether a cause that was named gathers many: nobody has seen which letters are in it now.
fn gathers(named: &[String], causes: &[causes::Counted]) -> bool {
    let rest = causes.iter().find(|cause| cause.is_rest && named.contains(&cause.id));
    if let Some(causes::Counted { id, count, .. }) = rest {
        aside(&format!(
            "cause {id} gathers all further reasons, {} by now, and may have gathered others when it was listed: name the \
             messages, --topic or --table instead, or leave --yes out and answer the question\n",
            counted(*count, "letter")
        ));
    }
    rest.is_some()
}

#[cfg(test)]
mod tests {
    use service::UNAVAILABLE;

    use super::*;

    #[test]
    fn a_cause_that_gathers_the_rest_is_not_changed_unseen() {
        let rest = causes::Counted::of_test("aaaaaaaa", true);
        let one = causes::Counted::of_test("bbbbbbbb", false);
        let named = |id: &str| vec![id.to_owned()];
        assert!(gathers(&named("aaaaaaaa"), &[one, rest]));
        let [rest, one] =
            [("aaaaaaaa", true), ("bbbbbbbb", false)].map(|(id, rest)| causes::Counted::of_test(id, rest));
        assert!(!gathers(&named("bbbbbbbb"), &[one]));
        assert!(!gathers(&[], &[rest]), "all letters were meant, whatever their causes");
    }

    #[test]
    fn outcome_tells_what_was_removed_and_what_failed_again_and_why() {
        let again = Again {
            table: "shop.orders".to_owned(),
            class: "value".to_owned(),
            reason: "column n: \x07".to_owned(),
            count: 2,
            changed: 1,
            example: "orders:0:7".to_owned(),
        };
        let mut report = Report::default();
        (report.selected, report.written, report.expired) = (5, 2, 1);
        (report.again, report.removed) = (2, 3);
        report.reasons.push(again);
        let expected = "\
rows     2 of 5 letters written
expired  1: their time to live has passed, and they ended without a row
again    2 x shop.orders: value: column n: \\u{7} (orders:0:7), 1 of them now with this reason
letters  3 letters removed, 2 left, 2 of which failed again
";
        assert_eq!(screen(&report, false), expected);
        report.ended = Some(Ended::Early("cassandra has gone".to_owned()));
        assert!(screen(&report, false).contains("early: cassandra has gone; run it again"));
        assert_eq!(code(&report), UNAVAILABLE);
        report.ended = Some(Ended::Mend("column n is gone".to_owned()));
        assert!(screen(&report, false).contains("early: column n is gone; mend that first"));
        assert_eq!(code(&report), 1, "running it again helps nobody");
    }
}
