//! Each user tries everything: what secure/acls.conf and the roles grant succeeds, all else is refused.
//!
//! What is expected stands here by hand, so that a grant too many in those files is found. The tables are printed: run
//! with `--nocapture`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use end_to_end::{Record, TABLES, admin, publish};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication, TopicResult};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};
use serde_json::json;
use service::kafka::Settings;
use testbed::{Operation, Resource};

use super::scene::{Scene, USERS, lines, root, scene};

const PATIENCE: Duration = Duration::from_secs(10);
const TOPICS: [&str; 5] = ["weather", "faker", "wikipedia", "companies_created", "users_created"];
const GROUPS: [&str; 2] = ["tributary", "another"];
const ROLES: [&str; 3] = ["tributary_consumer", "tributary_operator", "tributary_reader"];

/// Who did what successfully.
type Allowed = BTreeMap<&'static str, BTreeSet<String>>;

// Grants what the file says, as the one-shot of the containers does.
fn grant(scene: &Scene) {
    for words in lines("secure/acls.conf") {
        let [user, operations, kind, names] = &words[..] else { panic!("{words:?}") };
        for (operation, name) in
            operations.split(',').flat_map(|op| names.split(',').map(move |name| (op, name)))
        {
            let operation = match operation {
                "Read" => Operation::Read,
                "Write" => Operation::Write,
                "Describe" => Operation::Describe,
                "DescribeConfigs" => Operation::DescribeConfigs,
                other => panic!("{other}"),
            };
            let resource = match kind.as_str() {
                "topic" => Resource::Topic(name),
                "group" => Resource::Group(name),
                other => panic!("{other}"),
            };
            scene.kafka.allow(user, operation, resource).unwrap();
        }
    }
}

/// What every user tries.
fn attempts() -> Vec<String> {
    let all: Vec<String> =
        TOPICS.iter().flat_map(|topic| [(*topic).to_owned(), format!("{topic}.dlq")]).collect();
    let on_topics = all.iter().flat_map(|topic| [format!("write {topic}"), format!("read {topic}")]);
    let on_groups = GROUPS.iter().flat_map(|group| [format!("commit {group}"), format!("offsets {group}")]);
    let others = ["configs weather", "create made-up", "delete weather.dlq"].map(str::to_owned);
    on_topics.chain(on_groups).chain(others).collect()
}

fn expected() -> Allowed {
    let reads = || TOPICS.iter().map(|topic| format!("read {topic}"));
    let letters = || TOPICS.iter().map(|topic| format!("write {topic}.dlq"));
    let one = |attempt: &str| BTreeSet::from([attempt.to_owned()]);
    let group = ["commit tributary", "offsets tributary"].map(str::to_owned);
    let operator = TOPICS.iter().map(|topic| format!("read {topic}.dlq"));
    let operator = operator.chain(["offsets tributary", "configs weather"].map(str::to_owned));
    BTreeMap::from([
        ("weather", one("write weather")),
        ("faker", one("write faker")),
        ("wikipedia", BTreeSet::from(["write wikipedia", "read wikipedia"].map(str::to_owned))),
        ("companies", one("write companies_created")),
        ("random-user", one("write users_created")),
        ("consumer", reads().chain(letters()).chain(group).collect()),
        ("consumer-csv", reads().chain(letters()).collect()),
        ("operator", reads().chain(letters()).chain(operator).collect()),
    ])
}

struct User {
    settings: Settings,
    producer: FutureProducer,
    admin: AdminClient<DefaultClientContext>,
}

