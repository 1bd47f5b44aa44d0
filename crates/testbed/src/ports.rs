//! Loopback ports that stay ours while a server is down.
//!
//! A port that the kernel gives out (by binding 0) can be lent to any outgoing connection while a killed server
//! restarts; a client that retries against it can even connect to itself and so occupy it. Ports are therefore
//! taken from below the kernel's range and claimed between processes by a locked file.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, TcpListener};

use crate::cache;

const LOWEST: u16 = 20_000;
const ATTEMPTS: usize = 500;

/// A TCP port of 127.0.0.1, free when it was claimed and not handed to anyone else while this value lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    // Unlocked when it is dropped, also by the end of the process.
    _claim: File,
}

impl Port {
    /// Claims a free port.
    ///
    /// # Errors
    /// When the cache folder cannot be written or none of the ports tried is free.
    pub fn claim() -> io::Result<Port> {
        let folder = cache().join("ports");
        fs::create_dir_all(&folder)?;
        let highest = lowest_of_kernel().unwrap_or(32_768).max(LOWEST + 1_000);
        for _ in 0..ATTEMPTS {
            let number = random_between(LOWEST, highest);
            let claim = File::create(folder.join(number.to_string()))?;
            if claim.try_lock().is_err() {
                continue;
            }
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Port { number, _claim: claim });
            }
        }
        Err(io::Error::other(format!("no free port between {LOWEST} and {highest} in {ATTEMPTS} attempts")))
    }

    /// The port's number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.number)
    }
}

fn lowest_of_kernel() -> Option<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    range.split_whitespace().next()?.parse().ok()
}

fn random_between(low: u16, high: u16) -> u16 {
    // Each RandomState has keys of its own: enough chance for this, without a crate.
    let random = RandomState::new().hash_one(low) % u64::from(high - low);
    low + u16::try_from(random).expect("a remainder of a u16 fits one")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn claimed_ports_differ_and_can_be_bound() {
        let ports: Vec<Port> = (0..50).map(|_| Port::claim().unwrap()).collect();
        let numbers: HashSet<u16> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), 50);
        for port in &ports {
            TcpListener::bind(port.address()).unwrap();
        }
    }

    #[test]
    fn claimed_ports_are_outside_the_range_of_outgoing_connections() {
        if let Some(lowest) = lowest_of_kernel().filter(|lowest| *lowest > LOWEST + 1_000) {
            assert!(Port::claim().unwrap().number() < lowest);
        }
    }
}
