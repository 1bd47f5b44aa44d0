//! `cargo xtask chaos SCENARIO`: real servers and binaries, faults, and a checker that compares what Kafka acknowledged
//! with what the tables hold.

mod check;
mod disk;
mod feed;
mod findings;
mod heal;
mod links;
mod names;
mod parts;
mod play;
mod rates;
mod report;
mod scenario;
mod servers;
mod stage;
mod step;
mod table;
mod topic;
mod upstreams;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, anyhow, bail, ensure};
use clap::Parser;
use testbed::Tools;

use findings::{Violation, guarded};
use play::Outcome;
use report::{Report, Reports};
use scenario::{Form, Scenario};
use servers::{Asked, Servers};

/// A consumer that needs more than that grows with what it has to catch up with.
const RSS_MB_MAX: f64 = 128.0;

#[derive(Parser)]
#[command(name = "chaos", about = "Breaks the pipeline; `cargo xtask chaos` builds and runs this")]
struct Arguments {
    /// Files of chaos/scenarios without their ending, or `all`
    #[arg(required = true)]
    scenarios: Vec<String>,
    /// How often the fault strikes; each scenario has its own default
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    cycles: Option<u32>,
    /// The few cycles of the continuous integration
    #[arg(long)]
    short: bool,
    /// Plays on containers: the servers' images and the one that ships. What breaks a network or a disk is not played there
    #[arg(long)]
    containers: bool,
    /// Replays the choices of an earlier run
    #[arg(long)]
    seed: Option<u64>,
    /// A violation that must be found, where the binaries are broken on purpose
    #[arg(long)]
    must_find: Option<Violation>,
    /// Print one JSON object on the last line
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

// Whether every promise was kept.
fn run(arguments: &Arguments) -> Result<bool> {
    ensure_alone(arguments.containers)?;
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow!("another provider of cryptography is installed"))?;
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let runtime = tokio::runtime::Runtime::new()?;
    let mut servers: Option<Servers> = None;
    let mut reports = Vec::new();
    for mut scenario in chosen(arguments)? {
        scenario.must_find = arguments.must_find.or(scenario.must_find);
        let cycles = arguments.cycles.unwrap_or(scenario.cycles);
        ensure!(cycles > 0, "{} is not played in the short form: say --cycles", scenario.name);
        eprintln!("==> {}: {}, {cycles} cycles, seed {seed}", scenario.name, scenario.about);
        let began = Instant::now();
        let mut outcome = Outcome::default();
        let asked = Asked::by(&scenario, arguments.containers);
        let played = play(&mut servers, asked, &scenario, cycles, seed, &mut outcome);
        // Whatever goes wrong in the harness itself is a finding, too: the next scenario is played all the same.
        let played = runtime.block_on(guarded(played));
        outcome.findings.note(played);
        if outcome.peak_rss_mb > RSS_MB_MAX {
            let what = || format!("the consumer took {:.0} MB, more than {RSS_MB_MAX}", outcome.peak_rss_mb);
            outcome.findings.add(Violation::Grew, what);
        }
        let report = Report::new(&scenario, seed, began.elapsed().as_secs_f64(), &outcome);
        if !report.is_kept() {
            report.complain();
            // Nobody knows what state they are in.
            servers = None;
        }
        reports.push(report);
    }
    drop(servers);
    let reports = Reports::of(reports);
    reports.print(arguments.json);
    Ok(reports.are_kept())
}

// What is cut and killed here is of nobody else. Containers have names and ports of their own.
fn ensure_alone(containers: bool) -> Result<()> {
    if containers {
        let only = testbed::image().is_some() && matches!(testbed::tools()?, Tools::Docker { .. });
        ensure!(only, "this needs servers and binaries in containers: start it by `cargo xtask chaos`");
        return Ok(());
    }
    let interfaces = std::fs::read_to_string("/proc/net/dev")?;
    let others = interfaces.lines().skip(2).any(|line| !line.trim_start().starts_with("lo:"));
    ensure!(!others, "this needs a network of its own: start it by `cargo xtask chaos`");
    match testbed::tools()? {
        Tools::Jvm { .. } => Ok(()),
        docker @ Tools::Docker { .. } => {
            bail!(
                "chaos breaks servers that are processes of its own: it needs Java 17 and Maven, and found {docker}; \
                 or say --containers"
            )
        }
    }
}

// Those that share servers come one after the other.
fn chosen(arguments: &Arguments) -> Result<Vec<Scenario>> {
    let form = if arguments.short { Form::Short } else { Form::Long };
    let unplayable = |scenario: &Scenario| arguments.containers && scenario.needs_namespaces();
    if !arguments.scenarios.iter().any(|name| name == "all") {
        let named = |name: &String| {
            let scenario = Scenario::named(name, form)?;
            ensure!(
                !unplayable(&scenario),
                "{name} breaks a network or a disk, which is not done to containers: play it without --containers"
            );
            Ok(scenario)
        };
        return arguments.scenarios.iter().map(named).collect();
    }
    let mut scenarios = Scenario::all(form)?;
    scenarios.retain(|scenario| scenario.cycles > 0);
    let (left_out, mut scenarios): (Vec<_>, Vec<_>) = scenarios.into_iter().partition(unplayable);
    if !left_out.is_empty() {
        let names: Vec<&str> = left_out.iter().map(|scenario| scenario.name.as_str()).collect();
        eprintln!("==> left out, since they break a network or a disk: {}", names.join(", "));
    }
    scenarios.sort_by_cached_key(|scenario| Asked::by(scenario, arguments.containers));
    Ok(scenarios)
}

// On the servers of the scenario before, where they will do.
async fn play(
    servers: &mut Option<Servers>,
    asked: Asked,
    scenario: &Scenario,
    cycles: u32,
    seed: u64,
    outcome: &mut Outcome,
) -> Result<()> {
    if servers.as_ref().is_some_and(|servers| !servers.are(&asked)) {
        *servers = None;
    }
    let servers = match servers {
        Some(servers) => servers,
        None => servers.insert(Servers::start(asked).await?),
    };
    play::play(servers, scenario, cycles, seed, outcome).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    fn chosen_by(words: &[&str]) -> Result<Vec<Scenario>> {
        chosen(&Arguments::parse_from([&["chaos"], words].concat()))
    }

    #[test]
    fn on_containers_all_is_what_breaks_neither_network_nor_disk() {
        let names = |words: &[&str]| -> Vec<String> {
            chosen_by(words).unwrap().into_iter().map(|scenario| scenario.name).collect()
        };
        let (everywhere, on_containers) = (names(&["all"]), names(&["all", "--containers"]));
        let left_out: Vec<&str> =
            everywhere.iter().filter(|name| !on_containers.contains(name)).map(String::as_str).collect();
        for name in ["bad-links", "disk-full-kafka", "new-addresses", "partition-kafka", "soak"] {
            assert!(left_out.contains(&name), "{name} of {left_out:?}");
        }
        for part in ["consumer", "producer", "kafka", "cassandra"] {
            assert!(on_containers.contains(&format!("pause-{part}")), "{on_containers:?}");
        }
    }

    #[test]
    fn what_cannot_be_played_on_containers_is_refused_by_name() {
        let refused = chosen_by(&["pause-kafka", "soak", "--containers"]).unwrap_err().to_string();
        assert!(refused.starts_with("soak breaks a network or a disk"), "{refused}");
        assert_eq!(chosen_by(&["soak"]).unwrap().len(), 1);
    }
}
