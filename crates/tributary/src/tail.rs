//! `tributary tail`: a topic -> a line a message, as they come.

mod newest;
mod record;

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::ControlFlow;

use anyhow::{Context, anyhow};
use consumer::topic::{Ranges, Since, Topics};
use rdkafka::message::BorrowedMessage;
use service::{kafka, telemetry};
use tracing::level_filters::LevelFilter;

use crate::exit::Unavailable;
use crate::print::{aside, complain, json, written};
use crate::{life, settings, since, terminal};
use record::Record;

const EXAMPLES: &str = "\
Examples:
  tributary tail weather                          the last 10 messages, and then whatever comes, until Ctrl-C
  tributary tail weather --last 100 --no-follow   the last 100
  tributary tail weather --search Amsterdam       those of the last 1000 that have the word, and those that come
  tributary tail weather --from 15m               from 15 minutes ago on
  tributary tail weather.dlq --from beginning --no-follow --json | jq .headers";

const EXIT_CODES: &str = "\
Exit codes:
  0    ended: by Ctrl-C or SIGTERM, at the present end, or because nobody reads its output any more
  1    there is no such topic
  2    wrong usage
  69   Kafka could not be reached, or stopped delivering
  78   wrong configuration

Settings are the consumer's: tributary.toml, then variables such as TRIBUTARY__KAFKA__BROKERS.
No consumer group is joined, no offset is committed. Lines are cut on a terminal only.";

const CLIENT_ID: &str = "tributary-tail";

/// Arguments of `tributary tail`.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// The topic
    topic: String,
    /// Begin with this many of the newest messages [default: 10; with --search 1000]
    #[arg(
        short = 'n',
        long,
        value_name = "N",
        conflicts_with = "from",
        value_parser = clap::value_parser!(u32).range(0..=100_000)
    )]
    last: Option<u32>,
    /// Begin there instead: beginning, end, a time span back from now (90m, 2h), a time (2026-11-22T00:00:00Z), or an
    /// offset
    #[arg(long, value_name = "WHERE", value_parser = start)]
    from: Option<Start>,
    /// Only messages that have this text in their key or value
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    search: Option<String>,
    /// Print one JSON object a line: the value whole, and the headers
    #[arg(long)]
    json: bool,
    /// Do not cut lines to the width of the terminal
    #[arg(long, conflicts_with = "json")]
    whole: bool,
    /// Go on with what comes; this is the default
    #[arg(short, long, overrides_with = "no_follow")]
    follow: bool,
    /// End at the topic's present end
    #[arg(long, overrides_with = "follow")]
    no_follow: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Since(Since),
    End,
}

fn start(text: &str) -> Result<Start, String> {
    match text {
        "end" => Ok(Start::End),
        _ => match since::since(text) {
            Ok(since) => Ok(Start::Since(since)),
            Err(expected) => Err(format!("{expected}, or end")),
        },
    }
}

/// Shows messages, and returns the exit code.
///
/// # Errors
/// The configuration cannot be used, there is no such topic, or Kafka is away.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<i32> {
    telemetry::init_with(LevelFilter::OFF);
    let settings = settings::of_consumer(None)?;
    let stop = life::stop();
    let columns = if arguments.whole { None } else { terminal::size().map(|size| size.columns) };
    let shown = tokio::task::spawn_blocking(move || {
        show(&settings.kafka, &arguments, &mut Screen { out: std::io::stdout(), columns })
    });
    let shown = tokio::select! {
        shown = shown => shown.context("read the topic")?,
        () = stop.cancelled() => Ok(()),
    };
    shown.map(|()| 0)
}

impl Arguments {
    fn wants(&self, record: &Record) -> bool {
        self.search.as_deref().is_none_or(|text| record.has(text))
    }
}

// Where lines go.
struct Screen<W> {
    out: W,
    columns: Option<usize>,
}

impl<W: Write> Screen<W> {
    fn show(&mut self, record: &Record, arguments: &Arguments) -> anyhow::Result<()> {
        if !arguments.wants(record) {
            return Ok(());
        }
        let line = if arguments.json { json(&record.json())? } else { record.line(self.columns) };
        written(writeln!(self.out, "{line}"))
    }
}

// Blocks, as librdkafka does.
fn show(
    kafka: &kafka::Settings,
    arguments: &Arguments,
    screen: &mut Screen<impl Write>,
) -> anyhow::Result<()> {
    let topic = &arguments.topic;
    let topics = Topics::connect(kafka, CLIENT_ID).map_err(Unavailable::from)?;
    if topics.partitions(topic).is_none() {
        return Err(missing(topic, &kafka.brokers, topics.names()));
    }
    let held = topics.ranges(topic).map_err(Unavailable::from)?;
    let from = match arguments.from {
        Some(from) => begin(&topics, topic, from, &held)?,
        None => {
            let count = arguments.last.unwrap_or(if arguments.search.is_some() { 1_000 } else { 10 });
            let wanted = |record: &Record| arguments.wants(record);
            let newest = newest::of(&topics, topic, &held, count, wanted);
            let (records, is_cut) = newest.map_err(Unavailable::from)?;
            if is_cut {
                let mib = newest::BYTES_MAX >> 20;
                aside(&format!("fewer messages than asked for: together they have more than {mib} MiB\n"));
            }
            for record in records {
                screen.show(&record, arguments)?;
            }
            held.iter().map(|(number, range)| (*number, range.end)).collect()
        }
    };
    let mut shown = Ok(());
    let take = |message: &BorrowedMessage<'_>| {
        shown = screen.show(&Record::of(message), arguments);
        if shown.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    if arguments.no_follow {
        let rest = held.iter().filter_map(|(number, range)| Some((*number, *from.get(number)?..range.end)));
        topics.read(topic, &rest.collect(), take).map_err(Unavailable::from)?;
    } else {
        topics
            .follow(topic, &from, take, |why| complain(&format!("{why}; waiting")))
            .map_err(Unavailable::from)?;
    }
    shown
}

fn begin(topics: &Topics, topic: &str, from: Start, held: &Ranges) -> anyhow::Result<BTreeMap<i32, i64>> {
    match from {
        Start::End => Ok(held.iter().map(|(number, range)| (*number, range.end)).collect()),
        Start::Since(since) => Ok(topics.offsets_of(topic, since, held).map_err(Unavailable::from)?),
    }
}

// With all that there are: there is no other way to ask for a list of them.
fn missing<'a>(topic: &str, brokers: &str, known: impl Iterator<Item = &'a str>) -> anyhow::Error {
    let mut known: Vec<&str> = known.collect();
    if known.is_empty() {
        return anyhow!("topic {topic} does not exist on {brokers}, which has none that this user may see");
    }
    known.sort_by(|a, b| strsim::jaro_winkler(topic, b).total_cmp(&strsim::jaro_winkler(topic, a)));
    anyhow!("topic {topic} does not exist on {brokers}; nearest first there are {}", known.join(", "))
}

#[cfg(test)]
mod tests;
