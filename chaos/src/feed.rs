//! What flows into a topic: a load of users with a ledger, or a real producer on the simulated upstreams.

use anyhow::{Context, Result};
use datasets::Dataset;
use end_to_end::{Load, World, ends, healthy, metric};
use serde::Deserialize;
use testbed::{Kafka, Service};

use crate::parts::stop;
use crate::scenario::Scenario;

const PARTITIONS: i32 = 6;
/// Changes a second of the simulated Wikimedia.
const CHANGES_PER_S: &str = "200";
/// Longer than any run: it is asked for all of its history in the end.
const HISTORY: &str = "12h";

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Users,
    Faker,
    RandomUser,
    Wikipedia,
}

/// While it flows.
pub(crate) enum Feed {
    Users(Users),
    Produced(Box<Produced>),
}

/// The load of a scenario.
pub(crate) struct Users {
    pub(crate) topic: String,
    pub(crate) load: Load,
}

/// A producer and its upstream.
pub(crate) struct Produced {
    pub(crate) dataset: &'static Dataset,
    pub(crate) simulators: Service,
    pub(crate) producer: Service,
    settings: Vec<(String, String)>,
    /// What the topic held when the producer started.
    held: i64,
    /// What it had sent since, when it was told to end: a counter.
    pub(crate) sent: f64,
}

impl Kind {
    fn dataset(self) -> Option<&'static Dataset> {
        match self {
            Self::Users => None,
            Self::Faker => Some(&datasets::faker::DATASET),
            Self::RandomUser => Some(&datasets::random_user::DATASET),
            Self::Wikipedia => Some(&datasets::wikipedia::DATASET),
        }
    }

    /// The table that it fills, without its keyspace: the load of users is written by the route of random-user.
    pub(crate) fn table(self) -> &'static str {
        table(self.dataset().unwrap_or(&datasets::random_user::DATASET))
    }
}

impl Feed {
    /// Creates topics, table and route. Nothing flows yet.
    pub(crate) async fn prepare(kind: Kind, world: &World, kafka: &Kafka) -> Result<()> {
        let Some(dataset) = kind.dataset() else {
            world.script("cassandra/tables/created_users.cql").await;
            world.route("random-user");
            world.create_topic("users_created", PARTITIONS);
            return Ok(());
        };
        world.script(&format!("cassandra/tables/{}.cql", table(dataset))).await;
        world.write_route(dataset.name, &world.routed(dataset.name));
        let partitions = if kind == Kind::Wikipedia { 1 } else { PARTITIONS };
        kafka.create_topic(dataset.topic, partitions, &[])?;
        kafka.create_topic(&format!("{}.dlq", dataset.topic), 1, &[("cleanup.policy", "compact")])?;
        Ok(())
    }

    /// Lets it flow.
    pub(crate) fn start(
        kind: Kind,
        world: &World,
        scenario: &Scenario,
        seed: u64,
        settings: &[(String, String)],
    ) -> Self {
        match kind.dataset() {
            None => {
                let topic = world.topic("users_created");
                let load = Load::seeded(&world.brokers, &topic, scenario.rate, scenario.mix.into(), seed);
                Self::Users(Users { topic, load })
            }
            Some(dataset) => Self::Produced(Box::new(Produced::start(dataset, world, settings))),
        }
    }

    pub(crate) fn topic(&self) -> &str {
        match self {
            Self::Users(users) => &users.topic,
            Self::Produced(produced) => produced.dataset.topic,
        }
    }

    pub(crate) fn users(&self) -> Option<&Users> {
        match self {
            Self::Users(users) => Some(users),
            Self::Produced(_) => None,
        }
    }

    pub(crate) fn produced(&mut self) -> Option<&mut Produced> {
        match self {
            Self::Produced(produced) => Some(produced),
            Self::Users(_) => None,
        }
    }
}

impl Produced {
    fn start(dataset: &'static Dataset, world: &World, settings: &[(String, String)]) -> Self {
        let simulators = world.spawn(
            "simulators",
            &[("SIMULATOR__WIKIPEDIA_PER_S", CHANGES_PER_S), ("SIMULATOR__WIKIPEDIA_RETENTION", HISTORY)],
        );
        healthy(&simulators);
        let mut settings = settings.to_vec();
        settings.push(("PRODUCER__UPSTREAMS".to_owned(), "simulated".to_owned()));
        settings.push(("PRODUCER__SIMULATOR".to_owned(), format!("http://{}", simulators.http())));
        let producer = world.spawn(dataset.name, &borrowed(&settings));
        Self { dataset, simulators, producer, settings, held: 0, sent: 0.0 }
    }

    /// Starts the producer again.
    pub(crate) fn restart(&mut self, world: &World) {
        self.held = held(world, self.dataset.topic);
        self.producer = world.spawn(self.dataset.name, &borrowed(&self.settings));
    }

    /// SIGTERM, without waiting. What it has sent by then is to be on the topic when it has ended.
    pub(crate) fn term(&mut self) {
        self.sent = metric(&self.producer, "tributary_sent_total", &[]);
        self.producer.signal("TERM");
    }

    /// How many messages it had sent and the topic does not have.
    pub(crate) fn unpublished(&self, world: &World) -> f64 {
        self.sent - (held(world, self.dataset.topic) - self.held) as f64
    }

    /// Stops the producer; what it has sent is on the topic then.
    pub(crate) fn stop(&mut self) -> Result<()> {
        stop(&mut self.producer).context(self.dataset.name)
    }

    /// A column of its table that is a text in each message, under the same name.
    pub(crate) fn column(&self) -> &'static str {
        match self.dataset.name {
            "random-user" => "first_name",
            "wikipedia" => "title",
            _ => "name",
        }
    }

    /// Its table, without the keyspace.
    pub(crate) fn table(&self) -> &'static str {
        table(self.dataset)
    }
}

fn held(world: &World, topic: &str) -> i64 {
    ends(&world.brokers, topic).values().sum()
}

fn table(dataset: &'static Dataset) -> &'static str {
    dataset.table.rsplit('.').next().unwrap_or_default()
}

/// As the testbed takes them.
pub(crate) fn borrowed(settings: &[(String, String)]) -> Vec<(&str, &str)> {
    settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// The topics of a kind, to be deleted at the end.
pub(crate) fn topics(kind: Kind, world: &World) -> [String; 2] {
    let topic =
        kind.dataset().map_or_else(|| world.topic("users_created"), |dataset| dataset.topic.to_owned());
    [topic.clone(), format!("{topic}.dlq")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_named_as_its_dataset() {
        for kind in [Kind::Faker, Kind::RandomUser, Kind::Wikipedia] {
            let dataset = kind.dataset().unwrap();
            let named: Kind = serde_json::from_value(dataset.name.into()).unwrap();
            assert_eq!(named, kind);
            assert!(!table(dataset).contains('.'));
        }
    }

    #[test]
    fn settings_are_lent_as_they_are() {
        let settings = [("A__B".to_owned(), "1".to_owned())];
        assert_eq!(borrowed(&settings), [("A__B", "1")]);
    }
}
