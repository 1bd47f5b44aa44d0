//! Faults of the network: iptables rules on the loopback of the harness's own network namespace (see `cargo xtask chaos`).
//!
//! All of them are in one chain, so that mending is emptying it.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::time::sleep;

use crate::disk::run;
use crate::topic::LOOK_EVERY;

const CHAIN: &str = "TRIBUTARY";
const RESET: [&str; 4] = ["-j", "REJECT", "--reject-with", "tcp-reset"];
const SOMETIMES: [&str; 5] = ["-m", "statistic", "--mode", "random", "--probability"];
/// Of the loopback, as the kernel makes it.
const MTU: &str = "65536";
/// Where chance decides, a fault may strike nothing for a while: two of a hundred packets are few while the other server is hit too.
const STRUCK_WITHIN: Duration = Duration::from_secs(30);

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

    /// Waits until each rule has struck a packet.
    pub(crate) async fn struck(&self) -> Result<()> {
        let until = Instant::now() + STRUCK_WITHIN;
        loop {
            let rules = iptables(&["-n", "-v", "-x", "-L", CHAIN])?;
            let idle = idle(&rules);
            if idle.is_empty() {
                return Ok(());
            }
            ensure!(
                Instant::now() < until,
                "after {STRUCK_WITHIN:?} these faults of the network have struck no packet: {idle:?}"
            );
            sleep(LOOK_EVERY).await;
        }
    }

    /// Drops nothing any more.
    pub(crate) fn mend(&self) -> Result<()> {
        iptables(&["-F", CHAIN])?;
        mtu(MTU)
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

// Two lines of titles, then one a rule, with its packets and bytes first. What goes to a port and what comes from it are one.
fn idle(rules: &str) -> Vec<String> {
    let mut packets: BTreeMap<String, u64> = BTreeMap::new();
    for line in rules.lines().skip(2) {
        let mut words = line.split_whitespace();
        let struck = words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        let rule = words.skip(1).collect::<Vec<_>>().join(" ").replace("spt:", "dpt:");
        *packets.entry(rule).or_default() += struck;
    }
    packets.into_iter().filter(|(_, struck)| *struck == 0).map(|(rule, _)| rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_idle_if_it_struck_in_neither_direction() {
        let title = "Chain TRIBUTARY (1 references)\n pkts bytes target\n";
        let rules =
            format!("{title} 12 720 DROP tcp dpt:9092\n 0 0 DROP tcp spt:9092\n 0 0 REJECT tcp dpt:9092\n");
        assert_eq!(idle(&rules), ["REJECT tcp dpt:9092"]);
        assert!(idle(title).is_empty());
    }
}
