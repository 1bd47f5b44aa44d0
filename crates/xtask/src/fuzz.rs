//! `fuzz [TARGET]`: the programs of `fuzz/src/bin` -> libFuzzer -> what breaks them, kept beside the known cases.

use std::env;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::step;

/// Longer texts are slower, and reach little else.
const BYTES_MAX: usize = 2_048;

#[derive(Args)]
pub(crate) struct Arguments {
    /// What to search; all of them unless said
    target: Option<Target>,
    /// How long to search each
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Target {
    /// Messages' values and keys, against serde_json
    Json,
    /// Route files
    Routes,
    /// Event streams in any chunks, against the standard
    Sse,
}

impl Target {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Routes => "routes",
            Self::Sse => "sse",
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let (folder, cargo) = (step::root().join("fuzz"), env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Only the workspace's own crates are compiled so, and none that runs during the build.
    let mut build = Command::new(cargo);
    build.args(["build", "--package", "fuzz", "--features", "libfuzzer", "--bins"]);
    build.env("RUSTC_WORKSPACE_WRAPPER", folder.join("instrument")).current_dir(step::root());
    step::run("build the targets for libFuzzer", &mut build)?;
    let own = env::current_exe()?;
    let binaries = own.parent().context("a command is in a profile's folder")?;
    let targets = arguments.target.map_or_else(|| Target::value_variants().to_vec(), |target| vec![target]);
    for target in targets {
        let name = target.name();
        let known = folder.join("corpus").join(name);
        // What merely reaches more code is not kept with the sources.
        let reached = binaries.join("fuzz-reached").join(name);
        fs::create_dir_all(&reached).with_context(|| format!("create {}", reached.display()))?;
        let mut fuzz = Command::new(binaries.join(format!("fuzz-{name}")));
        fuzz.arg(format!("-max_total_time={}", arguments.seconds)).arg(format!("-max_len={BYTES_MAX}"));
        fuzz.arg(format!("-artifact_prefix={}/", known.display()))
            .args(["-timeout=10", "-print_final_stats=1"]);
        if name == "routes" {
            fuzz.arg(format!("-dict={}", folder.join("routes.dict").display()));
        }
        fuzz.args([&reached, &known]).current_dir(step::root());
        if name == "routes" {
            fuzz.args(["routes", "crates/consumer/tests/wrong_routes"]);
        }
        step::run(&format!("fuzz {name}"), &mut fuzz)?;
    }
    Ok(())
}
