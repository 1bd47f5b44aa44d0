//! The users of Kafka, and what each tries.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
    TopicResult,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use service::kafka::Settings;

use super::{Allowed, Table};

const PATIENCE: Duration = Duration::from_secs(10);
/// The topics of the datasets: each has one of dead letters, too.
pub const TOPICS: [&str; 5] = ["weather", "faker", "wikipedia", "companies_created", "users_created"];
const GROUPS: [&str; 2] = ["tributary", "another"];

const CHANGED: &str = "1234567";

/// Everybody who has a line in secure/acls.conf.
pub const USERS: [&str; 9] = [
    "weather",
    "faker",
    "wikipedia",
    "companies",
    "random-user",
    "consumer",
    "consumer-csv",
    "dashboard",
    "operator",
];

/// Every user tries everything, with its settings; the table is printed. The topics are there, and nobody is in a group.
///
/// # Panics
/// One was allowed what it should not be, or refused what it needs.
pub async fn users_try_everything(settings_of: impl Fn(&str) -> Settings) {
    let mut table = Table::new("kafka", attempts());
    for name in USERS {
        let user = User::new(settings_of(name));
        let done = table.allowed.entry(name).or_default();
        for attempt in &table.tried {
            match user.tries(attempt).await {
                Ok(()) => drop(done.insert(attempt.clone())),
                Err(code) => assert!(is_of_rights(code), "{name}: {attempt}: {code:?}"),
            }
        }
    }
    table.print(&USERS);
    assert_eq!(table.allowed, expected());
    nobody_configures_topics(settings_of).await;
}

