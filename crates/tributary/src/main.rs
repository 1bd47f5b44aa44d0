//! The operator's command: arguments -> one subcommand -> an exit code.
//!
//! A subcommand is a module with its `Arguments` and its `run`, and one line in [`Command`].

mod audit;
mod check;
mod completions;
mod dead_letters;
mod demo;
mod doctor;
mod exit;
mod explain;
mod fetch;
mod life;
mod pause;
mod print;
mod progress;
mod replay;
mod settings;
mod since;
mod status;
mod tail;
mod terminal;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  tributary demo                  the whole pipeline in one process, until Ctrl-C
  tributary demo --seconds 10     the same for ten seconds
  tributary status                who works, what flows, what waits
  tributary status --watch        the same, once a second
  tributary tail weather          the last messages of a topic, and those that come
  tributary pause wikipedia       hold one producer, until tributary resume wikipedia
  tributary fetch weather         ask one upstream once, and publish what comes
  tributary doctor                what is wrong here, and what to do
  tributary check                 what is wrong with the routes, before the consumer starts
  tributary dead-letters list     which messages could not become rows, and why
  tributary audit --since 1h      which messages of the last hour are not in their tables
  tributary explain weather:0:17  what became of one message, and why
  tributary replay --topic weather --since 2days    write the rows of these messages once more
  tributary completions bash      a script that lets the shell complete all of this";

#[derive(Parser)]
#[command(
    name = "tributary",
    version,
    about = "Runs and looks after the pipeline",
    before_help = EXAMPLES,
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole pipeline in this process: no Docker, no Java, no configuration
    Demo(demo::Arguments),
    /// Show services, streams, rates, lag and dead letters on one screen
    Status(status::Arguments),
    /// Show the messages of a topic as they come
    Tail(tail::Arguments),
    /// Hold a producer until it is resumed; it keeps its place, and publishes nothing
    Pause(pause::Arguments),
    /// Let a paused producer go on
    Resume(pause::Arguments),
    /// Ask a producer's upstream once, and publish what comes
    Fetch(fetch::Arguments),
    /// Find out what is wrong with settings, servers, routes and this machine, and what to do
    Doctor(doctor::Arguments),
    /// Compare the routes with the live tables and topics, and try them on a sample of the messages
    Check(check::Arguments),
    /// See which messages could not become rows and why, replay them once that is mended, or give them up
    DeadLetters(dead_letters::Arguments),
    /// Compare the tables with the topics, message by message: what is missing, stale or different
    Audit(audit::Arguments),
    /// Show one message, what the routes make of it, and what is in the table
    Explain(explain::Arguments),
    /// Read messages of a topic again and write their rows, after a table was emptied or a route has a column more
    Replay(replay::Arguments),
    /// Print a script that lets bash, zsh or fish complete this command
    Completions(completions::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            print::complain(&format!("start the runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        life::begin()?;
        match arguments.command {
            Command::Demo(arguments) => demo::run(arguments).await.map(|()| 0),
            Command::Status(arguments) => status::run(arguments).await,
            Command::Tail(arguments) => tail::run(arguments).await,
            Command::Pause(arguments) => pause::run(arguments, true).await,
            Command::Resume(arguments) => pause::run(arguments, false).await,
            Command::Fetch(arguments) => fetch::run(arguments).await,
            Command::Doctor(arguments) => doctor::run(arguments).await,
            Command::Check(arguments) => check::run(arguments).await,
            Command::DeadLetters(arguments) => dead_letters::run(arguments).await,
            Command::Audit(arguments) => audit::run(arguments).await,
            Command::Explain(arguments) => explain::run(arguments).await,
            Command::Replay(arguments) => replay::run(arguments).await,
            Command::Completions(arguments) => completions::run(&arguments),
        }
    });
    let code = match &outcome {
        Ok(code) => *code,
        // Whoever read the output had enough of it.
        Err(error) if error.is::<print::Closed>() => 0,
        Err(error) => {
            print::complain(&format!("{error:#}"));
            exit::code(error)
        }
    };
    // librdkafka's threads may hang in their destructors while the broker goes away: leave without them.
    std::process::exit(code)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn help_begins_with_examples() {
        let help = Arguments::command().render_help().to_string();
        assert!(help.starts_with("Examples:"), "{help}");
    }

    #[test]
    fn letters_are_changed_only_by_a_selection() {
        let parse = |arguments: &[&str]| {
            Arguments::try_parse_from([&["tributary", "dead-letters"], arguments].concat()).is_ok()
        };
        for command in ["replay", "purge"] {
            assert!(!parse(&[command]), "{command}");
            assert!(!parse(&[command, "--yes", "--dry-run"]), "{command}");
            assert!(parse(&[command, "--all"]) && parse(&[command, "--topic", "orders"]), "{command}");
            assert!(parse(&[command, "--cause", "3f9a1c02", "orders:0:17", "eu:orders:1:18"]), "{command}");
            assert!(!parse(&[command, "orders:17"]) && !parse(&[command, "--all", "--topic"]), "{command}");
        }
        assert!(parse(&["list"]) && parse(&["show", "orders:0:17"]) && !parse(&["show"]));
    }

    #[test]
    fn a_demo_of_no_seconds_is_refused() {
        assert!(Arguments::try_parse_from(["tributary", "demo", "--seconds", "1", "--json"]).is_ok());
        assert!(Arguments::try_parse_from(["tributary", "demo", "--seconds", "0"]).is_err());
    }

    #[test]
    fn an_audit_begins_at_a_time_or_at_an_offset() {
        for since in ["2h", "2026-11-22T00:00:00Z", "17"] {
            assert!(Arguments::try_parse_from(["tributary", "audit", "--since", since]).is_ok(), "{since}");
        }
        assert!(Arguments::try_parse_from(["tributary", "audit", "--since", "yesterday"]).is_err());
    }

    #[test]
    fn a_replay_names_its_topics_and_where_it_begins() {
        let parse =
            |line: &str| Arguments::try_parse_from(format!("tributary replay {line}").split(' ')).is_ok();
        assert!(parse(
            "--topic a --topic b --since beginning --until 2026-11-22T00:00:00Z --rate 500 --dry-run"
        ));
        for wrong in
            ["--since 1h", "--topic a", "--topic a --since yesterday", "--topic a --since 1h --rate 0"]
        {
            assert!(!parse(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_message_is_named_by_topic_partition_and_offset() {
        assert!(Arguments::try_parse_from(["tributary", "explain", "weather:0:17"]).is_ok());
        for wrong in ["weather", "weather:0", "weather:x:17", ":0:17", "weather:0:-1"] {
            assert!(Arguments::try_parse_from(["tributary", "explain", wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_misspelt_upstream_is_refused_with_those_that_exist() {
        let refused = Arguments::try_parse_from(["tributary", "demo", "--upstreams", "lve"]);
        let text = refused.map(|_| ()).unwrap_err().to_string();
        assert!(text.contains("auto, live, simulated"), "{text}");
    }
}
