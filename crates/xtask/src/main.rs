//! The developers' commands: `cargo xtask ...`. Each checks what it needs before anything is compiled.

mod ci;
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
    /// Formatting, clippy, all tests and the compose tier
    Ci,
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
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_tier_that_does_not_exist_is_refused() {
        assert!(Arguments::try_parse_from(["xtask", "test", "fast"]).is_ok());
        assert!(Arguments::try_parse_from(["xtask", "test"]).is_ok());
        let refused = Arguments::try_parse_from(["xtask", "test", "slow"]).map(|_| ()).unwrap_err();
        assert!(refused.to_string().contains("[possible values: fast, compose]"), "{refused}");
    }
}
