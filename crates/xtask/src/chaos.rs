//! `chaos SCENARIO`: the binaries under test -> the harness in namespaces of its own -> its report.

mod broken;

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

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
    // Whatever ends the harness, this is removed.
    let folder = tempfile::Builder::new().prefix("chaos-").tempdir()?;
    let mut harness = sandboxed(step::folder("dev")?.join("chaos"));
    harness.args(words).current_dir(step::root());
    harness.env(testbed::BINARIES_VARIABLE, binaries).env("TMPDIR", folder.path());
    step::run(&format!("chaos {}", words.join(" ")), &mut harness)
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
    let usual = "/usr/local/sbin:/usr/sbin:/sbin";
    let path = std::env::var("PATH").unwrap_or_default();
    std::env::split_paths(&format!("{path}:{usual}")).any(|folder| folder.join(tool).is_file())
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
    fn the_harness_has_a_loopback_of_its_own_and_takes_its_words() {
        let output = sandboxed("sh").args(["-c", "cat /proc/net/dev; echo $0", "--short"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said.matches(':').count(), 1, "one interface: {said}\n{output:?}");
        assert!(said.contains("lo:") && said.ends_with("--short\n"), "{said}");
    }
}
