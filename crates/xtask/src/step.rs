//! One step of a task: a command in the workspace's root -> its output as it comes -> its wall time.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// The profile of what ships.
pub(crate) const SHIPPED: &str = "dist";

/// Runs cargo with these words; fails when cargo does.
pub(crate) fn cargo(words: &[&str]) -> Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let title = format!("cargo {}", words.join(" "));
    run(&title, Command::new(cargo).args(words).current_dir(root()))
}

/// Runs this command; fails when it does.
pub(crate) fn run(title: &str, command: &mut Command) -> Result<()> {
    eprintln!("==> {title}");
    let started = Instant::now();
    let status = command.status().with_context(|| format!("start {title}"))?;
    let seconds = started.elapsed().as_secs_f64();
    if !status.success() {
        bail!("{title}: {status} after {seconds:.1} s");
    }
    eprintln!("==> {title}: done in {seconds:.1} s");
    Ok(())
}

/// Finds what starts the servers, and fetches them.
pub(crate) fn servers() -> Result<()> {
    let tools = testbed::tools()?;
    eprintln!("==> servers by {tools}");
    Ok(testbed::prepare(&tools)?)
}

/// Builds these binaries (package and name) with a profile.
pub(crate) fn build(profile: &str, binaries: &[(&str, &str)]) -> Result<()> {
    let mut words = vec!["build", "--profile", profile];
    words.extend(binaries.iter().flat_map(|(package, binary)| ["--package", package, "--bin", binary]));
    cargo(&words)
}

/// Where the binaries of a profile are.
pub(crate) fn folder(profile: &str) -> Result<PathBuf> {
    // This command is target/debug/xtask, wherever the target folder is; `debug` is what `dev` builds.
    let own = env::current_exe()?;
    let target = own.ancestors().nth(2).context("a command is in a profile's folder")?;
    Ok(target.join(if profile == "dev" { "debug" } else { profile }))
}

/// The workspace's root, wherever in it the command was called.
pub(crate) fn root() -> PathBuf {
    // Cargo tells the folder of this crate at each run; the compiled-in one is for a call of the bare binary.
    let here = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.ancestors().nth(2).map_or_else(|| here.clone(), Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_the_folder_of_the_workspace() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
    }

    #[test]
    fn a_failed_step_names_its_command_and_status() {
        let error = run("a title", Command::new("/bin/sh").args(["-c", "exit 3"])).unwrap_err();
        assert!(error.to_string().starts_with("a title: exit status: 3 after "), "{error}");
    }
}
