//! `chaos broken`: a copy of the workspace with one line changed -> its binaries -> the scenario that must find it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::{BINARIES, harness, sandboxed};
use crate::step;

/// One change, of chaos/broken.toml.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    about: String,
    file: PathBuf,
    find: String,
    replace: String,
    scenario: String,
    must_find: String,
}

impl Change {
    fn of(&self, text: &str) -> Result<String> {
        let found = text.matches(&self.find).count();
        ensure!(found == 1, "{}: {:?} is there {found} times, not once", self.file.display(), self.find);
        Ok(text.replace(&self.find, &self.replace))
    }
}

/// Plays the changes of these names, or all.
pub(super) fn run(names: &[String]) -> Result<()> {
    let changes = changes()?;
    if let Some(unknown) = names.iter().find(|name| !changes.contains_key(*name)) {
        let known: Vec<&str> = changes.keys().map(String::as_str).collect();
        bail!("no change {unknown} in chaos/broken.toml: {}", known.join(", "));
    }
    let folder = testbed::cache().join("broken");
    fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join("lock"))?;
    lock.lock().context("wait for another `chaos broken`")?;
    let (mut told, mut missed) = (Vec::new(), 0);
    for (name, change) in changes.iter().filter(|(name, _)| names.is_empty() || names.contains(name)) {
        eprintln!("==> {name}: {}", change.about);
        let copy = folder.join("workspace");
        copied(&copy)?;
        let file = copy.join(&change.file);
        fs::write(&file, change.of(&fs::read_to_string(&file)?)?)?;
        let binaries = built(&copy, &folder.join("target"))?;
        let words = [&change.scenario, "--short", "--must-find", &change.must_find];
        let found = harness(sandboxed(), &words.map(str::to_owned), &binaries);
        missed += usize::from(found.is_err());
        let verdict = if found.is_ok() { "caught" } else { "MISSED" };
        told.push(format!("{name:<20} {verdict} by {:<16} as {}", change.scenario, change.must_find));
    }
    println!("{}", told.join("\n"));
    ensure!(missed == 0, "{missed} of {} changes were not caught", told.len());
    Ok(())
}

fn changes() -> Result<BTreeMap<String, Change>> {
    let text = fs::read_to_string(step::root().join("chaos/broken.toml"))?;
    toml::from_str(&text).context("chaos/broken.toml")
}

// What git knows of and nothing else, with times that tell the compiler which file is another than at the last build.
fn copied(copy: &Path) -> Result<()> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(step::root()).output()?;
    ensure!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout)?;
    let listed: BTreeSet<&Path> = listed.split_terminator('\0').map(Path::new).collect();
    for file in found(copy)?.iter().filter(|file| !listed.contains(file.as_path())) {
        fs::remove_file(copy.join(file))?;
    }
    for file in listed {
        let (from, to) = (step::root().join(file), copy.join(file));
        let text = fs::read(&from)
            .with_context(|| format!("read {}; is it deleted and not committed?", file.display()))?;
        if fs::read(&to).is_ok_and(|old| old == text) {
            continue;
        }
        fs::create_dir_all(to.parent().context("a file is in a folder")?)?;
        fs::write(to, text)?;
    }
    Ok(())
}

// The files in a folder and in the folders in it, by their paths from there.
fn found(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut left) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = left.pop() {
        if !next.exists() {
            continue;
        }
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() { left.push(path) } else { found.push(path.strip_prefix(folder)?.to_owned()) }
        }
    }
    Ok(found)
}

fn built(copy: &Path, target: &Path) -> Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .arg("build")
        .args(BINARIES.iter().flat_map(|(package, binary)| ["--package", package, "--bin", binary]));
    step::run("cargo build, with the change", cargo.current_dir(copy).env("CARGO_TARGET_DIR", target))?;
    Ok(target.join("debug"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_of_a_line_that_is_there_once() {
        let changes = changes().unwrap();
        assert!(changes.len() >= 5);
        for (name, change) in changes {
            let text = fs::read_to_string(step::root().join(&change.file)).unwrap();
            assert_ne!(change.of(&text).unwrap(), text, "{name}");
            let scenario = format!("chaos/scenarios/{}.toml", change.scenario);
            assert!(step::root().join(&scenario).is_file(), "{name}: no {scenario}");
        }
    }
}
