//! A process of this workspace under test, also in a container: binary + environment -> child with a log -> signals and
//! exit code.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::supervised::{Leftovers, Supervised};
use crate::wait::poll;
use crate::{Port, binaries, image};

const BIND: &str = "TRIBUTARY__HTTP__BIND";
const SIMULATOR_BIND: &str = "TRIBUTARY__SIMULATOR__BIND";
const START_WITHIN: Duration = Duration::from_secs(30);
const TERMINATE_WITHIN: Duration = Duration::from_secs(20);
const KILL_WITHIN: Duration = Duration::from_secs(10);

/// A child that did not end on SIGTERM in time; it was killed.
#[derive(Debug)]
pub struct StillRunning {
    name: String,
    log: String,
}

impl std::error::Error for StillRunning {}

impl fmt::Display for StillRunning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} did not end within {TERMINATE_WITHIN:?} of SIGTERM; its log:\n{}", self.name, self.log)
    }
}

/// A child process of ours, or a container of one, killed when this value is dropped and when the owner dies.
#[derive(Debug)]
pub struct Service {
    name: String,
    process: Option<Supervised>,
    status: Option<i32>,
    log: PathBuf,
    http: String,
    _port: Option<Port>,
}

impl Service {
    /// Starts `binary`, a path or the bare name of a binary of this workspace, with both outputs appended to
    /// `log`. Of the owner's environment it sees no variable of the project. Where `environment` gives no address
    /// to bind, it gets a free port of its own; see [`Service::http`]. By its bare name it runs in a container where
    /// [`crate::BINARIES_VARIABLE`] names an image; of this machine it sees the folder of `log`, then.
    ///
    /// # Errors
    /// When the process or the container cannot be started or no port is free.
    pub fn spawn(
        binary: impl AsRef<Path>,
        environment: &[(&str, &str)],
        log: impl AsRef<Path>,
    ) -> io::Result<Service> {
        Service::spawn_with(binary, &[], environment, log)
    }

    /// As [`Service::spawn`], with arguments.
    ///
    /// # Errors
    /// As [`Service::spawn`].
    pub fn spawn_with(
        binary: impl AsRef<Path>,
        arguments: &[&str],
        environment: &[(&str, &str)],
        log: impl AsRef<Path>,
    ) -> io::Result<Service> {
        let given = binary.as_ref();
        let name = given.file_name().unwrap_or(given.as_os_str()).to_string_lossy().into_owned();
        let bind = if name == "simulators" { SIMULATOR_BIND } else { BIND };
        let bound = environment.iter().find(|(variable, _)| *variable == bind);
        let port = if bound.is_some() { None } else { Some(Port::claim()?) };
        let http = bound.map_or_else(
            || port.as_ref().map(Port::address).unwrap_or_default(),
            |(_, address)| (*address).to_owned(),
        );
        let mut environment = environment.to_vec();
        environment.push((bind, &http));
        let log = log.as_ref().to_path_buf();
        let is_ours = given == Path::new(&name);
        let (program, mut words, leftovers) = match image() {
            Some(image) if is_ours => binaries::in_container(&image, &name, &environment, &log)?,
            None if is_ours => (binaries::binary(&name), Vec::new(), Leftovers::default()),
            _ => (given.to_path_buf(), Vec::new(), Leftovers::default()),
        };
        words.extend(arguments.iter().map(OsString::from));
        let configure = |command: &mut Command| {
            for (variable, _) in env::vars_os() {
                if variable.to_string_lossy().starts_with("TRIBUTARY_") {
                    command.env_remove(variable);
                }
            }
            command.envs(environment.iter().copied());
        };
        let process = Supervised::spawn(&program, &words, &log, &leftovers, configure)?;
        // The client is there before the container, in which a signal would meet nobody.
        poll(START_WITHIN, || (process.pid().is_some() || !process.is_running()).then_some(())).ok_or_else(
            || io::Error::other(format!("{name}: no container of it runs after {START_WITHIN:?}")),
        )?;
        Ok(Service { name, process: Some(process), status: None, log, http, _port: port })
    }

    /// The address its health and metrics are served at, `127.0.0.1:PORT`.
    #[must_use]
    pub fn http(&self) -> &str {
        &self.http
    }

