//! The tests by what they need: nothing (fast), real servers (the default), a browser beside them, a container
//! engine (compose).

use std::path::Path;
use std::process::Command;

use anyhow::{Result, anyhow, bail};
use clap::ValueEnum;

use crate::step;

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Tier {
    /// Units alone: no servers
    Fast,
    /// The dashboard in a real Chromium, before real servers
    Browser,
    /// The compose file on a container engine
    Compose,
}

pub(crate) fn run(tier: Option<Tier>) -> Result<()> {
    match tier {
        None => on_servers(),
        Some(Tier::Fast) => fast(),
        Some(Tier::Browser) => browser(),
        Some(Tier::Compose) => compose(),
    }
}

fn on_servers() -> Result<()> {
    // Now, rather than inside of the first test: a machine without a network is told before it compiles.
    step::servers()?;
    // The tests start the binaries as processes; cargo builds for them only those of their own package.
    step::cargo(&["build", "--workspace", "--bins"])?;
    step::cargo(&["test", "--workspace"])
}

fn fast() -> Result<()> {
    step::cargo(&["test", "--workspace", "--exclude", "end-to-end", "--exclude", "testbed"])?;
    step::cargo(&["test", "--package", "testbed", "--lib"])
}

// The screenshots are told as they are made.
fn browser() -> Result<()> {
    let chromedriver = testbed::chromedriver()?;
    eprintln!("==> browser by {}", chromedriver.display());
    step::servers()?;
    step::cargo(&["build", "--workspace", "--bins"])?;
    let browser = ["test", "--package", "end-to-end", "--features", "browser", "--test", "browser"];
    step::cargo(&[&browser[..], &["--", "--test-threads=1", "--nocapture"]].concat())
}

fn compose() -> Result<()> {
    let docker = testbed::docker_engine()
        .map_err(|reason| anyhow!("the compose tier needs a Docker engine that answers: {reason}"))?;
    needs_compose(&docker)?;
    let compose = ["test", "--package", "end-to-end", "--features", "compose", "--test", "compose"];
    step::cargo(&[&compose[..], &["--", "--test-threads=1", "--nocapture"]].concat())
}

fn needs_compose(docker: &Path) -> Result<()> {
    let output = Command::new(docker).args(["compose", "version", "--short"]).output()?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        let reason = reason.trim();
        bail!("the compose tier needs Docker's compose plugin; {} says: {reason}", docker.display());
    }
    eprintln!("==> docker compose {}", String::from_utf8_lossy(&output.stdout).trim());
    Ok(())
}
