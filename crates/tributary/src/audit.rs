//! `tributary audit`: topics and tables -> the offsets that are missing, stale or different.

mod screen;

use std::cell::Cell;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::{DateTime, Utc};
use consumer::audit::{Options, Progress, Since};
use service::config::ConfigError;
use service::telemetry;

use crate::print::output;
use crate::settings;

const EXAMPLES: &str = "\
Examples:
  tributary audit                          everything that the consumer has committed
  tributary audit --topic weather          one topic
  tributary audit --since 1h               the messages of the last hour
  tributary audit --until end              to the end of the topics, when nothing is on its way any more
  tributary audit --json | tail -1         the findings as one JSON object";

const EXIT_CODES: &str = "\
Exit codes:
  0    every message is in its table, or was superseded, has expired, or is a dead letter
  1    some are missing, stale or different, or were deleted before they were read
  2    wrong usage
  69   nothing wrong so far, but not all was judged: Kafka or Cassandra went away, or the group has committed nothing of a topic
  78   wrong configuration or routes, or Cassandra refuses the user

Settings are the consumer's: tributary.toml, then variables such as TRIBUTARY__KAFKA__BROKERS.
Nothing is written: no row, no dead letter, no offset. No consumer group is joined.";

/// Arguments of `tributary audit`.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// A topic; may be repeated [default: all that a route names]
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// Where to begin: a time span back from now (90m, 2h, 3days), a time (2026-11-22T00:00:00Z), or an offset [default:
    /// the beginning]
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Since>,
    /// Where to end: what the consumer group has committed, or the end of the topics
    #[arg(long, value_name = "WHERE", value_enum, default_value_t = Until::Committed)]
    until: Until,
    /// How many offsets are named at most; the others are counted, and with ten times as many the audit ends
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    named: u32,
    /// The folder of routes [default: as configured, else routes]
    #[arg(long, value_name = "DIR")]
    routes: Option<PathBuf>,
    /// Print the findings as one JSON object in the last line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Until {
    Committed,
    End,
}

/// Audits, prints, and returns the exit code.
///
/// # Errors
/// The configuration cannot be used.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<i32> {
    telemetry::init_with("off");
    let settings = settings::of_consumer(arguments.routes)?;
    settings::of_tables(&settings, "audit compares topics with Cassandra's tables")?;
    let options = Options {
        topics: arguments.topic,
        since: arguments.since.unwrap_or(Since::Beginning),
        to_end: arguments.until == Until::End,
        faults_max: usize::try_from(arguments.named).context("--named")?,
    };
    let line = ProgressLine::new();
    let audited = consumer::audit::audit(&settings, &options, |progress| line.tell(progress)).await;
    line.clear();
    // What is refused is a matter of the settings, of which the routes are a part.
    let report = audited.map_err(|refused| ConfigError::Section(refused.to_string()))?;
    output(&screen::text(&report), arguments.json, &screen::Json::of(&report))?;
    Ok(report.exit_code())
}

/// Reads a place to begin at, as an operator writes it.
///
/// # Errors
/// In words: what may stand there.
pub(crate) fn since(text: &str) -> Result<Since, String> {
    if let Some(offset) = text.parse().ok().filter(|offset: &i64| *offset >= 0) {
        return Ok(Since::Offset(offset));
    }
    // No message is of before 1970, and Kafka is not asked for such a time.
    let at = |ms: i64| Since::Time(ms.max(0));
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(at(time.timestamp_millis()));
    }
    let span = humantime::parse_duration(text).ok().and_then(|span| i64::try_from(span.as_millis()).ok());
    match span {
        Some(span) => Ok(at(Utc::now().timestamp_millis().saturating_sub(span))),
        None => {
            Err("expected a span such as 90m or 3days, a time such as 2026-11-22T00:00:00Z, or an offset"
                .to_owned())
        }
    }
}

/// On a terminal, a line that is written over and over.
struct ProgressLine {
    shown: bool,
    last: Cell<Option<Instant>>,
}

impl ProgressLine {
    const EVERY: Duration = Duration::from_millis(500);

    fn new() -> Self {
        Self { shown: std::io::stderr().is_terminal(), last: Cell::new(None) }
    }

    fn tell(&self, progress: Progress) {
        if !self.shown || self.last.get().is_some_and(|last| last.elapsed() < Self::EVERY) {
            return;
        }
        self.last.set(Some(Instant::now()));
        let Progress { looked_at, of, on_trial } = progress;
        match on_trial {
            0 => eprint!("\r\x1b[K{looked_at} of {of} messages"),
            rows => eprint!("\r\x1b[K{looked_at} of {of} messages; {rows} rows by all of their messages"),
        }
    }

    fn clear(&self) {
        if self.last.get().is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audit_begins_in_1970_at_the_earliest() {
        assert_eq!(since("1970-01-01T00:00:01Z"), Ok(Since::Time(1_000)));
        for early in ["1960-01-01T00:00:00Z", "100years"] {
            assert_eq!(since(early), Ok(Since::Time(0)), "{early}");
        }
    }
}
