//! Faults of the network: iptables rules on the loopback of the harness's own network namespace (see `cargo xtask chaos`).
//!
//! All of them are in one chain, so that mending is emptying it.

use std::process::Command;

use anyhow::Result;

use crate::disk::run;

const CHAIN: &str = "TRIBUTARY";

/// The rules, and that they are gone in the end.
#[derive(Debug)]
pub(crate) struct Links(());

impl Links {
    /// Nothing is faulty yet.
    pub(crate) fn new() -> Result<Self> {
        // It is there if a scenario before this one has used it.
        if iptables(&["-n", "-L", CHAIN]).is_err() {
            iptables(&["-N", CHAIN])?;
            iptables(&["-A", "INPUT", "-j", CHAIN])?;
        }
        Ok(Self(()))
    }

    /// Drops every packet to and from a port.
    pub(crate) fn cut(&self, port: &str) -> Result<()> {
        for direction in ["--dport", "--sport"] {
            iptables(&["-A", CHAIN, "-p", "tcp", direction, port, "-j", "DROP"])?;
        }
        Ok(())
    }

    /// Answers every packet to a port with a reset.
    pub(crate) fn reset(&self, port: &str) -> Result<()> {
        let reject = ["-j", "REJECT", "--reject-with", "tcp-reset"];
        iptables(&[&["-A", CHAIN, "-p", "tcp", "--dport", port][..], &reject].concat())
    }

    /// Drops nothing any more.
    pub(crate) fn mend(&self) -> Result<()> {
        iptables(&["-F", CHAIN])
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        // Whatever fails here ends with the namespace.
        let _ = self.mend();
    }
}

fn iptables(words: &[&str]) -> Result<()> {
    // Waits for the lock that each change takes.
    run(Command::new("iptables").arg("--wait").args(words))
}
