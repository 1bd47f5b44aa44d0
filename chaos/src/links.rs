//! Faults of the network: iptables rules on the loopback of the harness's own network namespace (see `cargo xtask chaos`).
//!
//! All of them are in one chain, so that mending is emptying it.

use std::process::Command;

use anyhow::Result;

use crate::disk::run;

const CHAIN: &str = "TRIBUTARY";
const RESET: [&str; 4] = ["-j", "REJECT", "--reject-with", "tcp-reset"];
const SOMETIMES: [&str; 5] = ["-m", "statistic", "--mode", "random", "--probability"];
/// Of the loopback, as the kernel makes it.
const MTU: &str = "65536";

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
            add(&[direction, port, "-j", "DROP"])?;
        }
        Ok(())
    }

    /// Drops every packet to an address.
    pub(crate) fn abandon(&self, address: &str) -> Result<()> {
        iptables(&["-A", CHAIN, "-d", address, "-j", "DROP"]).map(drop)
    }

    /// Drops so many of a hundred packets to and from a port. TCP sends them again, later and later: a slow link.
    pub(crate) fn lose(&self, port: &str, percent: u8) -> Result<()> {
        for direction in ["--dport", "--sport"] {
            add(&[&[direction, port][..], &SOMETIMES, &[&share(percent), "-j", "DROP"]].concat())?;
        }
        Ok(())
    }

    /// Answers every packet to a port with a reset.
    pub(crate) fn reset(&self, port: &str) -> Result<()> {
        add(&[&["--dport", port][..], &RESET].concat())
    }

    /// Answers so many of a hundred packets to a port with a reset.
    pub(crate) fn reset_some(&self, port: &str, percent: u8) -> Result<()> {
        add(&[&["--dport", port][..], &SOMETIMES, &[&share(percent)], &RESET].concat())
    }

    /// Packets are of so many bytes at most, so that frames come in slices.
    pub(crate) fn slice(&self, bytes: u16) -> Result<()> {
        mtu(&bytes.to_string())
    }

    /// Drops nothing any more. Returns how many packets were struck.
    pub(crate) fn mend(&self) -> Result<u64> {
        let counters = iptables(&["-n", "-v", "-x", "-L", CHAIN])?;
        iptables(&["-F", CHAIN])?;
        mtu(MTU)?;
        Ok(struck(&counters))
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        // Whatever fails here ends with the namespace.
        let _ = self.mend();
    }
}

fn add(words: &[&str]) -> Result<()> {
    iptables(&[&["-A", CHAIN, "-p", "tcp"][..], words].concat()).map(drop)
}

fn share(percent: u8) -> String {
    format!("{:.2}", f64::from(percent) / 100.0)
}

fn iptables(words: &[&str]) -> Result<String> {
    // Waits for the lock that each change takes.
    run(Command::new("iptables").arg("--wait").args(words))
}

fn mtu(bytes: &str) -> Result<()> {
    run(Command::new("ip").args(["link", "set", "lo", "mtu", bytes])).map(drop)
}

// Two lines of titles, then one a rule, with its packets first.
fn struck(counters: &str) -> u64 {
    let packets = |line: &str| line.split_whitespace().next().and_then(|packets| packets.parse::<u64>().ok());
    counters.lines().skip(2).filter_map(packets).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_all_rules_are_added_up() {
        let counters = "Chain TRIBUTARY (1 references)\n    pkts      bytes target\n      12      720 DROP\n       3 180 REJECT\n";
        assert_eq!(struck(counters), 15);
        assert_eq!(struck("Chain TRIBUTARY (1 references)\n    pkts      bytes target\n"), 0);
    }
}
