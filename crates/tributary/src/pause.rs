//! `tributary pause` and `resume`: a wish to the dashboard, which hands it on to the producer.

use dashboard::client::{Client, ClientError};
use secrecy::ExposeSecret;
use service::config::{self, ConfigError};

use crate::exit::Unavailable;
use crate::print::{complain, say};

const EXAMPLES: &str = "\
Examples:
  tributary pause wikipedia
  tributary resume wikipedia faker";

const EXIT_CODES: &str = "\
Exit codes:
  0    all of them are paused, or go on
  1    one was refused
  2    wrong usage
  69   the dashboard does not answer
  78   wrong configuration, or no token

The dashboard's token is needed: dashboard.token (TRIBUTARY__DASHBOARD__TOKEN, or ..._TOKEN_FILE), the same that the dashboard
was started with. A pause ends with `resume`, or when the producer is started anew.";

/// Arguments of `tributary pause` and `tributary resume`.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// The producers, by the names of their datasets
    #[arg(required = true, value_name = "PRODUCER")]
    producers: Vec<String>,
}

/// Asks for each of them, and returns the exit code.
///
/// # Errors
/// The dashboard does not answer, the configuration cannot be used, or nobody reads the output.
pub(crate) async fn run(arguments: Arguments, pause: bool) -> anyhow::Result<i32> {
    let settings = config::load::<dashboard::Settings>()?.dashboard;
    settings.check()?;
    if settings.token.expose_secret().is_empty() {
        return Err(ConfigError::Section(
            "dashboard.token is not set, and without it nobody can pause: set TRIBUTARY__DASHBOARD__TOKEN here and for the \
             dashboard (DASHBOARD_TOKEN in .env)"
                .to_owned(),
        )
        .into());
    }
    let client = Client::new(&settings.url);
    let mut code = 0;
    for producer in &arguments.producers {
        match client.pause(producer, pause, &settings.token).await {
            Ok(()) => say(format_args!("{producer} {}", if pause { "is paused" } else { "goes on" }))?,
            Err(ClientError::Refused(why)) => {
                complain(&why);
                code = 1;
            }
            Err(away @ ClientError::Unavailable { .. }) => return Err(Unavailable(away.to_string()).into()),
        }
    }
    Ok(code)
}
