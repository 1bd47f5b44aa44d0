//! `chaos SCENARIO`: the binaries under test -> the harness in namespaces of its own -> its report; or, with
//! `--containers`, the image that ships -> the harness on this machine's network, before containers.

mod broken;

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Result, anyhow, bail, ensure};
use clap::Args;
use testbed::Tools;

use crate::step;

#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// Files of chaos/scenarios without their ending, or `all`; then the harness's options: --cycles N, --short, --seed S,
    /// --containers, --must-find VIOLATION, --json. Or `broken`, and names of chaos/broken.toml
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

impl Arguments {
    /// Everything once.
    pub(crate) fn short() -> Self {
        Self { words: ["all", "--short"].map(str::to_owned).to_vec() }
    }
}

/// What the scenarios run: package and binary.
const BINARIES: [(&str, &str); 5] = [
    ("consumer", "consumer"),
    ("producers", "faker"),
    ("producers", "random-user"),
    ("producers", "wikipedia"),
    ("simulators", "simulators"),
];

/// Where tools are that only root needs, and that PATH may lack.
const USUAL: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// What ends the harness with us, with Debian's package of it.
const SETPRIV: (&str, &str) = ("setpriv", "util-linux");

/// What breaks networks and disks beside it.
const TOOLS: [(&str, &str); 4] =
    [("unshare", "util-linux"), ("mount", "mount"), ("ip", "iproute2"), ("iptables", "iptables")];

// The short form runs the binaries of the tests; the long one what ships. The harness itself may panic, which what ships
// does not survive.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let said = |option: &str| arguments.words.iter().any(|word| word == option);
    needs(&[SETPRIV])?;
    if said("--containers") {
        ensure!(
            !said("broken"),
            "the copies that are broken on purpose run as processes: leave --containers out"
        );
        return on_containers(&arguments.words);
    }
    needs(&TOOLS)?;
    step::servers()?;
    step::build("dev", &[("chaos", "chaos")])?;
    if let [first, names @ ..] = arguments.words.as_slice()
        && first == "broken"
    {
        return broken::run(names);
    }
    let profile = if said("--short") { "dev" } else { step::SHIPPED };
    step::build(profile, &BINARIES)?;
    harness(sandboxed(), &arguments.words, step::folder(profile)?)
}

// Both forms run what ships: the image has nothing else.
fn on_containers(words: &[String]) -> Result<()> {
    let docker = testbed::docker_engine()
        .map_err(|reason| anyhow!("--containers needs a Docker engine that answers: {reason}"))?;
    testbed::prepare(&Tools::Docker { docker: docker.clone() })?;
    step::build("dev", &[("chaos", "chaos")])?;
    let mut build = Command::new(docker);
    build.args(["compose", "build", "image"]).current_dir(step::root());
    // What is on the standard output is the harness's.
    step::run("docker compose build", build.stdout(std::io::stderr()))?;
    // The containers' user is not ours, and reads our routes.
    let mut command = ending_with_us(Command::new(SETPRIV.0), "umask 022");
    command.env(testbed::BACKEND_VARIABLE, "docker");
    harness(command, words, testbed::SHIPPED)
}

// Runs it by that command, which takes its path and its arguments.
fn harness(mut harness: Command, words: &[String], binaries: impl AsRef<OsStr>) -> Result<()> {
    let folder = Folder::make()?;
    harness.arg(step::folder("dev")?.join("chaos")).args(words).current_dir(step::root()).env("PATH", path());
    harness.env(testbed::BINARIES_VARIABLE, binaries).env("TMPDIR", &folder.path);
    step::run(&format!("chaos {}", words.join(" ")), &mut harness)
}

/// A folder that is gone however we end: a shell removes it once its input ends, which is a pipe of ours.
struct Folder {
    path: PathBuf,
    keeper: Child,
}

impl Folder {
    fn make() -> Result<Self> {
        let path = tempfile::Builder::new().prefix("chaos-").tempdir()?.keep();
        // The servers, which end with the harness, take a moment for it.
        let mut keeper = Command::new("sh");
        keeper
            .args([
                "-c",
                r#"cat >/dev/null; for i in 1 2 3 4 5; do sleep 1; rm -rf -- "$1" && break; done"#,
                "chaos",
            ])
            .arg(&path);
        // Not of our group, to which a Ctrl-C goes.
        let keeper = keeper.process_group(0).stdin(Stdio::piped()).spawn()?;
        Ok(Self { path, keeper })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // What it could not remove is in the temporary folder of the machine.
        let _ = self.keeper.wait();
    }
}

// In a network and with mounts of its own, which end with its last process; and it ends with us. Whoever is not root is root in
// there.
fn sandboxed() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount"]);
    if !Path::new("/proc/self").metadata().is_ok_and(|process| process.uid() == 0) {
        command.arg("--map-root-user");
    }
    command.args(["--", SETPRIV.0]);
    ending_with_us(command, "ip link set lo up")
}

// `setpriv` with its words, and a shell that does that first.
fn ending_with_us(mut setpriv: Command, first: &str) -> Command {
    setpriv.args(["--pdeathsig", "KILL", "--"]);
    setpriv.args(["sh", "-c", &format!(r#"{first} && exec "$@""#), "chaos"]);
    setpriv
}

fn needs(tools: &[(&str, &str)]) -> Result<()> {
    for (tool, package) in tools {
        if !is_there(tool) {
            bail!("chaos needs {tool}: install the package {package}");
        }
    }
    Ok(())
}

fn is_there(tool: &str) -> bool {
    std::env::split_paths(&path()).any(|folder| folder.join(tool).is_file())
}

fn path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":");
    path.push(USUAL);
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_sought_where_commands_are() {
        assert!(is_there("sh"));
        assert!(!is_there("no-such-tool"));
    }

    #[test]
    fn the_folder_is_gone_afterwards() {
        let folder = Folder::make().unwrap();
        let path = folder.path.clone();
        std::fs::write(path.join("log"), "what a server left").unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
