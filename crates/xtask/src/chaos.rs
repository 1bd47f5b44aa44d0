//! `chaos SCENARIO`: the binaries under test -> the harness in namespaces of its own -> its report.

mod broken;

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Result, bail};
use clap::Args;

use crate::step;

#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// Files of chaos/scenarios without their ending, or `all`; then the harness's options: --cycles N, --short, --seed S,
    /// --must-find VIOLATION, --json. Or `broken`, and names of chaos/broken.toml
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

/// What breaks networks and disks, with Debian's package of each.
const TOOLS: [(&str, &str); 5] = [
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
    ("mount", "mount"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
];

// The short form runs the binaries of the tests; the long one what ships. The harness itself may panic, which what ships
// does not survive.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    for (tool, package) in TOOLS {
        if !is_there(tool) {
            bail!("chaos needs {tool}: install the package {package}");
        }
    }
    step::servers()?;
    step::build("dev", &[("chaos", "chaos")])?;
    if let [first, names @ ..] = arguments.words.as_slice()
        && first == "broken"
    {
        return broken::run(names);
    }
    let short = arguments.words.iter().any(|word| word == "--short");
    let profile = if short { "dev" } else { step::SHIPPED };
    step::build(profile, &BINARIES)?;
    harness(&arguments.words, &step::folder(profile)?)
}

fn harness(words: &[String], binaries: &Path) -> Result<()> {
    let folder = Folder::make()?;
    let mut harness = sandboxed(step::folder("dev")?.join("chaos"));
    harness.args(words).current_dir(step::root()).env("PATH", path());
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
fn sandboxed(harness: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount"]);
    if !Path::new("/proc/self").metadata().is_ok_and(|process| process.uid() == 0) {
        command.arg("--map-root-user");
    }
    command.args(["--", "setpriv", "--pdeathsig", "KILL", "--"]);
    command.args(["sh", "-c", r#"ip link set lo up && exec "$@""#, "chaos"]).arg(harness);
    command
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
