//! `tributary explain`: a message's place -> what its routes make of it, and what is in the table.

mod screen;

use std::path::PathBuf;

use consumer::audit::Unready;
use consumer::explain::{Place, Unexplained};
use service::config::ConfigError;
use service::{UNAVAILABLE, telemetry};
use tracing::level_filters::LevelFilter;

use crate::print::{complain, output};
use crate::settings;

const EXAMPLES: &str = "\
Examples:
  tributary explain weather:0:17             the message at offset 17 of partition 0
  tributary explain weather:0:17 --json      the same as one JSON object in the last line";

const EXIT_CODES: &str = "\
Exit codes:
  0    each route's row is in its table or was superseded, has expired, or is a dead letter
  1    it is not, as far as this one message tells; or there is no such message
  2    wrong usage
  69   Kafka or Cassandra could not be reached
  78   wrong configuration or routes, or Cassandra refuses the user

Settings are the consumer's: tributary.toml, then variables such as TRIBUTARY__KAFKA__BROKERS.
Nothing is written: no row, no dead letter, no offset. No consumer group is joined.";

/// Arguments of `tributary explain`.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// The message
    #[arg(value_name = "TOPIC:PARTITION:OFFSET", value_parser = place)]
    message: Place,
    /// The folder of routes [default: as configured, else routes]
    #[arg(long, value_name = "DIR")]
    routes: Option<PathBuf>,
    /// Print the explanation as one JSON object in the last line
    #[arg(long)]
    json: bool,
}

/// Explains, prints, and returns the exit code.
///
/// # Errors
/// The configuration cannot be used.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<i32> {
    telemetry::init_with(LevelFilter::OFF);
    let settings = settings::of_consumer(arguments.routes)?;
    settings::of_tables(&settings, "explain shows what is in Cassandra's tables")?;
    let explanation = match consumer::explain::explain(&settings, &arguments.message).await {
        Ok(explanation) => explanation,
        Err(Unexplained::Unready(Unready::Refused(why))) => return Err(ConfigError::Section(why).into()),
        Err(error) => {
            complain(&error.to_string());
            return Ok(if matches!(error, Unexplained::NoMessage(_)) { 1 } else { UNAVAILABLE });
        }
    };
    output(&screen::text(&explanation), arguments.json, &explanation)?;
    Ok(explanation.exit_code())
}

fn place(text: &str) -> Result<Place, String> {
    let wrong = || "expected TOPIC:PARTITION:OFFSET, such as weather:0:17".to_owned();
    let mut parts = text.rsplitn(3, ':');
    let offset = parts.next().and_then(|offset| offset.parse().ok()).filter(|offset: &i64| *offset >= 0);
    let partition = parts.next().and_then(|partition| partition.parse().ok());
    let topic = parts.next().filter(|topic| !topic.is_empty());
    let topic = topic.ok_or_else(wrong)?.to_owned();
    Ok(Place { topic, partition: partition.ok_or_else(wrong)?, offset: offset.ok_or_else(wrong)? })
}
