//! `tributary check`: the consumer's settings and routes -> what is wrong with them, before the consumer starts.

mod screen;

use std::path::PathBuf;

use anyhow::Context;
use service::config::ConfigError;
use service::telemetry;
use tracing::level_filters::LevelFilter;

use crate::print::output;
use crate::settings;

const EXAMPLES: &str = "\
Examples:
  tributary check                      the routes and servers that the consumer is configured with
  tributary check --routes my-routes   another folder of routes
  tributary check --sample 0           without reading messages
  tributary check --json | tail -1     the findings as one JSON object";

const EXIT_CODES: &str = "\
Exit codes:
  0    no error; warnings are possible
  1    errors: routes, tables or topics do not fit
  2    wrong usage
  69   no error so far, but Kafka or Cassandra could not be reached
  78   wrong configuration, or Cassandra refuses the user

Settings are the consumer's: tributary.toml, then variables such as TRIBUTARY__KAFKA__BROKERS.
Nothing is written: no row, no dead letter, no offset. No consumer group is joined.";

/// Arguments of `tributary check`.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// The folder of routes [default: as configured, else routes]
    #[arg(long, value_name = "DIR")]
    routes: Option<PathBuf>,
    /// How many of each topic's newest messages to decode
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1_000,
        value_parser = clap::value_parser!(u32).range(0..=100_000)
    )]
    sample: u32,
    /// Print the findings as one JSON object in the last line
    #[arg(long)]
    json: bool,
}

/// Checks, prints, and returns the exit code.
///
/// # Errors
/// The configuration cannot be used.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<i32> {
    telemetry::init_with(LevelFilter::OFF);
    let settings = settings::of_consumer(arguments.routes)?;
    settings::of_tables(&settings, "check compares routes with Cassandra's tables")?;
    let sample = usize::try_from(arguments.sample).context("--sample")?;
    let checked = consumer::check::check(&settings, sample).await;
    // A refused user is a matter of the settings.
    let report = checked.map_err(|refused| ConfigError::Section(refused.to_string()))?;
    output(&screen::text(&report), arguments.json, &screen::Json::of(&report))?;
    Ok(report.exit_code())
}
