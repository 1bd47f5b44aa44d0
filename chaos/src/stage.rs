//! What a scenario plays on: servers, the real consumers, and what flows.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result};
use end_to_end::{Published, World, admin, metric};
use rdkafka::admin::AdminOptions;
use testbed::{Service, get, peak_rss_mb};
use uuid::Uuid;

use crate::feed::{Feed, Users, borrowed, topics};
use crate::links::Links;
use crate::names::Names;
use crate::scenario::Scenario;
use crate::servers::Servers;

/// See the module.
pub(crate) struct Stage<'a> {
    pub(crate) world: World,
    pub(crate) feeds: Vec<Feed>,
    pub(crate) consumers: Vec<Service>,
    /// Before anything flowed.
    pub(crate) opened_at: SystemTime,
    /// The group's offsets of users when they were last compared with the table.
    pub(crate) compared: BTreeMap<i32, i64>,
    /// How many messages were compared with the table before the consumer came back.
    pub(crate) committed_seen: usize,
    /// What topics held that were deleted since.
    pub(crate) earlier: Published,
    /// The youngest rows before a kill, with their WRITETIMEs.
    pub(crate) noted: HashMap<Uuid, i64>,
    /// The table as it was.
    pub(crate) snapshot: Option<BTreeMap<Uuid, String>>,
    /// Rows a second, by the name under which they were noted.
    pub(crate) rates: BTreeMap<String, f64>,
    /// Rows that Cassandra has forgotten.
    pub(crate) forgotten: usize,
    /// What the consumers counted as offset resets before the topic was made anew.
    pub(crate) resets: f64,
    /// The most memory that a consumer had so far, in MB.
    pub(crate) peak_rss_mb: f64,
    pub(crate) servers: &'a mut Servers,
    pub(crate) links: Option<Links>,
    pub(crate) settings: Vec<(String, String)>,
    topics: Vec<String>,
}

impl<'a> Stage<'a> {
    /// Starts everything and lets the feeds flow.
    pub(crate) async fn open(servers: &'a mut Servers, scenario: &Scenario, seed: u64) -> Result<Self> {
        let world = World::on(&servers.kafka, &servers.cassandra, &scenario.name.replace('-', "_")).await;
        for kind in &scenario.feeds {
            Feed::prepare(*kind, &world, &servers.kafka).await?;
        }
        let variable = |name: &String| name.to_uppercase().replace('.', "__");
        let mut settings: Vec<(String, String)> =
            scenario.settings.iter().map(|(name, value)| (variable(name), value.clone())).collect();
        if servers.names.is_some() {
            let port = |address: &str| address.rsplit_once(':').map(|(_, port)| port.to_owned());
            let port = |address: &str| port(address).with_context(|| format!("{address} has no port"));
            let kafka = format!("{}:{}", Names::KAFKA, port(&world.brokers)?);
            let cassandra = format!("{}:{}", Names::CASSANDRA, port(&world.contact_point)?);
            settings.push(("KAFKA__BROKERS".to_owned(), kafka));
            settings.push(("CASSANDRA__CONTACT_POINTS".to_owned(), cassandra));
        }
        let opened_at = SystemTime::now();
        let consumers = vec![world.consumer(&borrowed(&settings))];
        let feeds =
            scenario.feeds.iter().map(|kind| Feed::start(*kind, &world, scenario, seed, &settings)).collect();
        let topics = scenario.feeds.iter().flat_map(|kind| topics(*kind, &world)).collect();
        Ok(Self {
            world,
            feeds,
            consumers,
            opened_at,
            compared: BTreeMap::new(),
            committed_seen: 0,
            earlier: Published::default(),
            noted: HashMap::new(),
            snapshot: None,
            rates: BTreeMap::new(),
            forgotten: 0,
            resets: 0.0,
            peak_rss_mb: 0.0,
            servers,
            links: None,
            settings,
            topics,
        })
    }

    /// The load of users.
    pub(crate) fn users(&self) -> Result<&Users> {
        self.feeds.iter().find_map(Feed::users).context("the scenario has no feed of users")
    }

    /// Whether every consumer says that all is well, or every one that something is not.
    pub(crate) fn says(&self, status: u16) -> bool {
        self.consumers.iter().all(
            |consumer| matches!(get(consumer.http(), "/health"), Some((answered, _)) if answered == status),
        )
    }

    /// How often the consumers that run began anew where an offset was out of range.
    pub(crate) fn offset_resets(&self) -> f64 {
        let running = self.consumers.iter().filter(|consumer| consumer.is_running());
        running.map(|consumer| metric(consumer, "tributary_offset_resets_total", &[])).sum()
    }

    /// Looks at the consumers' memory.
    pub(crate) fn weigh(&mut self) -> Result<()> {
        for pid in self.consumers.iter().filter_map(Service::pid) {
            self.peak_rss_mb = self.peak_rss_mb.max(peak_rss_mb(pid)?);
        }
        Ok(())
    }

    /// Keeps the logs of the services and of the servers in a folder, in place of what an earlier run has left there.
    pub(crate) fn keep_logs(&self, folder: &Path) -> Result<()> {
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        std::fs::create_dir_all(folder)?;
        std::fs::copy(self.servers.kafka.log(), folder.join("kafka.log"))?;
        std::fs::copy(self.servers.cassandra.log(), folder.join("cassandra.log"))?;
        for entry in std::fs::read_dir(self.world.folder.path())? {
            let path = entry?.path();
            if let Some(name) =
                path.file_name().filter(|_| path.extension().is_some_and(|ending| ending == "log"))
            {
                std::fs::copy(&path, folder.join(name))?;
            }
        }
        Ok(())
    }

    /// Ends the services and removes what they worked on, so that the next scenario finds the servers empty.
    pub(crate) async fn close(mut self) -> Result<()> {
        drop(self.links.take());
        self.feeds.clear();
        self.consumers.clear();
        let names: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        for deleted in admin(&self.world.brokers).delete_topics(&names, &AdminOptions::new()).await? {
            deleted.map_err(|(topic, code)| anyhow::anyhow!("delete topic {topic}: {code}"))?;
        }
        self.world.cql(&format!("DROP KEYSPACE {}", self.world.name)).await;
        Ok(())
    }
}
