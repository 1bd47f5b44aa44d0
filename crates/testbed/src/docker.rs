//! The Docker client: is there an engine, and what is done to a container of ours.

use std::env;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::StartError;
use crate::wait::poll;

const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// A container of ours.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) docker: PathBuf,
    pub(crate) name: String,
}

impl Container {
    /// Sends a signal by its name without `SIG`; STOP and CONT reach all of its processes at once.
    pub(crate) fn signal(&self, name: &str) -> Result<(), StartError> {
        match name {
            "STOP" => self.told(&["pause"]),
            "CONT" => self.told(&["unpause"]),
            name => self.told(&["kill", "--signal", name]),
        }
        .map(drop)
    }

    /// The id that its first process has on this machine, while there is one.
    pub(crate) fn pid(&self) -> Option<u32> {
        let told = self.told(&["container", "inspect", "--format", "{{.State.Pid}}"]).ok()?;
        told.trim().parse().ok().filter(|pid| *pid != 0)
    }

    /// Removes it, running or not.
    pub(crate) fn remove(&self) {
        // It may be gone.
        let _ = self.told(&["rm", "--force", "--volumes"]);
    }

    fn told(&self, words: &[&str]) -> Result<String, StartError> {
        let mut command = Command::new(&self.docker);
        command.args(words).arg(&self.name);
        match bounded(&mut command).map_err(StartError::Io)? {
            (true, output) => Ok(output),
            (false, reason) => {
                let command = [words, &[self.name.as_str()]].concat().join(" ");
                Err(StartError::Docker { command, reason: reason.trim().to_owned() })
            }
        }
    }
}

/// The Docker client of this machine, if an engine answers it.
///
/// # Errors
/// The reason in words: no client, no engine, or one that hangs.
pub fn docker_engine() -> Result<PathBuf, String> {
    let path = env::var_os("PATH").unwrap_or_default();
    engine(&env::split_paths(&path).collect::<Vec<_>>())
}

/// The client in one of these folders whose engine answers, or the reason in words.
pub(crate) fn engine(path: &[PathBuf]) -> Result<PathBuf, String> {
    let Some(docker) = path.iter().map(|folder| folder.join("docker")).find(|client| client.is_file()) else {
        return Err("no docker in PATH".to_owned());
    };
    match bounded(Command::new(&docker).args(["version", "--format", "{{.Server.Version}}"])) {
        Ok((true, _)) => Ok(docker),
        Ok((false, output)) => {
            let reason = output.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason given");
            Err(format!("{} has no engine: {}", docker.display(), reason.trim()))
        }
        Err(error) => Err(format!("{}: {error}", docker.display())),
    }
}

/// Fetches the image unless it is here already.
pub(crate) fn pull(docker: &Path, image: &str) -> Result<(), StartError> {
    let known = Command::new(docker).args(["image", "inspect", image]).output().map_err(StartError::Io)?;
    if known.status.success() {
        return Ok(());
    }
    run(docker, &["pull".to_owned(), "--quiet".to_owned(), image.to_owned()]).map(|_| ())
}

/// Runs the client and returns what it printed.
pub(crate) fn run(docker: &Path, arguments: &[String]) -> Result<String, StartError> {
    let output = Command::new(docker).args(arguments).output().map_err(StartError::Io)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(StartError::Docker { command: arguments.join(" "), reason })
}

/// An engine that hangs must not hang us: success and output, or an error after the time.
fn bounded(command: &mut Command) -> io::Result<(bool, String)> {
    let mut output: File = tempfile::tempfile()?;
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?);
    let mut child = command.spawn()?;
    let Some(status) = poll(ANSWER_WITHIN, || child.try_wait().transpose()) else {
        child.kill()?;
        child.wait()?;
        return Err(io::Error::other(format!("no answer within {ANSWER_WITHIN:?}")));
    };
    let success = status?.success();
    let mut text = String::new();
    output.rewind()?;
    output.read_to_string(&mut text)?;
    Ok((success, text))
}
