//! `tributary dead-letters`: the letters that stand, by cause; one of them in full; their replay; their end.

mod causes;
mod change;
mod list;
mod show;

use std::path::PathBuf;

use anyhow::anyhow;
use clap::{ArgGroup, Subcommand};
use consumer::Settings;
use consumer::command::Failed;
use consumer::dead_letter::{Address, Letters, Select};
use consumer::route::{self, Route};
use service::config::ConfigError;
use service::telemetry;
use tracing::level_filters::LevelFilter;

use crate::exit::Unavailable;
use crate::settings;

const EXAMPLES: &str = "\
Examples:
  tributary dead-letters list                             all of them, by cause
  tributary dead-letters show users_created:3:20114       one of them, and what the routes make of it today
  tributary dead-letters replay --cause 3f9a1c02 --dry-run
  tributary dead-letters replay --cause 3f9a1c02          once the route or the table is mended
  tributary dead-letters purge users_created:3:20114      give it up";

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    letters failed again, or there is no such letter; or routes do not fit their tables
  2    wrong usage, or not confirmed
  69   Kafka or Cassandra could not be reached, or stopped answering: run it again
  78   wrong configuration, or Cassandra refuses the user

Settings are the consumer's: tributary.toml, then variables such as TRIBUTARY__KAFKA__BROKERS.
No consumer group is joined, no offset is committed: it may run beside the consumer.";

/// Arguments of `tributary dead-letters`.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Count the letters that stand, by cause
    List(List),
    /// Print one letter: its reason, its headers, its bytes, and what the routes make of it today
    Show(Show),
    /// Write the letters' rows, with their original WRITETIME, and remove the letters once the rows are durable
    Replay(Change),
    /// Remove letters for good: their messages will never be rows
    Purge(Change),
}

#[derive(Debug, clap::Args)]
struct Common {
    /// The folder of routes [default: as configured, else routes]
    #[arg(long, value_name = "DIR")]
    routes: Option<PathBuf>,
    /// The group whose letters are meant [default: consumer.group]
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    /// Print the outcome as one JSON object in the last line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Filters {
    /// Only letters of these topics [default: those of the routes]
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// Only letters for these tables
    #[arg(long, value_name = "KEYSPACE.TABLE")]
    table: Vec<String>,
    /// Only letters of these causes, as `list` names them
    #[arg(long, value_name = "ID")]
    cause: Vec<String>,
    /// Only the letters of these messages
    #[arg(value_name = "TOPIC:PARTITION:OFFSET")]
    addresses: Vec<Address>,
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// Which message
    #[arg(value_name = "TOPIC:PARTITION:OFFSET")]
    address: Address,
    /// The table, where the message is dead for several
    #[arg(long, value_name = "KEYSPACE.TABLE")]
    table: Option<String>,
    /// Print the message's bytes and nothing else
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
#[command(group(
    ArgGroup::new("selection")
        .args(["topic", "table", "cause", "addresses", "all"])
        .required(true)
        .multiple(true)
))]
struct Change {
    #[command(flatten)]
    filters: Filters,
    /// All letters of the routes' topics
    #[arg(long)]
    all: bool,
    /// Say what would happen, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    common: Common,
}

/// Runs the subcommand and returns the exit code.
///
/// # Errors
/// The configuration cannot be used, or a server is away.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<i32> {
    telemetry::init_with(LevelFilter::OFF);
    match arguments.command {
        Command::List(list) => list::run(list).await,
        Command::Show(show) => show::run(show).await,
        Command::Replay(change) => change::replay(change).await,
        Command::Purge(change) => change::purge(change).await,
    }
}

// The settings, and the routes that they name.
fn configured(common: &Common) -> anyhow::Result<(Settings, Result<Vec<Route>, String>)> {
    let mut settings = settings::of_consumer(common.routes.clone())?;
    if let Some(group) = &common.group {
        settings.consumer.group.clone_from(group);
    }
    let routes = route::load(&settings.consumer.routes).map_err(|problems| route::listed(&problems));
    Ok((settings, routes))
}

impl Filters {
    // The letters of the topics that are meant, and which of them.
    async fn read(
        &self,
        settings: &Settings,
        routes: &Result<Vec<Route>, String>,
    ) -> anyhow::Result<(Letters, Select)> {
        let named = self.topic.iter().chain(self.addresses.iter().map(|address| &address.topic));
        let mut topics: Vec<String> = named.cloned().collect();
        if topics.is_empty() {
            let routes = routes.as_ref().map_err(|problems| {
                anyhow!("{problems}\nwithout routes the topics are not known: name them with --topic")
            })?;
            topics = routes.iter().flat_map(|route| route.topics.clone()).collect();
        }
        topics.sort();
        topics.dedup();
        let letters = Letters::read(&settings.kafka, topics).await;
        let letters = letters.map_err(|error| Unavailable(error.to_string()))?;
        let select = Select {
            group: settings.consumer.group.clone(),
            topics: self.topic.clone(),
            causes: self.cause.clone(),
            tables: self.table.clone(),
            addresses: self.addresses.clone(),
        };
        Ok((letters, select))
    }
}

/// Why there is no replay, as an exit code tells it.
pub(crate) fn failed(failed: Failed) -> anyhow::Error {
    match failed {
        Failed::Refused(why) => ConfigError::Section(why).into(),
        Failed::Misfit(why) => anyhow!(why),
        Failed::Unavailable(why) => Unavailable(why).into(),
    }
}
