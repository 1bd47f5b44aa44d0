//! `simulators`: section `[simulator]` of the configuration -> the simulated upstreams on one port.

use std::process::ExitCode;

use anyhow::Context;
use serde::Deserialize;
use service::{config, exit_code, http, shutdown, telemetry};
use tokio::net::TcpListener;
use tracing::{error, info};

/// The file's other sections belong to other services.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    simulator: simulators::Settings,
}

fn main() -> ExitCode {
    let matches = clap::Command::new("simulators")
        .about("serves the upstream APIs offline: OpenWeatherMap, randomuser.me, fakerapi.it, Wikimedia")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand(clap::Command::new("health").about("exit 0 when the running simulators answer"))
        .get_matches();
    telemetry::init();
    let health = matches.subcommand_name() == Some("health");
    match run(health) {
        Ok(()) => ExitCode::SUCCESS,
        // A failed health check is an answer, not a fault of this process.
        Err(reason) if health => {
            eprintln!("{reason:#}");
            ExitCode::FAILURE
        }
        Err(reason) => {
            error!("{reason:#}");
            u8::try_from(exit_code(&reason)).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}

#[tokio::main]
async fn run(health: bool) -> anyhow::Result<()> {
    let settings = config::load::<Config>()?.simulator;
    if health {
        print!("{}", http::check(settings.bind).await?);
        return Ok(());
    }
    let bind = settings.bind;
    let listener = TcpListener::bind(bind)
        .await
        .with_context(|| format!("bind {bind}; simulator.bind names another address"))?;
    info!(
        address = %listener.local_addr()?,
        seed = settings.seed,
        wikipedia_per_s = settings.wikipedia_per_s,
        "serving simulated upstreams"
    );
    simulators::serve(listener, settings, shutdown::on_signal()?).await.context("serve")?;
    info!("stopped");
    Ok(())
}