impl User {
    fn new(scene: &Scene, name: &str) -> Self {
        let settings: Settings = serde_json::from_value(json!({
            "brokers": scene.kafka.secure_brokers(), "security_protocol": "sasl_ssl", "ca": scene.authority(),
            "username": name, "password": scene.password,
        }))
        .unwrap();
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
                let record = FutureRecord::<str, str>::to(name).payload("{}");
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
    error.rdkafka_error_code().unwrap_or_else(|| panic!("{error:?}"))
}

fn first(answer: Result<Vec<TopicResult>, KafkaError>) -> Result<(), RDKafkaErrorCode> {
    answer.map_err(|error| code(&error))?.remove(0).map(drop).map_err(|(_, code)| code)
}

fn is_of_rights(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{ClusterAuthorizationFailed, GroupAuthorizationFailed, TopicAuthorizationFailed};
    matches!(code, ClusterAuthorizationFailed | GroupAuthorizationFailed | TopicAuthorizationFailed)
}

fn print(title: &str, columns: &[&str], attempts: &[String], allowed: &Allowed) {
    let width = attempts.iter().map(String::len).max().unwrap();
    println!("{title:width$}  {}", columns.join("  "));
    for attempt in attempts {
        let cells: Vec<String> = columns
            .iter()
            .map(|user| {
                let cell = if allowed[*user].contains(attempt) { "yes" } else { "refused" };
                format!("{cell:width$}", width = user.len().max(7))
            })
            .collect();
        println!("{attempt:width$}  {}", cells.join("  "));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_user_of_kafka_may_do_its_work_and_nothing_else() {
    let scene = scene();
    scene.topics();
    grant(scene);
    for topic in TOPICS {
        publish(&scene.kafka.brokers(), topic, &[Record::of("{}")]).await;
    }
    let attempts = attempts();
    let mut allowed = Allowed::new();
    for name in USERS {
        let user = User::new(scene, name);
        let done = allowed.entry(name).or_default();
        for attempt in &attempts {
            match user.tries(attempt).await {
                Ok(()) => drop(done.insert(attempt.clone())),
                Err(code) => assert!(is_of_rights(code), "{name}: {attempt}: {code:?}"),
            }
        }
    }
    print("kafka", &USERS, &attempts, &allowed);
    assert_eq!(allowed, expected());
    // Nobody was let in to make it, and what was to be deleted is there.
    let topics = admin(&scene.kafka.brokers()).inner().fetch_metadata(None, PATIENCE).unwrap();
    let names: BTreeSet<&str> = topics.topics().iter().map(rdkafka::metadata::MetadataTopic::name).collect();
    assert!(!names.contains("made-up") && names.contains("weather.dlq"), "{names:?}");
}

// Keyspaces, tables and roles, as cassandra/apply.sh applies them.
async fn apply(session: &Session, password: &str) {
    let tables = fs::read_dir(root().join("cassandra/tables")).unwrap();
    let mut files = vec![root().join("cassandra/keyspaces.cql")];
    files.extend(tables.map(|entry| entry.unwrap().path()));
    files.extend(["cassandra/roles.cql", "secure/roles.cql"].map(|file| root().join(file)));
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let text: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
        let mut text = text.join("\n");
        for role in ["CONSUMER", "READER", "OPERATOR"] {
            text = text.replace(&format!("@{role}_PASSWORD@"), password);
        }
        for statement in
            text.split(";\n").map(|cql| cql.trim().trim_end_matches(';')).filter(|cql| !cql.is_empty())
        {
            let done = session.query_unpaged(statement, ()).await;
            done.unwrap_or_else(|error| panic!("{}: {statement}: {error}", file.display()));
        }
    }
}

/// What every role tries: its name in the table, and the statement.
fn statements() -> Vec<(String, String)> {
    let probe = "tributary.durability_probe";
    let tables = TABLES.iter().copied().chain([probe, "system_views.settings", "system_auth.roles"]);
    let mut all: Vec<(String, String)> =
        tables.map(|table| (format!("select {table}"), format!("SELECT * FROM {table} LIMIT 1"))).collect();
    let id = "00000000-0000-0000-0000-000000000001";
    let keys = [
        ("weatherreport", "(city, month, observed_at) VALUES ('x', '2026-01-01', 0)".to_owned()),
        ("fakerdata", format!("(id) VALUES ({id})")),
        ("wikipediadata", format!("(wiki, hour, dt, id) VALUES ('x', 0, 0, {id})")),
        ("companies_created", format!("(id) VALUES ({id})")),
        ("created_users", format!("(id) VALUES ({id})")),
        ("durability_probe", "(writer, sent_at) VALUES ('x', 0)".to_owned()),
    ];
    for table in TABLES.iter().copied().chain([probe]) {
        let (_, values) = keys.iter().find(|(name, _)| table.ends_with(&format!(".{name}"))).unwrap();
        all.push((format!("insert {table}"), format!("INSERT INTO {table} {values}")));
    }
    let ddl = [
        ("create a table", "CREATE TABLE kafkapipeline.made_up (id int PRIMARY KEY)"),
        ("alter a table", "ALTER TABLE kafkapipeline.fakerdata ADD made_up int"),
        ("drop a table", "DROP TABLE spark_streams.created_users"),
        ("create a role", "CREATE ROLE made_up"),
        ("grant itself more", "GRANT ALL ON ALL KEYSPACES TO tributary_consumer"),
    ];
    all.extend(ddl.map(|(name, cql)| (name.to_owned(), cql.to_owned())));
    all
}

fn expected_of_roles() -> Allowed {
    let of = |verb: &str| TABLES.iter().map(|table| format!("{verb} {table}")).collect::<Vec<_>>();
    let own = [
        "select tributary.durability_probe",
        "insert tributary.durability_probe",
        "select system_views.settings",
    ];
    let own = || own.iter().map(|attempt| (*attempt).to_owned());
    BTreeMap::from([
        ("tributary_consumer", of("insert").into_iter().chain(own()).collect()),
        ("tributary_operator", of("insert").into_iter().chain(of("select")).chain(own()).collect()),
        ("tributary_reader", of("select").into_iter().collect()),
    ])
}

fn is_unauthorized(error: &ExecutionError) -> bool {
    matches!(error, ExecutionError::LastAttemptError(RequestAttemptError::DbError(DbError::Unauthorized, _)))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_of_cassandra_may_do_its_work_and_nothing_else() {
    let scene = scene();
    let point = scene.cassandra.contact_point();
    let (name, password) = scene.cassandra.superuser().unwrap();
    let superuser = SessionBuilder::new().known_node(&point).user(name, password).build().await.unwrap();
    apply(&superuser, &scene.password).await;
    let statements = statements();
    let mut allowed = Allowed::new();
    for role in ROLES {
        let session =
            SessionBuilder::new().known_node(&point).user(role, &scene.password).build().await.unwrap();
        let done = allowed.entry(role).or_default();
        for (attempt, statement) in &statements {
            match session.query_unpaged(statement.as_str(), ()).await {
                Ok(_) => drop(done.insert(attempt.clone())),
                Err(error) => assert!(is_unauthorized(&error), "{role}: {attempt}: {error}"),
            }
        }
    }
    let names: Vec<String> = statements.into_iter().map(|(attempt, _)| attempt).collect();
    print("cassandra", &ROLES, &names, &allowed);
    assert_eq!(allowed, expected_of_roles());
}
