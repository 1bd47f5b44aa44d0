//! The stack of docker-compose.yml under a project name of the tests, removed with its data however they end.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// So that a stack that somebody runs keeps its volumes.
const PROJECT: &str = "tributary-test";

/// A running stack.
pub(crate) struct Stack {
    files: &'static [&'static str],
    csv_folder: tempfile::TempDir,
}

impl Stack {
    /// Builds the image; the time of starting counts from there. The files are docker-compose.yml and what is laid over it.
    pub(crate) fn build(files: &'static [&'static str]) -> Self {
        let stack = Self { files, csv_folder: tempfile::tempdir().unwrap() };
        // Its name and its ports are fixed: there is room for one.
        let running = stack.docker(&["ps", "--quiet", "--filter", "name=^cassandra$"]);
        assert_eq!(
            running, "",
            "a container named cassandra is running: stop your stack first (docker compose down)"
        );
        stack.compose(&["build"]);
        stack
    }

    /// `docker compose ARGUMENTS`, with its output.
    ///
    /// # Panics
    /// When it fails, with what it said.
    pub(crate) fn compose(&self, arguments: &[&str]) -> String {
        run(self.command().args(arguments))
    }

    /// As [`Stack::compose`]; where it fails, what it said.
    pub(crate) fn try_compose(&self, arguments: &[&str]) -> Result<String, String> {
        attempt(self.command().args(arguments))
    }

    /// Where profile csv writes.
    pub(crate) fn csv_folder(&self) -> &Path {
        self.csv_folder.path()
    }

    /// Whether the engine has an image of that name.
    pub(crate) fn has_image(&self, name: &str) -> bool {
        Command::new("docker").args(["image", "inspect", name]).output().unwrap().status.success()
    }

    fn command(&self) -> Command {
        let mut command = Command::new("docker");
        // Without the user's own .env: ports and passwords are the documented ones.
        command.current_dir(root()).args(["compose", "-p", PROJECT, "--env-file", "/dev/null"]);
        command.args(self.files.iter().flat_map(|file| ["-f", file]));
        command.env("CSV_DIR", self.csv_folder());
        command
    }

    /// `docker ARGUMENTS`, with its output.
    pub(crate) fn docker(&self, arguments: &[&str]) -> String {
        run(Command::new("docker").args(arguments))
    }

    /// A query by `cqlsh` inside the container, which logs in by itself.
    pub(crate) fn cqlsh(&self, query: &str) -> String {
        self.compose(&["exec", "-T", "cassandra", "cqlsh", "-e", query])
    }

    /// The ids of a service's containers.
    pub(crate) fn containers(&self, service: &str) -> Vec<String> {
        self.compose(&["ps", "-q", service]).lines().map(str::to_owned).collect()
    }

    /// The ids of all containers, those that have ended among them.
    pub(crate) fn all_containers(&self) -> Vec<String> {
        self.compose(&["ps", "-a", "-q"]).lines().map(str::to_owned).collect()
    }

    /// The containers that are not healthy or not done, with their state; empty when all is well.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let format = "{{.Service}} {{.State}} {{.Health}} {{.ExitCode}}";
        let lines = self.compose(&["ps", "-a", "--format", format]);
        let well = |line: &&str| !line.contains("running healthy") && !line.ends_with("exited  0");
        lines.lines().filter(well).map(str::to_owned).collect()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = self.command().args(["logs", "--no-color", "--tail", "40"]).output();
            println!(
                "{}",
                logs.map(|logs| String::from_utf8_lossy(&logs.stdout).into_owned()).unwrap_or_default()
            );
        }
        let down = ["--profile", "csv", "down", "-v", "--remove-orphans", "--timeout", "20"];
        // Best effort: a panic here would hide the first one.
        let _ = self.command().args(down).output();
    }
}

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn run(command: &mut Command) -> String {
    attempt(command).unwrap_or_else(|told| panic!("{told}"))
}

fn attempt(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}\n{said}\n{complaint}", output.status))
}

/// Says what is being shown, and how long it took.
pub(crate) fn show<T>(claim: &str, proof: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = proof();
    println!("{:6.1} s  {claim}", started.elapsed().as_secs_f64());
    result
}

/// Tries until `proof` finds something, or panics naming the claim.
pub(crate) fn within<T>(seconds: u64, claim: &str, proof: impl FnMut() -> Option<T>) -> T {
    show(claim, || testbed::wait_for(claim, Duration::from_secs(seconds), proof))
}