// rust-rdkafka 0.39 leaves out the error of a topic: what everybody has tried is looked for afterwards.
async fn nobody_configures_topics(settings_of: impl Fn(&str) -> Settings) {
    let topic = ResourceSpecifier::Topic("weather");
    for name in USERS {
        let user = User::new(settings_of(name));
        let changed = AlterConfig::new(topic).set("retention.ms", CHANGED);
        user.admin.alter_configs([&changed], &AdminOptions::new()).await.unwrap();
    }
    let operator = User::new(settings_of("operator"));
    let told =
        operator.admin.describe_configs(&[topic], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
    let retention = told.get("retention.ms").and_then(|entry| entry.value.clone());
    assert!(retention.is_some_and(|ms| ms != CHANGED), "somebody may configure topics");
}

fn attempts() -> Vec<String> {
    let all: Vec<String> =
        TOPICS.iter().flat_map(|topic| [(*topic).to_owned(), format!("{topic}.dlq")]).collect();
    let on_topics = all.iter().flat_map(|topic| [format!("write {topic}"), format!("read {topic}")]);
    let on_groups = GROUPS.iter().flat_map(|group| [format!("commit {group}"), format!("offsets {group}")]);
    let others = [
        "configs weather",
        "partitions weather",
        "truncate weather",
        "forget tributary",
        "create made-up",
        "delete weather.dlq",
    ];
    let others = others.map(str::to_owned);
    on_topics.chain(on_groups).chain(others).collect()
}

fn expected() -> Allowed {
    let reads = || TOPICS.iter().map(|topic| format!("read {topic}"));
    let letters = || TOPICS.iter().map(|topic| format!("write {topic}.dlq"));
    let one = |attempt: &str| BTreeSet::from([attempt.to_owned()]);
    let group = ["commit tributary", "offsets tributary"].map(str::to_owned);
    let read_letters = || TOPICS.iter().map(|topic| format!("read {topic}.dlq"));
    let offsets = || ["offsets tributary".to_owned()];
    let configs = ["configs weather".to_owned()];
    BTreeMap::from([
        ("weather", one("write weather")),
        ("faker", one("write faker")),
        ("wikipedia", BTreeSet::from(["write wikipedia", "read wikipedia"].map(str::to_owned))),
        ("companies", one("write companies_created")),
        ("random-user", one("write users_created")),
        ("consumer", reads().chain(letters()).chain(group).collect()),
        ("consumer-csv", reads().chain(letters()).collect()),
        ("dashboard", reads().chain(read_letters()).chain(offsets()).collect()),
        (
            "operator",
            reads().chain(letters()).chain(read_letters()).chain(offsets()).chain(configs).collect(),
        ),
    ])
}

struct User {
    settings: Settings,
    producer: FutureProducer,
    admin: AdminClient<DefaultClientContext>,
}

impl User {
    fn new(settings: Settings) -> Self {
        settings.check().unwrap();
        let mut client = settings.client("attempts");
        client.set("message.timeout.ms", "10000");
        let (producer, admin) = (client.create().unwrap(), settings.client("attempts").create().unwrap());
        Self { settings, producer, admin }
    }

    fn consumer(&self, group: &str) -> BaseConsumer {
        let mut config = self.settings.client("attempts");
        config.set("group.id", group).set("enable.auto.commit", "false").set("enable.partition.eof", "true");
        config.create().unwrap()
    }

    async fn tries(&self, attempt: &str) -> Result<(), RDKafkaErrorCode> {
        let (verb, name) = attempt.split_once(' ').unwrap();
        match verb {
            "write" => {
                // A compacted topic takes nothing without a key.
                let record = FutureRecord::<str, str>::to(name).key("attempt").payload("{}");
                self.producer.send(record, PATIENCE).await.map(drop).map_err(|(error, _)| code(&error))
            }
            "read" => tokio::task::block_in_place(|| self.read(name)),
            "offsets" => tokio::task::block_in_place(|| self.offsets(name)),
            "commit" => tokio::task::block_in_place(|| self.commit(name)),
            "configs" => {
                let asked = [ResourceSpecifier::Topic(name)];
                let told = self.admin.describe_configs(&asked, &AdminOptions::new()).await;
                // rust-rdkafka 0.39 leaves out the error of a topic: who is refused gets no settings.
                let told = told.map_err(|error| code(&error))?.remove(0)?;
                if told.entries.is_empty() { Err(RDKafkaErrorCode::TopicAuthorizationFailed) } else { Ok(()) }
            }
            "partitions" => {
                let added = NewPartitions::new(name, 99);
                first(self.admin.create_partitions([&added], &AdminOptions::new()).await)
            }
            "truncate" => {
                let mut list = TopicPartitionList::new();
                list.add_partition_offset(name, 0, Offset::End).unwrap();
                let told = self.admin.delete_records(&list, &AdminOptions::new()).await;
                // Who may not see the topic finds no leader of it to ask.
                if matches!(told, Err(KafkaError::AdminOp(RDKafkaErrorCode::NoEnt))) {
                    return Err(RDKafkaErrorCode::TopicAuthorizationFailed);
                }
                told.map_err(|error| code(&error))?.elements()[0].error().map_err(|error| code(&error))
            }
            "forget" => {
                let told = self.admin.delete_groups(&[name], &AdminOptions::new()).await;
                told.map_err(|error| code(&error))?.remove(0).map(drop).map_err(|(_, code)| code)
            }
            "create" => {
                let topic = NewTopic::new(name, 1, TopicReplication::Fixed(1));
                first(self.admin.create_topics([&topic], &AdminOptions::new()).await)
            }
            "delete" => first(self.admin.delete_topics(&[name], &AdminOptions::new()).await),
            other => panic!("{other}"),
        }
    }

    // By assignment, as the CSV sink, `check` and the search for a place to resume from do.
    fn read(&self, topic: &str) -> Result<(), RDKafkaErrorCode> {
        let consumer = self.consumer("unused");
        // Of a topic that may not be seen, nothing is heard by fetching.
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).map_err(|error| code(&error))?;
        if let Some(error) = metadata.topics()[0].error() {
            return Err(error.into());
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
        consumer.assign(&list).unwrap();
        loop {
            match consumer.poll(PATIENCE).expect("an answer") {
                Ok(_) | Err(KafkaError::PartitionEOF(_)) => return Ok(()),
                // Of a group that is only named.
                Err(error) if code(&error) == RDKafkaErrorCode::GroupAuthorizationFailed => {}
                Err(error) => return Err(code(&error)),
            }
        }
    }

    fn offsets(&self, group: &str) -> Result<(), RDKafkaErrorCode> {
        self.of_group(group).map(drop)
    }

    fn commit(&self, group: &str) -> Result<(), RDKafkaErrorCode> {
        let consumer = self.of_group(group)?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset("weather", 0, Offset::Offset(0)).unwrap();
        consumer.commit(&list, CommitMode::Sync).map_err(|error| code(&error))
    }

    // Who has asked for the group's offsets: by then its coordinator is known, which a commit would await for long. That it
    // may not be known is told in an event, once.
    fn of_group(&self, group: &str) -> Result<BaseConsumer, RDKafkaErrorCode> {
        use RDKafkaErrorCode::{
            CoordinatorNotAvailable, GroupAuthorizationFailed, NotCoordinator, OperationTimedOut,
            WaitingForCoordinator,
        };
        let consumer = self.consumer(group);
        let mut list = TopicPartitionList::new();
        list.add_partition("weather", 0);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let told = consumer.committed_offsets(list.clone(), Duration::from_millis(200));
            match told.and_then(|told| told.elements()[0].error()).map_err(|error| code(&error)) {
                Ok(()) => return Ok(consumer),
                Err(CoordinatorNotAvailable | NotCoordinator | OperationTimedOut | WaitingForCoordinator)
                    if Instant::now() < deadline => {}
                Err(code) => return Err(code),
            }
            if let Some(Err(error)) = consumer.poll(Duration::from_millis(100))
                && code(&error) == GroupAuthorizationFailed
            {
                return Err(GroupAuthorizationFailed);
            }
        }
    }
}

fn code(error: &KafkaError) -> RDKafkaErrorCode {
    match error {
        KafkaError::AdminOp(code) => *code,
        error => error.rdkafka_error_code().unwrap_or_else(|| panic!("{error:?}")),
    }
}

fn first(answer: Result<Vec<TopicResult>, KafkaError>) -> Result<(), RDKafkaErrorCode> {
    answer.map_err(|error| code(&error))?.remove(0).map(drop).map_err(|(_, code)| code)
}

fn is_of_rights(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{ClusterAuthorizationFailed, GroupAuthorizationFailed, TopicAuthorizationFailed};
    matches!(code, ClusterAuthorizationFailed | GroupAuthorizationFailed | TopicAuthorizationFailed)
}
