//! Names of the servers whose addresses change: a file of hosts of our own, in the harness's mount namespace.
//!
//! Every address is one of the loopback, on all of which the servers listen.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::NamedTempFile;

use crate::disk::run;
use crate::step::Part;

const HOSTS: &str = "/etc/hosts";
const FIRST_PLACE: u8 = 1;
/// The last bytes of the addresses.
const KAFKA_LAST: u8 = 2;
const CASSANDRA_LAST: u8 = 3;

/// See the module.
#[derive(Debug)]
pub(crate) struct Names {
    hosts: NamedTempFile,
    /// The third byte of the addresses of Kafka and of Cassandra.
    places: (u8, u8),
}

impl Names {
    pub(crate) const KAFKA: &str = "kafka.chaos";
    pub(crate) const CASSANDRA: &str = "cassandra.chaos";

    pub(crate) fn new() -> Result<Self> {
        let names = Self { hosts: NamedTempFile::new()?, places: (FIRST_PLACE, FIRST_PLACE) };
        names.write()?;
        run(Command::new("mount").arg("--bind").arg(names.hosts.path()).arg(HOSTS))?;
        Ok(names)
    }

    /// Where a server is before it has moved.
    pub(crate) fn first(part: Part) -> Result<String> {
        Ok(address(FIRST_PLACE, last(part)?))
    }

    /// Moves a server, and returns the address at which it was and that at which it is.
    pub(crate) fn change(&mut self, part: Part) -> Result<(String, String)> {
        let last = last(part)?;
        let (kafka, cassandra) = &mut self.places;
        let place = if part == Part::Kafka { kafka } else { cassandra };
        let old = address(*place, last);
        *place = place.checked_add(1).context("a server has moved too often")?;
        let new = address(*place, last);
        self.write()?;
        Ok((old, new))
    }

    // In place: another file would not be the one that is mounted.
    fn write(&self) -> Result<()> {
        let (kafka, cassandra) = self.places;
        let lines = [
            "127.0.0.1 localhost".to_owned(),
            format!("{} {}", address(kafka, KAFKA_LAST), Self::KAFKA),
            format!("{} {}", address(cassandra, CASSANDRA_LAST), Self::CASSANDRA),
        ];
        Ok(fs::write(self.hosts.path(), lines.join("\n") + "\n")?)
    }
}

fn last(part: Part) -> Result<u8> {
    match part {
        Part::Kafka => Ok(KAFKA_LAST),
        Part::Cassandra => Ok(CASSANDRA_LAST),
        Part::Consumer | Part::Producer => bail!("{part:?} has no name"),
    }
}

fn address(place: u8, last: u8) -> String {
    format!("127.0.{place}.{last}")
}

impl Drop for Names {
    fn drop(&mut self) {
        // Whatever fails here ends with the namespace.
        let _ = run(Command::new("umount").arg(HOSTS));
    }
}
