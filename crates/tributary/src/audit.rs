//! `tributary audit`: topics and tables -> the offsets that are missing, stale or different.

mod screen;

use std::path::PathBuf;

use anyhow::Context;
use consumer::audit::{Options, Progress};
use consumer::topic::Since;
use service::config::ConfigError;
use service::telemetry;
use tracing::level_filters::LevelFilter;

use crate::print::output;
use crate::progress::ProgressLine;
use crate::settings;
use crate::since::since;

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
    /// Where to begin: a time span back from now (90m, 2h, 3days), a time (2026-11-22T00:00:00Z), an offset, or beginning
    /// [default: beginning]
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
    telemetry::init_with(LevelFilter::OFF);
    let settings = settings::of_consumer(arguments.routes)?;
    settings::of_tables(&settings, "audit compares topics with Cassandra's tables")?;
    let options = Options {
        topics: arguments.topic,
        since: arguments.since.unwrap_or(Since::Beginning),
        to_end: arguments.until == Until::End,
        faults_max: usize::try_from(arguments.named).context("--named")?,
    };
    let line = ProgressLine::new();
    let audited = consumer::audit::audit(&settings, &options, |progress| line.tell(|| words(progress))).await;
    line.clear();
    // What is refused is a matter of the settings, of which the routes are a part.
    let report = audited.map_err(|refused| ConfigError::Section(refused.to_string()))?;
    output(&screen::text(&report), arguments.json, &screen::Json::of(&report))?;
    Ok(report.exit_code())
}

fn words(progress: Progress) -> String {
    let Progress { looked_at, of, on_trial } = progress;
    match on_trial {
        0 => format!("{looked_at} of {of} messages"),
        rows => format!("{looked_at} of {of} messages; {rows} rows by all of their messages"),
    }
}
