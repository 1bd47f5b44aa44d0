//! The pair of servers that a scenario plays on; the next one plays on the same where it asks for no other.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use testbed::{Cassandra, Kafka, Options};

use crate::disk::Disk;
use crate::names::Names;
use crate::scenario::Scenario;
use crate::step::Part;

/// See the module.
pub(crate) struct Servers {
    pub(crate) kafka: Kafka,
    pub(crate) cassandra: Cassandra,
    /// By which the services know them; containers have none.
    pub(crate) names: Option<Names>,
    asked: Asked,
    // Unmounted after the servers have ended.
    disks: Option<Disks>,
}

/// What sets servers apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Asked {
    kafka: BTreeMap<String, String>,
    cassandra: BTreeMap<String, String>,
    disk: Option<String>,
    /// Whether they are known by names, as those that are no containers are.
    named: bool,
}

#[derive(Debug)]
struct Disks {
    kafka: Disk,
    cassandra: Disk,
}

impl Asked {
    pub(crate) fn by(scenario: &Scenario, on_containers: bool) -> Self {
        Self {
            kafka: scenario.kafka.clone(),
            cassandra: scenario.cassandra.clone(),
            disk: scenario.disk.clone(),
            named: !on_containers,
        }
    }
}

impl Servers {
    pub(crate) async fn start(asked: Asked) -> Result<Self> {
        let disks = match &asked.disk {
            Some(size) => Some(Disks { kafka: Disk::mount(size)?, cassandra: Disk::mount(size)? }),
            None => None,
        };
        let set = |settings: &BTreeMap<String, String>| {
            settings.iter().fold(Options::default(), |options, (name, value)| options.setting(name, value))
        };
        let (mut kafka, mut cassandra) = (set(&asked.kafka), set(&asked.cassandra).authentication(true));
        let names = if asked.named { Some(Names::new()?) } else { None };
        if names.is_some() {
            kafka = kafka.advertised_name(Names::KAFKA);
            cassandra = cassandra
                .setting("rpc_address", "0.0.0.0")
                .setting("broadcast_rpc_address", &Names::first(Part::Cassandra)?);
        }
        if let Some(Disks { kafka: logs, cassandra: storage }) = &disks {
            kafka = kafka.setting("log.dirs", &logs.path().join("logs").display().to_string());
            cassandra = cassandra.property("cassandra.storagedir", &storage.path().display().to_string());
        }
        let pair = tokio::task::spawn_blocking(move || testbed::pair(kafka, cassandra));
        let (kafka, cassandra) = pair.await??;
        Ok(Self { kafka, cassandra, names, asked, disks })
    }

    pub(crate) fn are(&self, asked: &Asked) -> bool {
        self.asked == *asked
    }

    /// The disk of a server that has one to itself.
    pub(crate) fn disk(&self, part: Part) -> Result<&Disk> {
        let disks = self.disks.as_ref();
        let disk = disks.and_then(|disks| match part {
            Part::Kafka => Some(&disks.kafka),
            Part::Cassandra => Some(&disks.cassandra),
            Part::Consumer | Part::Producer => None,
        });
        disk.with_context(|| format!("{part:?} has no disk to itself: say `disk = ..` in the scenario"))
    }
}
