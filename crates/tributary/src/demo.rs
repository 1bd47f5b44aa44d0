//! `tributary demo`: the five producers and the consumer, in this process, around an embedded Kafka broker.
//!
//! The services are the libraries that production runs; only addresses and the sink differ. The count at the end
//! believes none of them: published is what the topics' ends say, stored is what is in the files.

pub(crate) mod broker;
mod files;
mod flow;
mod reckoning;
mod screen;
mod services;
mod settings;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use producers::Upstreams;
use service::telemetry;
use tokio::net::TcpListener;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::level_filters::LevelFilter;

use broker::Broker;
use files::Folder;
use flow::{Observer, Snapshot};
use reckoning::Reckoning;
use services::{Ports, Services};
use settings::Settings;

use crate::life;
use crate::print::{Closed, say, tell};

const LOOK_EVERY: Duration = Duration::from_millis(250);
const LINE_EVERY: Duration = Duration::from_secs(1);
/// How long the consumer may take to bring the rest into the files.
const DRAIN_MAX: Duration = Duration::from_secs(20);
const DRAIN_LOOK_EVERY: Duration = Duration::from_millis(50);

const EXAMPLES: &str = "\
Examples:
  tributary demo                         until Ctrl-C
  tributary demo --seconds 10 --json     ten seconds, the counts as JSON in the last line
  tributary demo --upstreams simulated   ask no upstream, simulate them all
  RUST_LOG=info tributary demo           with the services' own log";

const EXIT_CODES: &str = "\
Exit codes:
  0    ended as asked: what was published is what is stored
  1    it is not, or a service ended by itself; the words say which
  2    wrong usage
  78   wrong configuration

A second Ctrl-C ends it at once.";

/// Arguments of `tributary demo`.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// End after so many seconds; without it, at Ctrl-C
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// Print the counts as one JSON object in the last line
    #[arg(long)]
    json: bool,
    /// Where records come from; auto: the real upstream where it answers, else the simulated one
    /// [default: as configured, else auto]
    #[arg(long, value_name = "WHICH")]
    upstreams: Option<Which>,
    /// The folder that gets a new subfolder of CSV files at each run
    #[arg(long, value_name = "FOLDER", default_value = "demo-data")]
    dir: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Which {
    Auto,
    Live,
    Simulated,
}

impl From<Which> for Upstreams {
    fn from(which: Which) -> Self {
        match which {
            Which::Auto => Self::Auto,
            Which::Live => Self::Live,
            Which::Simulated => Self::Simulated,
        }
    }
}

/// Runs the demo until Ctrl-C or for as long as asked, then counts.
///
/// # Errors
/// A service ended by itself, or what was published is not what is stored.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    telemetry::init_with(LevelFilter::WARN);
    let stop = life::stop();
    let settings = Settings::load(arguments.upstreams.map(Upstreams::from))?;
    let folder = Folder::claim(&arguments.dir)?;
    let broker = Broker::start()?;
    let ports = Ports {
        simulators: TcpListener::bind(("127.0.0.1", 0)).await.context("bind a port for the simulators")?,
        page: dashboard::bind_near(settings.dashboard.bind).await?,
    };
    say(screen::intro(&broker.address(), &ports, &settings, folder.path())?)?;
    let observer = Observer::new(&broker.settings(), folder.path())?;
    let started = Instant::now();
    let mut services = Services::start(&broker.settings(), ports, settings, folder.path()).await?;
    let flowed = match watch(&mut services, &observer, &stop, started, arguments.seconds).await {
        // Nobody reads any more what flows: that is its end, too.
        Err(error) if error.is::<Closed>() => Ok(()),
        flowed => flowed?,
    };

    // The order matters: nothing new, then everything into the files, then nobody writes, then count.
    let elapsed = started.elapsed();
    say(format_args!("\nstopping the producers, then storing what is left"))?;
    let mut troubles = flowed.err().into_iter().collect::<Vec<_>>();
    troubles.extend(services.stop_producers().await);
    troubles.extend(drain(&mut services, &observer).await?.err());
    troubles.extend(services.stop_consumer().await);
    let reckoning = Reckoning::new(observer.count().await?);
    say(reckoning.table(elapsed, folder.path()))?;
    if arguments.json {
        say(reckoning.json(elapsed))?;
    }
    troubles.extend(reckoning.mismatches());
    if !troubles.is_empty() {
        bail!("the demo did not end well:\n  {}", troubles.join("\n  "));
    }
    Ok(())
}

/// Why the flow was ended before anybody asked for it.
type Trouble = String;

/// Prints what flows until the end; holds back producers that are far ahead of the files.
async fn watch(
    services: &mut Services,
    observer: &Observer,
    stop: &CancellationToken,
    started: Instant,
    seconds: Option<u64>,
) -> anyhow::Result<Result<(), Trouble>> {
    let over = async {
        match seconds {
            Some(seconds) => tokio::time::sleep_until(started + Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(over);
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut told, mut told_at) = (Snapshot::default(), started);
    let mut next_line_at = started + LINE_EVERY;
    let mut lines = 0;
    let mut first = true;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(Ok(())),
            () = &mut over => return Ok(Ok(())),
            error = services.ended() => return Err(error),
            _ = ticks.tick() => {}
        }
        let now = observer.look().await?;
        if let Some(lost) = now.dropped_unread() {
            return Ok(Err(lost));
        }
        services.hold_back(&now);
        if first && now.stored_in_all() > 0 {
            first = false;
            tell(format_args!("first rows stored after {:.1} s", started.elapsed().as_secs_f64()))?;
        }
        let looked_at = Instant::now();
        if looked_at >= next_line_at {
            if lines % screen::LINES_A_HEADING == 0 {
                tell(screen::heading())?;
            }
            tell(screen::line(&told, &now, looked_at - told_at, looked_at - started))?;
            lines += 1;
            (told, told_at) = (now, looked_at);
            // A look that came late does not delay the lines after it.
            while next_line_at <= looked_at {
                next_line_at += LINE_EVERY;
            }
        }
    }
}

/// Waits until the files' checkpoints are at the topics' ends.
async fn drain(services: &mut Services, observer: &Observer) -> anyhow::Result<Result<(), Trouble>> {
    let started = Instant::now();
    loop {
        let now = observer.look().await?;
        if now.is_settled() {
            return Ok(Ok(()));
        }
        if started.elapsed() >= DRAIN_MAX {
            let reasons = services.consumer_reasons();
            return Ok(Err(format!(
                "after {} s {} records are not stored yet{reasons}",
                DRAIN_MAX.as_secs(),
                now.unsettled()
            )));
        }
        tokio::select! {
            error = services.ended() => return Err(error),
            () = tokio::time::sleep(DRAIN_LOOK_EVERY) => {}
        }
    }
}
