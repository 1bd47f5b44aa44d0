//! What is done to the parts of a stage: they are killed, stopped, frozen, cut off, and start again.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use end_to_end::healthy;
use testbed::Service;

use crate::feed::{Feed, Produced, borrowed};
use crate::findings::{Broken, Violation};
use crate::links::Links;
use crate::stage::Stage;
use crate::step::Part;

/// What a SIGTERM gives.
const STOPS_WITHIN: Duration = Duration::from_secs(10);

impl Stage<'_> {
    fn produced(&mut self) -> impl Iterator<Item = &mut Produced> {
        self.feeds.iter_mut().filter_map(Feed::produced)
    }

    // Whoever has ended by itself cannot be struck any more.
    fn runs(&mut self, part: Part) -> Result<()> {
        let services: Vec<&Service> = match part {
            Part::Consumer => self.consumers.iter().collect(),
            Part::Producer => self.produced().map(|produced| &produced.producer).collect(),
            Part::Kafka | Part::Cassandra => return Ok(()),
        };
        match services.iter().find(|service| !service.is_running()) {
            None => Ok(()),
            Some(ended) => Err(anyhow!(Broken(Violation::Ended, format!("by itself:\n{}", ended.log())))),
        }
    }

    pub(crate) fn kill(&mut self, part: Part) -> Result<()> {
        self.runs(part)?;
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
        self.runs(part)?;
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
        self.runs(part)?;
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

    pub(crate) fn freeze(&mut self, part: Part) -> Result<()> {
        self.runs(part)?;
        match part {
            Part::Consumer => self.consumers.iter_mut().for_each(Service::pause),
            Part::Producer => self.produced().for_each(|produced| produced.producer.pause()),
            Part::Kafka => self.servers.kafka.pause(),
            Part::Cassandra => self.servers.cassandra.pause(),
        }
        Ok(())
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

    /// Gives a server's name another address, and drops what is sent to the old one. A node of Cassandra tells clients its
    /// address itself: it starts again for it.
    pub(crate) async fn move_server(&mut self, part: Part) -> Result<()> {
        if part == Part::Cassandra {
            self.kill(part)?;
        }
        let names = self.servers.names.as_mut().context("containers have no names that could change")?;
        let (old, new) = names.change(part)?;
        self.links()?.abandon(&old)?;
        if part == Part::Cassandra {
            self.servers.cassandra.set("broadcast_rpc_address", &new)?;
            self.start(part).await?;
        }
        Ok(())
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
