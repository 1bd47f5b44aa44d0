//! The built command where nobody reads what it says, and as signals end it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read, pipe};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

/// Starts it in an empty folder, without configuration but for the dashboard's address.
fn start(arguments: &[&str], dashboard: &str, stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Child {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.args(arguments).current_dir(&folder).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TRIBUTARY_") {
            command.env_remove(name);
        }
    }
    command.env("TRIBUTARY__DASHBOARD__URL", format!("http://{dashboard}")).spawn().unwrap()
}

/// The address of a port at which nobody listens.
fn nobody() -> String {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().to_string()
}

#[test]
fn a_closed_output_ends_a_command_quietly() {
    let (reader, closed) = pipe().unwrap();
    drop(reader);
    let mut completions = start(&["completions", "bash"], &nobody(), closed, Stdio::piped());
    assert_eq!(completions.wait().unwrap().code(), Some(0));
    let mut said = String::new();
    completions.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
}

#[test]
fn a_closed_stderr_does_not_change_how_a_command_ends() {
    let (reader, closed) = pipe().unwrap();
    drop(reader);
    let mut status = start(&["status"], &nobody(), Stdio::null(), closed);
    assert_eq!(status.wait().unwrap().code(), Some(69));
}

/// How a command ends that waits for an answer, by this signal.
fn ended_by(signal: &str, arguments: &[&str]) -> Option<i32> {
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let mut command = start(arguments, &address, Stdio::null(), Stdio::null());
    let _asking = silent.accept().unwrap();
    assert!(Command::new("kill").args([signal, &command.id().to_string()]).status().unwrap().success());
    command.wait().unwrap().code()
}

#[test]
fn a_signal_ends_whatever_waits() {
    assert_eq!(ended_by("-INT", &["status"]), Some(130));
    assert_eq!(ended_by("-TERM", &["status"]), Some(143));
    assert_eq!(ended_by("-TERM", &["status", "--watch"]), Some(0), "that is how it ends");
}
