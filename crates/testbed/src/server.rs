//! What Kafka and Cassandra have in common: a folder, a log, and a process that is started, killed and started
//! again on the same ports with the same data.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use thiserror::Error;

use crate::docker::Container;
use crate::supervised::{Leftovers, Supervised};
use crate::wait::poll;
use crate::{Missing, cache};

const STOP_WITHIN: Duration = Duration::from_secs(30);
const TAIL_LINES: usize = 30;

/// Why a server does not run.
#[derive(Debug, Error)]
pub enum StartError {
    /// This machine has no way to run servers.
    #[error("{0}")]
    Tools(#[from] Missing),
    /// Maven fetched no jars.
    #[error("fetch the jars of {name} by Maven:\n{output}")]
    Jars {
        /// The set of jars.
        name: &'static str,
        /// What Maven printed.
        output: String,
    },
    /// The Docker client refused.
    #[error("docker {command}: {reason}")]
    Docker {
        /// Its arguments.
        command: String,
        /// What it printed.
        reason: String,
    },
    /// The options make no sense for this server.
    #[error("{0}")]
    Options(&'static str),
    /// A file, a port or a process of this machine.
    #[error("prepare a server: {0}")]
    Io(#[source] io::Error),
    /// The server ended before it answered.
    #[error("{name} ended with status {status} before it answered; its log is kept at {}:\n{tail}", log.display())]
    Ended {
        /// The server.
        name: &'static str,
        /// Its exit code, or 128 + the signal's number.
        status: i32,
        /// A copy of its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// The server runs and does not answer.
    #[error("{name} did not answer within {after:?} ({reason}); its log is kept at {}:\n{tail}", log.display())]
    Silent {
        /// The server.
        name: &'static str,
        /// How long it was waited for.
        after: Duration,
        /// What the last probe met.
        reason: String,
        /// A copy of its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
}

/// How a server's process is made, each time it starts.
#[derive(Debug, Clone)]
pub(crate) enum Launch {
    /// A JVM of ours.
    Jvm { java: PathBuf, arguments: Vec<OsString> },
    /// A container that was created before, attached while it runs.
    Container(Container),
}

#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    launch: Launch,
    process: Option<Supervised>,
    folder: TempDir,
}

impl Server {
    pub(crate) fn folder(name: &str) -> Result<TempDir, StartError> {
        let prefix = format!("testbed-{name}-");
        tempfile::Builder::new().prefix(&prefix).tempdir().map_err(StartError::Io)
    }

    pub(crate) fn new(name: &'static str, launch: Launch, folder: TempDir) -> Server {
        Server { name, launch, process: None, folder }
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// The process id of the JVM while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().filter(|process| process.is_running()).and_then(Supervised::pid)
    }

    /// Starts the process and waits until `ready` says so.
    pub(crate) fn start(
        &mut self,
        within: Duration,
        mut ready: impl FnMut() -> Result<(), String>,
    ) -> Result<(), StartError> {
        let folder = Some(self.folder.path().to_path_buf());
        let (program, arguments, container) = match &self.launch {
            Launch::Jvm { java, arguments } => (java, arguments.clone(), None),
            Launch::Container(container) => {
                let arguments = ["start", "--attach", &container.name].map(OsString::from).to_vec();
                (&container.docker, arguments, Some(container.clone()))
            }
        };
        let leftovers = Leftovers { folder, container };
        let configure = |command: &mut Command| {
            // A JVM writes its crash reports and heap dumps where it stands.
            command.current_dir(self.folder.path());
            for variable in ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH"] {
                command.env_remove(variable);
            }
        };
        let process = Supervised::spawn(program, &arguments, &self.log(), &leftovers, configure)
            .map_err(StartError::Io)?;
        let mut reason = String::new();
        let outcome = poll(within, || {
            if !process.is_running() {
                return Some(false);
            }
            ready().map_err(|error| reason = error).ok().map(|()| true)
        });
        match outcome {
            Some(true) => {
                self.process = Some(process);
                Ok(())
            }
            Some(false) => {
                let status = process.leave();
                let (log, tail) = self.keep_log();
                Err(StartError::Ended { name: self.name, status, log, tail })
            }
            None => {
                let (log, tail) = self.keep_log();
                self.process = Some(process);
                self.kill();
                Err(StartError::Silent { name: self.name, after: within, reason, log, tail })
            }
        }
    }

    pub(crate) fn kill(&mut self) {
        self.signal("KILL");
        if let Some(process) = self.process.take() {
            process.wait(STOP_WITHIN);
            process.leave();
        }
    }

    pub(crate) fn stop(&mut self) {
        self.signal("TERM");
        if let Some(process) = &self.process
            && !process.wait(STOP_WITHIN)
        {
            eprintln!("{} did not stop within {STOP_WITHIN:?} and is killed", self.name);
        }
        self.kill();
    }

    pub(crate) fn signal(&mut self, signal: &str) {
        if let Some(process) = &mut self.process {
            process.signal(signal);
        }
    }

    /// Copies the log to where it outlives the server; returns that place and the last lines.
    fn keep_log(&self) -> (PathBuf, String) {
        let text = fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
        let kept = kept_log(self.folder.path());
        let copied = kept.parent().map(fs::create_dir_all).is_some_and(|made| made.is_ok())
            && fs::copy(self.log(), &kept).is_ok();
        (if copied { kept } else { self.log() }, tail)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            let (log, _) = self.keep_log();
            eprintln!("the log of {} is kept at {}", self.name, log.display());
        }
        let running = self.process.take();
        let ran = running.is_some();
        drop(running);
        if let (Launch::Container(container), false) = (&self.launch, ran) {
            container.remove();
        }
    }
}

fn kept_log(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
    let logs = cache().join("logs");
    if logs.is_absolute() {
        logs.join(format!("{name}.log"))
    } else {
        env::temp_dir().join(format!("{name}.log"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(script: &str) -> Server {
        let arguments = ["-c", script].map(OsString::from).to_vec();
        let launch = Launch::Jvm { java: PathBuf::from("/bin/sh"), arguments };
        Server::new("sample", launch, Server::folder("sample").unwrap())
    }

    #[test]
    fn a_server_that_ends_at_once_is_reported_with_its_status_and_the_tail_of_its_log() {
        let mut server = server("for n in $(seq 100); do echo line $n; done; exit 3");
        let error = server.start(Duration::from_secs(10), || Err("refused".to_owned())).unwrap_err();
        let message = error.to_string();
        let StartError::Ended { status: 3, log, tail, .. } = error else { panic!("{error}") };
        assert_eq!((tail.lines().next(), tail.lines().last()), (Some("line 71"), Some("line 100")));
        assert!(message.contains(&log.display().to_string()), "{message}");
        drop(server);
        assert_eq!(fs::read_to_string(&log).unwrap().lines().count(), 100);
        fs::remove_file(log).unwrap();
    }

    #[test]
    fn a_silent_server_is_killed_and_reported_with_the_last_reason() {
        let mut server = server("exec tail -f /dev/null");
        let error = server.start(Duration::from_millis(50), || Err("no listener".to_owned())).unwrap_err();
        let StartError::Silent { ref reason, ref log, .. } = error else { panic!("{error}") };
        assert_eq!(reason, "no listener");
        fs::remove_file(log).unwrap();
        assert_eq!(server.pid(), None);
    }

    #[test]
    fn a_killed_server_starts_again_over_its_old_files_and_leaves_nothing_behind() {
        let mut server = server("echo started; exec tail -f /dev/null");
        let folder = server.folder.path().to_path_buf();
        for starts in 1..=3 {
            let log = server.log();
            let started = move || {
                let text = fs::read_to_string(&log).map_err(|error| error.to_string())?;
                if text.lines().count() == starts { Ok(()) } else { Err(text) }
            };
            server.start(Duration::from_secs(10), started).unwrap();
            let pid = server.pid().unwrap();
            server.kill();
            assert!(!Path::new(&format!("/proc/{pid}")).exists());
        }
        drop(server);
        assert!(!folder.exists());
    }
}
