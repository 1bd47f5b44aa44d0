//! `bench NAME`: the binaries as they ship -> the benchmark's own process -> its table, and its JSON on the last line.

use std::process::Command;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::step;

#[derive(Args)]
pub(crate) struct Arguments {
    /// What to measure
    name: Name,
    /// Messages; each benchmark has its own default
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rows: Option<u32>,
    /// How often each is measured, 5 times unless said; what is printed are medians
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
    /// Print one JSON object on the last line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
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

impl Name {
    // What it runs beside itself: packages and binaries.
    fn services(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Decode | Self::Floor => &[],
            Self::Csv | Self::Drain | Self::Latency => &[("consumer", "consumer")],
            Self::Audit => &[("consumer", "consumer"), ("tributary", "tributary")],
            Self::Dashboard => {
                &[("consumer", "consumer"), ("dashboard", "dashboard"), ("tributary", "tributary")]
            }
            Self::Faker => &[("producers", "faker")],
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.name != Name::Decode {
        step::servers()?;
    }
    let binaries = [&[("benchmarks", "benchmarks")], arguments.name.services()].concat();
    step::build(step::SHIPPED, &binaries)?;
    let name = arguments.name.to_possible_value().context("every benchmark has a name")?;
    let mut words = vec![name.get_name().to_owned()];
    if let Some(rows) = arguments.rows {
        words.extend(["--rows".to_owned(), rows.to_string()]);
    }
    if let Some(runs) = arguments.runs {
        words.extend(["--runs".to_owned(), runs.to_string()]);
    }
    if arguments.json {
        words.push("--json".to_owned());
    }
    let title = format!("benchmarks {}", words.join(" "));
    let benchmarks = step::folder(step::SHIPPED)?.join("benchmarks");
    step::run(&title, Command::new(benchmarks).args(words).current_dir(step::root()))
}
