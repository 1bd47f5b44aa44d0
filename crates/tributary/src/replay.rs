//! `tributary replay`: messages of a topic -> their rows, written once more.

mod screen;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Instant;

use clap::CommandFactory;
use consumer::replay::{Options, Progress, Replay};
use consumer::topic::Since;
use service::telemetry;
use tracing::level_filters::LevelFilter;

use crate::dead_letters::failed;
use crate::exit::Unavailable;
use crate::print::{aside, output, safe};
use crate::progress::ProgressLine;
use crate::since::since;
use crate::{life, print, settings};

const EXAMPLES: &str = "\
Examples:
  tributary replay --topic users_created --since beginning        after the table was emptied, or dropped and created again
  tributary replay --topic weather --since 2days                  the messages of the last two days
  tributary replay --topic weather --topic faker --since 2026-11-22T00:00:00Z --until 1h
  tributary replay --topic wikipedia --since beginning --dry-run  what the routes make of all of them today
  tributary replay --topic wikipedia --since 1h --rate 2000       beside a busy consumer";

const EXIT_CODES: &str = "\
Exit codes:
  0    all rows are written, and durable
  1    some messages can be no rows: they are counted by cause, and the first are named; or routes do not fit their tables
  2    wrong usage
  69   Kafka or Cassandra could not be reached, stopped answering or was restarted; or it was interrupted: run it again
  78   wrong configuration, no such topic, or Cassandra refuses the user, or a right of it that is then named

Rows have the WRITETIME that they had at first: what is newer in a table stays, also a delete until gc_grace_seconds have
passed, and what is right is not changed. What is wrong is not changed either: of two cells of one WRITETIME Cassandra keeps a
null, else the greater one. Only cells come back that the table has never had: for a mapping that was mended truncate the table,
or fill a new one. Durable does not mean visible: compare by `tributary audit --topic TOPIC`.
With --until, or if it ends early, rows may be back that newer messages delete or let expire, where Cassandra has forgotten that:
after gc_grace_seconds, or in a table that was emptied or created again. A replay that runs to its end, without --until, mends it.

It may be run again, and beside the consumer: no consumer group is joined, no offset is committed. No dead letter is written:
those that there are were made by the consumer's routes of then. Letters are replayed by `tributary dead-letters replay`.

Settings are the consumer's: tributary.toml, then variables such as TRIBUTARY__KAFKA__BROKERS.";

/// Arguments of `tributary replay`.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// A topic that a route names; may be repeated. Where several topics fill a table that was lost, name them all
    #[arg(long, value_name = "TOPIC", required = true)]
    topic: Vec<String>,
    /// Where to begin: a time span back from now (90m, 2h, 3days), a time (2026-11-22T00:00:00Z), an offset, or beginning
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Since,
    /// Where to end, likewise: messages of then or later are left out [default: the ends as they are now]
    #[arg(long, value_name = "WHEN", value_parser = since)]
    until: Option<Since>,
    /// Messages a second, at most [default: as many as Cassandra takes]
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// Say what would happen, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// The folder of routes [default: as configured, else routes]
    #[arg(long, value_name = "DIR")]
    routes: Option<PathBuf>,
    /// Print the outcome as one JSON object in the last line
    #[arg(long)]
    json: bool,
}

/// Replays, prints, and returns the exit code.
///
/// # Errors
/// The configuration cannot be used, or a server is away.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<i32> {
    telemetry::init_with(LevelFilter::OFF);
    let settings = settings::of_consumer(arguments.routes)?;
    settings::of_tables(&settings, "a replay writes to Cassandra's tables")?;
    let options = Options {
        topics: arguments.topic,
        since: arguments.since,
        until: arguments.until,
        rate: arguments.rate,
    };
    if options.is_empty() {
        let why = "--until is not behind --since: nothing is in between";
        crate::Arguments::command().error(clap::error::ErrorKind::ArgumentConflict, why).exit();
    }
    let stop = life::stop();
    let replay = tokio::select! {
        opened = Replay::open(&settings, &options) => opened.map_err(failed)?,
        () = stop.cancelled() => return Err(Unavailable("it was interrupted".to_owned()).into()),
    };
    if !arguments.dry_run {
        print::warn(&replay.warnings().await);
        if options.until.is_some() {
            warn(&replay.reviving());
        }
    }
    let (line, began) = (ProgressLine::new(), Instant::now());
    let tell = |progress: Progress| {
        if progress.is_written {
            let durable_after_s = settings.consumer.durable_after.as_secs();
            line.say(&format!("all rows are written, and are durable {durable_after_s} s later"));
        } else {
            line.tell(|| screen::progress(progress, began.elapsed()));
        }
    };
    let report =
        if arguments.dry_run { replay.dry_run(&stop, tell).await } else { replay.run(&stop, tell).await };
    line.clear();
    output(&screen::text(&report, arguments.dry_run), arguments.json, &report)?;
    Ok(report.exit_code())
}

// Without the newer messages an older row stands alone.
fn warn(tables: &BTreeSet<&str>) {
    if !tables.is_empty() {
        let tables: Vec<&str> = tables.iter().copied().collect();
        aside(&format!(
            "with --until, rows of {} may come back that newer messages have deleted or let expire, if that is longer ago than \
             gc_grace_seconds of the table, or if the table was emptied or created again: where that may be, leave --until out\n",
            safe(&tables.join(", "), 1_000)
        ));
    }
}
