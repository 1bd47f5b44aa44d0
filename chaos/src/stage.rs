//! What a scenario plays on: servers, the real consumers, and what flows.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, anyhow, bail, ensure};
use end_to_end::{Published, World, admin, healthy, metric};
use rdkafka::admin::AdminOptions;
use testbed::{Service, get, peak_rss_mb};
use uuid::Uuid;

use crate::feed::{Feed, Produced, Users, borrowed, topics};
use crate::findings::{Broken, Violation};
use crate::links::Links;
use crate::names::Names;
use crate::scenario::{Part, Scenario};
use crate::servers::Servers;

/// What a SIGTERM gives.
const STOPS_WITHIN: Duration = Duration::from_secs(10);

/// See the module.
pub(crate) struct Stage<'a> {
    pub(crate) world: World,
    pub(crate) feeds: Vec<Feed>,
    pub(crate) consumers: Vec<Service>,
    /// Before anything flowed.
    pub(crate) opened_at: SystemTime,
    /// The group's offsets of users when they were last compared with the table.
    pub(crate) compared: BTreeMap<i32, i64>,
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
    links: Option<Links>,
    names: Option<Names>,
    settings: Vec<(String, String)>,
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
        let names = if scenario.named { Some(Names::new()?) } else { None };
        if names.is_some() {
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
            earlier: Published::default(),
            noted: HashMap::new(),
            snapshot: None,
            rates: BTreeMap::new(),
            forgotten: 0,
            resets: 0.0,
            peak_rss_mb: 0.0,
            servers,
            links: None,
            names,
            settings,
            topics,
        })
    }

    /// The load of users.
    pub(crate) fn users(&self) -> Result<&Users> {
        self.feeds.iter().find_map(Feed::users).context("the scenario has no feed of users")
    }

    fn produced(&mut self) -> impl Iterator<Item = &mut Produced> {
        self.feeds.iter_mut().filter_map(Feed::produced)
    }

    pub(crate) fn kill(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Consumer => {
                self.weigh()?;
                self.consumers.iter_mut().for_each(Service::kill);
            }
            Part::Producer => self.produced().for_each(|produced| produced.producer.kill()),
            Part::Kafka => self.servers.kafka.kill(),
            Part::Cassandra => self.servers.cassandra.kill(),
        }
        Ok(())
    }

    /// SIGTERM; a service ends with 0, in time.
    pub(crate) fn stop(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Consumer => {
                self.weigh()?;
                self.consumers.iter_mut().try_for_each(stop)?;
            }
            Part::Producer => self.produced().try_for_each(Produced::stop)?,
            Part::Kafka => self.servers.kafka.stop(),
            Part::Cassandra => self.servers.cassandra.stop(),
        }
        Ok(())
    }

    /// SIGTERM, without waiting.
    pub(crate) fn term(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Consumer => self.consumers.iter_mut().for_each(|consumer| consumer.signal("TERM")),
            Part::Producer => self.produced().for_each(Produced::term),
            Part::Kafka | Part::Cassandra => bail!("{part:?} is stopped with `stop`"),
        }
        Ok(())
    }

    /// Whether it ends by then, a service with 0.
    pub(crate) fn ended_within(&mut self, part: Part, within: Duration) -> Result<()> {
        let until = Instant::now() + within;
        let left = || until.saturating_duration_since(Instant::now());
        let mut services: Vec<&mut Service> = match part {
            Part::Consumer => self.consumers.iter_mut().collect(),
            Part::Producer => self.produced().map(|produced| &mut produced.producer).collect(),
            Part::Kafka => return server_ended(|| self.servers.kafka.pid(), part, until),
            Part::Cassandra => return server_ended(|| self.servers.cassandra.pid(), part, until),
        };
        for service in &mut services {
            let code = service.wait(left());
            let what = || format!("{part:?}: exit code {code:?} after {within:?}");
            ensure!(code == Some(0), Broken(Violation::Ended, what()));
        }
        Ok(())
    }

    pub(crate) fn freeze(&mut self, part: Part) {
        match part {
            Part::Consumer => self.consumers.iter_mut().for_each(Service::pause),
            Part::Producer => self.produced().for_each(|produced| produced.producer.pause()),
            Part::Kafka => self.servers.kafka.pause(),
            Part::Cassandra => self.servers.cassandra.pause(),
        }
    }

    pub(crate) fn thaw(&mut self, part: Part) {
        match part {
            Part::Consumer => self.consumers.iter_mut().for_each(Service::resume),
            Part::Producer => self.produced().for_each(|produced| produced.producer.resume()),
            Part::Kafka => self.servers.kafka.resume(),
            Part::Cassandra => self.servers.cassandra.resume(),
        }
    }

    pub(crate) async fn start(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Consumer => self.consumers = vec![self.consumer()],
            Part::Producer => {
                let Self { feeds, world, .. } = self;
                feeds.iter_mut().filter_map(Feed::produced).for_each(|produced| produced.restart(world));
            }
            Part::Kafka => self.servers.kafka.restart()?,
            Part::Cassandra => {
                self.servers.cassandra.restart()?;
                self.world.answers().await;
            }
        }
        Ok(())
    }

    /// Mends what a scenario that broke off has left.
    pub(crate) async fn restore(&mut self) -> Result<()> {
        if let Some(links) = &self.links {
            links.mend()?;
        }
        for part in [Part::Kafka, Part::Cassandra, Part::Producer, Part::Consumer] {
            self.thaw(part);
            if let Ok(disk) = self.servers.disk(part) {
                // It may have room.
                let _ = disk.free();
            }
        }
        if self.servers.kafka.pid().is_none() {
            self.start(Part::Kafka).await?;
        }
        if self.servers.cassandra.pid().is_none() {
            self.start(Part::Cassandra).await?;
        }
        if !self.consumers.iter().all(Service::is_running) {
            self.start(Part::Consumer).await?;
        }
        let Self { feeds, world, .. } = self;
        let ended = feeds.iter_mut().filter_map(Feed::produced).filter(|feed| !feed.producer.is_running());
        ended.for_each(|feed| feed.restart(world));
        self.world.answers().await;
        Ok(())
    }

    /// So many consumers; surplus ones end by SIGTERM and SIGKILL in turn.
    pub(crate) fn scale(&mut self, count: usize) -> Result<()> {
        self.weigh()?;
        while self.consumers.len() < count {
            let consumer = self.consumer();
            healthy(&consumer);
            self.consumers.push(consumer);
        }
        // The oldest go.
        for (place, consumer) in self.consumers.iter_mut().rev().skip(count).enumerate() {
            if place % 2 == 0 { stop(consumer)? } else { consumer.kill() }
        }
        let surplus = self.consumers.len() - count;
        self.consumers.drain(..surplus);
        Ok(())
    }

    fn consumer(&self) -> Service {
        self.world.spawn("consumer", &borrowed(&self.settings))
    }

    /// The network's faults.
    pub(crate) fn links(&mut self) -> Result<&Links> {
        if self.links.is_none() {
            self.links = Some(Links::new()?);
        }
        self.links.as_ref().context("there now")
    }

    /// Gives a server's name another address, and drops what is sent to the old one.
    pub(crate) fn move_server(&mut self, part: Part) -> Result<()> {
        let names = self.names.as_mut().context("say `named = true` in the scenario")?;
        let old = names.change(part)?;
        self.links()?.abandon(&old)
    }

    /// The port that a part listens on.
    pub(crate) fn port(&self, part: Part) -> Result<String> {
        let address = match part {
            Part::Kafka => &self.world.brokers,
            Part::Cassandra => &self.world.contact_point,
            Part::Consumer | Part::Producer => bail!("{part:?} is not what others connect to"),
        };
        let (_, port) = address.rsplit_once(':').with_context(|| format!("{address} has no port"))?;
        Ok(port.to_owned())
    }

    /// Whether every consumer says that all is well, or every one that something is not.
    pub(crate) fn says(&self, status: u16) -> bool {
        self.consumers.iter().all(
            |consumer| matches!(get(consumer.http(), "/health"), Some((answered, _)) if answered == status),
        )
    }

    /// How often the consumers that run began anew where an offset was out of range.
    pub(crate) fn offset_resets(&self) -> f64 {
        self.consumers.iter().map(|consumer| metric(consumer, "tributary_offset_resets_total", &[])).sum()
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

/// SIGTERM: the service ends with 0, in time.
pub(crate) fn stop(service: &mut Service) -> Result<()> {
    let broken = |what| Err(anyhow!(Broken(Violation::Ended, what)));
    let began = Instant::now();
    match service.terminate() {
        Ok(0) => {}
        Ok(code) => return broken(format!("exit code {code} on SIGTERM:\n{}", service.log())),
        Err(running) => return broken(running.to_string()),
    }
    let took = began.elapsed();
    if took > STOPS_WITHIN {
        return broken(format!("{took:?} to end on SIGTERM:\n{}", service.log()));
    }
    Ok(())
}

fn server_ended(pid: impl Fn() -> Option<u32>, part: Part, until: Instant) -> Result<()> {
    while pid().is_some() {
        ensure!(Instant::now() < until, Broken(Violation::Ended, format!("{part:?} goes on")));
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
