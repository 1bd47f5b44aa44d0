//! From `main` to an exit code: arguments, settings, telemetry, the service's port, its run, its end.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::config::{self, ConfigError};
use crate::words::lines;
use crate::{Health, http, shutdown, telemetry};

/// As often as services sum up what they have done.
const REMIND_EVERY: Duration = Duration::from_secs(10);

/// Settings of a service: whatever its `run` needs, and the address of its port.
pub trait Configured: DeserializeOwned {
    /// Section `[http]`.
    fn http(&self) -> &http::Settings;
}

/// A subcommand of a service beside `health`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command {
    /// As typed.
    pub name: &'static str,
    /// One line of help.
    pub about: &'static str,
}

/// What a running service is given.
#[derive(Debug)]
pub struct Service {
    /// The subcommand that was asked for, if any.
    pub command: Option<&'static str>,
    /// Where its parts report.
    pub health: Health,
    /// Cancelled by SIGTERM and SIGINT: finish, flush, return.
    pub shutdown: CancellationToken,
    /// Where an operator's pause arrives; [`Service::paused`] listens to it.
    pub pause: watch::Sender<bool>,
}

impl Service {
    /// Tells a loop whether an operator has paused the service. A service without such a loop never asks, and
    /// `POST /pause` then answers 404.
    pub fn paused(&self) -> watch::Receiver<bool> {
        self.pause.subscribe()
    }

    /// Waits that long before another try; true at once when the service is told to stop.
    pub async fn stops_within(&self, wait: Duration) -> bool {
        tokio::time::timeout(wait, self.shutdown.cancelled()).await.is_ok()
    }
}

/// Runs one service from arguments to exit code.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage, 78 wrong configuration (`EX_CONFIG` of sysexits.h).
pub fn main<T, F, R>(
    name: &'static str,
    about: &'static str,
    commands: &'static [Command],
    run: R,
) -> ExitCode
where
    T: Configured,
    F: Future<Output = anyhow::Result<()>>,
    R: FnOnce(T, Service) -> F,
{
    let mut arguments = clap::Command::new(name)
        .about(about)
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand(clap::Command::new("health").about("exit 0 when the running service is healthy"));
    for command in commands {
        arguments = arguments.subcommand(clap::Command::new(command.name).about(command.about));
    }
    let matches = arguments.get_matches();
    let asked = matches.subcommand_name();
    telemetry::init();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "cannot start the runtime");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        let settings: T = config::load()?;
        if asked == Some("health") {
            // `println!` and `eprintln!` would panic where nobody reads any more.
            let _ = writeln!(io::stdout(), "{}", lines(&http::check(settings.http().bind).await?));
            return Ok(());
        }
        let command = commands.iter().map(|command| command.name).find(|known| Some(*known) == asked);
        start(name, settings, command, run).await
    });
    let code = match &outcome {
        Ok(()) => 0,
        // A failed health check is an answer, not a fault of this process.
        Err(error) if asked == Some("health") => {
            let _ = writeln!(io::stderr(), "{}", lines(&format!("{error:#}")));
            1
        }
        Err(error) => {
            error!("{error:#}");
            exit_code(error)
        }
    };
    // librdkafka's threads may hang in their destructors while the broker is gone: leave without them.
    std::process::exit(code)
}

/// The exit code of a command whose server is away: `EX_UNAVAILABLE` of sysexits.h.
pub const UNAVAILABLE: i32 = 69;

/// The exit code of a command that is configured wrongly: `EX_CONFIG` of sysexits.h.
pub const MISCONFIGURED: i32 = 78;

/// The exit code that tells a script what kind of failure this is.
pub fn exit_code(error: &anyhow::Error) -> i32 {
    if error.downcast_ref::<ConfigError>().is_some() { MISCONFIGURED } else { 1 }
}

async fn remind(health: &Health) -> Infallible {
    loop {
        tokio::time::sleep(REMIND_EVERY).await;
        health.remind();
    }
}

async fn start<T, F, R>(
    name: &'static str,
    settings: T,
    command: Option<&'static str>,
    run: R,
) -> anyhow::Result<()>
where
    T: Configured,
    F: Future<Output = anyhow::Result<()>>,
    R: FnOnce(T, Service) -> F,
{
    info!(service = name, version = env!("CARGO_PKG_VERSION"), "starting");
    let shutdown = shutdown::on_signal()?;
    let health = Health::default();
    let pause = watch::Sender::new(false);
    // A one-off command has no port: it may run beside the service that holds it.
    if command.is_none() {
        // The endpoint outlives the shutdown, so that the drain is visible too.
        let endless = CancellationToken::new();
        http::serve(settings.http(), health.clone(), telemetry::metrics(), pause.clone(), endless).await?;
    }
    let service = Service { command, health: health.clone(), shutdown, pause };
    tokio::select! {
        ended = run(settings, service) => ended?,
        never = remind(&health) => match never {},
    }
    info!(service = name, "stopped");
    Ok(())
}
