//! `cargo xtask bench NAME`: one benchmark -> a table, and with `--json` one JSON object on the last line.
//!
//! Figures are of this machine and this build; docs/benchmarks.md tells what each one measures.

mod audit;
mod child;
mod csv;
mod dashboard;
mod database;
mod decode;
mod drain;
mod faker;
mod floor;
mod latency;
mod messages;
mod report;
mod topic;
mod user;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};

use report::Report;
use testbed::Tools;
use tokio::runtime::{Builder, Runtime};

#[derive(Parser)]
#[command(name = "benchmarks", about = "Measures the pipeline; `cargo xtask bench` builds and runs this")]
struct Arguments {
    /// What to measure
    name: Name,
    /// Messages; each benchmark has its own default
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rows: Option<u32>,
    /// How often each is measured; what is printed are medians
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Print one JSON object on the last line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// The topic compared with the table, message by message
    Audit,
    /// The topic into CSV files, then the same across three kills
    Csv,
    /// The dashboard and `tributary status` beside 5,000 messages a second
    Dashboard,
    /// JSON bytes to CQL cells on one thread, without servers
    Decode,
    /// The topic into the table, interleaved with the floors
    Drain,
    /// The faker producer at full speed into Kafka
    Faker,
    /// The same rows from memory through the bare driver
    Floor,
    /// From produce to queryable, at 200 messages a second
    Latency,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(report) => {
            report.print(arguments.json);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<Report> {
    let rows = |default: u32| arguments.rows.unwrap_or(default);
    let runs = arguments.runs;
    if !matches!(arguments.name, Name::Decode) {
        needs_java()?;
    }
    // The bare driver moves more on one thread than on a pool, and so does the consumer.
    let one_thread = || Builder::new_current_thread().enable_all().build().context("start the runtime");
    match arguments.name {
        Name::Audit => one_thread()?.block_on(audit::run(rows(1_000_000), runs)),
        Name::Csv => csv::run(rows(2_000_000), runs),
        Name::Dashboard => {
            Runtime::new().context("start the runtime")?.block_on(dashboard::run(rows(100_000), runs))
        }
        Name::Decode => decode::run(rows(1_000_000), runs),
        Name::Drain => one_thread()?.block_on(drain::run(rows(1_000_000), runs)),
        Name::Faker => faker::run(rows(3_000_000), runs),
        Name::Floor => one_thread()?.block_on(floor::run(rows(1_000_000), runs)),
        Name::Latency => {
            Runtime::new().context("start the runtime")?.block_on(latency::run(rows(6_000), runs))
        }
    }
}

// The CPU time of a server in a container is not ours to read.
fn needs_java() -> Result<()> {
    match testbed::tools()? {
        Tools::Jvm { .. } => Ok(()),
        Tools::Docker { docker } => {
            bail!("benchmarks with servers need Java 17 and Maven; found {} alone", docker.display())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
