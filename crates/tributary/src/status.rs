//! `tributary status`: the dashboard's snapshot -> one screen, or one object.

mod screen;

use std::io::{IsTerminal, stdout};
use std::time::Duration;

use dashboard::Snapshot;
use dashboard::client::{Client, ClientError};
use service::config;
use service::health::State;
use service::telemetry::may_colour;

use crate::exit::Unavailable;
use crate::life;
use crate::print::{output, raw, safe, tell};
use crate::terminal::{self, AlternateScreen};

const EXAMPLES: &str = "\
Examples:
  tributary status                   one screen: services, streams, rates, lag, dead letters
  tributary status --watch           the same, renewed each second, until Ctrl-C
  tributary status --json | tail -1  all of it as one JSON object";

const EXIT_CODES: &str = "\
Exit codes:
  0    every service works
  1    a service does not work
  2    wrong usage
  69   the dashboard does not answer: `tributary doctor` looks at everything by itself
  78   wrong configuration

Asks the dashboard, at dashboard.url (TRIBUTARY__DASHBOARD__URL), http://127.0.0.1:9000 unless set.";

/// Bytes of an error that are shown.
const ERROR_BYTES_MAX: usize = 300;
const EVERY: Duration = Duration::from_secs(1);

/// Arguments of `tributary status`.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Renew it each second, until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    watch: bool,
    /// Print all of it as one JSON object in the last line
    #[arg(long)]
    json: bool,
}

/// Shows, and returns the exit code.
///
/// # Errors
/// The dashboard does not answer, or the configuration cannot be used.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<i32> {
    let settings = config::load::<dashboard::Settings>()?.dashboard;
    let client = Client::new(&settings.url);
    if arguments.watch {
        return watch(&client).await;
    }
    let snapshot = client.snapshot().await.map_err(|error| away(&error))?;
    output(&screen::text(&snapshot, has_colours(), None), arguments.json, &snapshot)?;
    Ok(code(&snapshot))
}

fn away(error: &ClientError) -> anyhow::Error {
    Unavailable(format!("{}; is it up? tributary doctor looks at everything by itself", said(error))).into()
}

// Whoever answers there may be a stranger.
fn said(error: &ClientError) -> String {
    safe(&error.to_string(), ERROR_BYTES_MAX)
}

fn code(snapshot: &Snapshot) -> i32 {
    i32::from(snapshot.services.iter().any(|service| service.state == State::Red))
}

fn has_colours() -> bool {
    stdout().is_terminal() && may_colour()
}

// On a screen of its own, where there is a terminal: what was on it before comes back at the end.
async fn watch(client: &Client) -> anyhow::Result<i32> {
    let stop = life::stop();
    let is_terminal = stdout().is_terminal();
    let _screen = is_terminal.then(AlternateScreen::enter).transpose()?;
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(0),
            _ = ticks.tick() => {}
        }
        let asked = tokio::select! {
            () = stop.cancelled() => return Ok(0),
            asked = client.snapshot() => asked,
        };
        // A dashboard that is away for a while is no reason to end.
        let text = match asked {
            // Asked for each time: it may have been given another size.
            Ok(snapshot) => screen::text(&snapshot, has_colours(), terminal::size()),
            Err(error) => format!("{}\n", said(&error)),
        };
        if is_terminal {
            // From the top; each line's rest and all below it is cleared, so that nothing flickers. A line feed behind the last
            // row would move the first one out.
            let text = text.trim_end().replace('\n', "\x1b[K\n");
            raw(format!("\x1b[H{text}\x1b[K\x1b[J").as_bytes())?;
        } else {
            tell(text)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_at_the_address_of_the_dashboard_steers_no_terminal() {
        let page = format!("\x1b[2J<html>\n{}", "x".repeat(1_000));
        let shown = away(&ClientError::Refused(page)).to_string();
        assert!(shown.starts_with("\\u{1b}[2J<html>\\nxxx") && shown.len() < 400, "{shown}");
    }
}
