//! The developers' commands: `cargo xtask ...`. Each checks what it needs before anything is compiled.

mod bench;
mod chaos;
mod ci;
mod fuzz;
mod servers;
mod step;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The developers' commands", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run tests: without a tier, units and tests on real servers
    Test { tier: Option<test::Tier> },
    /// Formatting, clippy, all tests, those in a browser, the short chaos and the compose tier
    Ci,
    /// Measure: prints a table, and with --json one JSON object on the last line
    Bench(bench::Arguments),
    /// Break the pipeline and check that nothing is lost, doubled or stale
    Chaos(chaos::Arguments),
    /// Search for bytes that break what must hold for any; what is found is kept in fuzz/corpus
    Fuzz(fuzz::Arguments),
    /// Real Kafka and Cassandra on this machine, for working by hand
    Servers {
        #[command(subcommand)]
        order: servers::Order,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Test { tier } => test::run(tier),
        Task::Ci => ci::run(),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Chaos(arguments) => chaos::run(&arguments),
        Task::Fuzz(arguments) => fuzz::run(&arguments),
        Task::Servers { order } => servers::run(&order),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, ValueEnum};

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_benchmark_is_named_and_takes_rows() {
        let parse = |words: &[&str]| Arguments::try_parse_from([&["xtask", "bench"], words].concat());
        assert!(parse(&["decode", "--rows", "1000", "--json"]).is_ok());
        let refused = parse(&["decode", "--rows", "0"]).map(|_| ()).unwrap_err();
        assert!(refused.to_string().contains("0 is not in 1.."), "{refused}");
        assert!(parse(&[]).is_err());
    }

    #[test]
    fn a_fuzz_target_is_known_and_has_its_corpus() {
        for target in fuzz::Target::value_variants() {
            let folder = step::root().join("fuzz/corpus").join(target.name());
            assert!(folder.is_dir(), "{}", folder.display());
        }
        assert!(Arguments::try_parse_from(["xtask", "fuzz", "sse", "--seconds", "5"]).is_ok());
        assert!(Arguments::try_parse_from(["xtask", "fuzz", "xml"]).is_err());
    }

    #[test]
    fn a_tier_that_does_not_exist_is_refused() {
        assert!(Arguments::try_parse_from(["xtask", "test", "fast"]).is_ok());
        assert!(Arguments::try_parse_from(["xtask", "test", "browser"]).is_ok());
        assert!(Arguments::try_parse_from(["xtask", "test"]).is_ok());
        let refused = Arguments::try_parse_from(["xtask", "test", "slow"]).map(|_| ()).unwrap_err();
        assert!(refused.to_string().contains("[possible values: fast, browser, compose]"), "{refused}");
    }
}