    /// Its process id; another process may have it once this one has ended.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().filter(|process| process.is_running()).and_then(Supervised::pid)
    }

    /// Whether it has not ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process.as_ref().is_some_and(Supervised::is_running)
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Where it logs.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// SIGKILL; returns when it is gone.
    pub fn kill(&mut self) {
        if let Some(process) = &mut self.process {
            process.signal("KILL");
            process.wait(KILL_WITHIN);
        }
        self.reap();
    }

    /// SIGTERM; returns the exit code (128 + the signal's number if a signal ended it), at most 20 s later.
    ///
    /// # Errors
    /// When it still ran after that time. It is killed then.
    pub fn terminate(&mut self) -> Result<i32, StillRunning> {
        self.signal("TERM");
        match self.wait(TERMINATE_WITHIN) {
            Some(code) => Ok(code),
            None => {
                self.kill();
                Err(StillRunning { name: self.name.clone(), log: self.log() })
            }
        }
    }

    /// The exit code, once it ends within `timeout`, by itself or by a signal (128 + its number).
    pub fn wait(&mut self, timeout: Duration) -> Option<i32> {
        if self.process.as_ref().is_none_or(|process| process.wait(timeout)) {
            self.reap();
        }
        self.status
    }

    /// Sends a signal by its name without `SIG`, and waits for nothing.
    ///
    /// # Panics
    /// When a container cannot be paused.
    pub fn signal(&mut self, name: &str) {
        if let Some(process) = &mut self.process {
            process.signal(name);
        }
    }

    /// SIGSTOP; a container is paused.
    ///
    /// # Panics
    /// When it cannot be.
    pub fn pause(&mut self) {
        self.signal("STOP");
    }

    /// SIGCONT.
    pub fn resume(&mut self) {
        self.signal("CONT");
    }

    fn reap(&mut self) {
        if let Some(process) = self.process.take() {
            self.status = Some(process.end());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait_for;
    use std::os::unix::fs::PermissionsExt;

    fn script(folder: &Path, text: &str) -> PathBuf {
        let path = folder.join("consumer");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn logged(service: &Service, text: &str) {
        wait_for(text, Duration::from_secs(10), || service.log().contains(text).then_some(()));
    }

    #[test]
    fn a_service_that_ends_on_sigterm_returns_its_own_exit_code() {
        let folder = tempfile::tempdir().unwrap();
        let path =
            script(folder.path(), "trap 'echo drained; exit 0' TERM; echo up; while :; do sleep 0.1; done");
        let mut service = Service::spawn(path, &[], folder.path().join("log")).unwrap();
        logged(&service, "up");
        assert!(service.is_running());
        assert_eq!(service.terminate().unwrap(), 0);
        assert!(!service.is_running());
        assert_eq!(service.log(), "up\ndrained\n");
        assert_eq!(service.terminate().unwrap(), 0);
    }

    #[test]
    fn a_killed_service_is_gone_and_reports_the_signal() {
        let folder = tempfile::tempdir().unwrap();
        let path = script(folder.path(), "trap '' TERM; echo up; exec tail -f /dev/null");
        let mut service = Service::spawn(path, &[], folder.path().join("log")).unwrap();
        logged(&service, "up");
        let pid = service.pid().unwrap();
        service.kill();
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        assert_eq!(service.wait(Duration::ZERO), Some(128 + 9));
    }

    #[test]
    fn a_service_gets_a_port_and_the_given_variables_and_arguments() {
        let folder = tempfile::tempdir().unwrap();
        let path = script(folder.path(), "echo $1 $TRIBUTARY__HTTP__BIND $TRIBUTARY__CONSUMER__GROUP");
        let environment = [("TRIBUTARY__CONSUMER__GROUP", "ours")];
        let log = folder.path().join("log");
        let mut service = Service::spawn_with(&path, &["health"], &environment, &log).unwrap();
        assert_eq!(service.wait(Duration::from_secs(10)), Some(0));
        assert_eq!(service.log(), format!("health {} ours\n", service.http()));
        let mut bound = Service::spawn(&path, &[(BIND, "127.0.0.1:1")], &log).unwrap();
        assert_eq!(bound.wait(Duration::from_secs(10)), Some(0));
        assert_eq!(bound.http(), "127.0.0.1:1");
    }
}
