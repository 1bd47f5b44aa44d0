//! One test's own corner of real servers: a keyspace, topics, routes, and the binaries that run on them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::TryStreamExt;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::value::CqlValue;
use testbed::{Cassandra, Kafka, Service, unique};
use uuid::Uuid;

use crate::health::healthy;
use crate::load::Row;

/// See the module.
pub struct World {
    /// The test's name, unique: its keyspace, and the prefix of its topics.
    pub name: String,
    /// `host:port`
    pub brokers: String,
    /// `host:port`
    pub contact_point: String,
    /// A session of the superuser.
    pub session: Session,
    /// Removed at the end: routes, logs, CSV files.
    pub folder: tempfile::TempDir,
    credentials: Option<(&'static str, &'static str)>,
}

/// The tables that the shipped routes fill.
pub const TABLES: [&str; 5] = [
    "kafkapipeline.weatherreport",
    "kafkapipeline.fakerdata",
    "kafkapipeline.wikipediadata",
    "spark_streams.companies_created",
    "spark_streams.created_users",
];

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

impl World {
    /// A world on the servers that all tests share.
    pub async fn shared(test: &str) -> Self {
        let shared = tokio::task::spawn_blocking(testbed::shared).await.unwrap();
        Self::on(&shared.kafka, &shared.cassandra, test).await
    }

    /// A world on servers of one's own.
    pub async fn on(kafka: &Kafka, cassandra: &Cassandra, test: &str) -> Self {
        Self::replicated(kafka, cassandra, test, 1).await
    }

    /// As [`World::on`], with so many copies of each row.
    pub async fn replicated(kafka: &Kafka, cassandra: &Cassandra, test: &str, copies: u8) -> Self {
        let contact_point = cassandra.contact_point();
        let credentials = cassandra.superuser();
        let mut builder = SessionBuilder::new().known_node(&contact_point);
        if let Some((username, password)) = credentials {
            builder = builder.user(username, password);
        }
        let session = builder.build().await.unwrap();
        let world = Self {
            name: unique(test),
            brokers: kafka.brokers(),
            contact_point,
            session,
            folder: tempfile::tempdir().unwrap(),
            credentials,
        };
        for keyspace in ["tributary", &world.name] {
            let replication = format!("{{'class': 'SimpleStrategy', 'replication_factor': {copies}}}");
            world
                .cql(&format!("CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {replication}"))
                .await;
        }
        world.script("cassandra/tables/durability_probe.cql").await;
        world
    }

    /// Executes one statement.
    pub async fn cql(&self, statement: &str) {
        let done = self.session.query_unpaged(statement, ()).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    /// Executes a CQL file of the repository, with the pipeline's keyspaces replaced by this world's.
    pub async fn script(&self, file: &str) {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
        // A semicolon ends a statement at the end of a line only: comments of tables have some inside.
        let script = self.renamed(&lines.join("\n"));
        for statement in script.split(";\n").map(str::trim).filter(|cql| !cql.is_empty()) {
            self.cql(statement.trim_end_matches(';')).await;
        }
    }

    /// A topic of this world's: `users_created` -> `NAME.users_created`.
    pub fn topic(&self, topic: &str) -> String {
        format!("{}.{topic}", self.name)
    }

    /// Creates a topic of this world's, and the topic of its dead letters.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> String {
        let topic = self.topic(topic);
        let kafka = Kafka::elsewhere(&self.brokers);
        kafka.create_topic(&topic, partitions, &[]).unwrap();
        let limits = [
            ("cleanup.policy", "compact"),
            ("max.message.bytes", "2097152"),
            ("delete.retention.ms", "1209600000"),
        ];
        kafka.create_topic(&format!("{topic}.dlq"), 1, &limits).unwrap();
        topic
    }

    /// Copies a route of the repository, with topics and keyspaces of this world.
    pub fn route(&self, name: &str) {
        let text = self.routed(name).replace("topic = \"", &format!("topic = \"{}.", self.name));
        self.write_route(name, &text);
    }

    /// The text of a route of the repository, with this world's keyspaces and the producers' own topics.
    pub fn routed(&self, name: &str) -> String {
        let text = std::fs::read_to_string(root().join("routes").join(format!("{name}.toml"))).unwrap();
        self.renamed(&text)
    }

    /// Writes a route of the test's own.
    pub fn write_route(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.routes()).unwrap();
        std::fs::write(self.routes().join(format!("{name}.toml")), text).unwrap();
    }

    /// Where the routes are.
    pub fn routes(&self) -> PathBuf {
        self.folder.path().join("routes")
    }

    fn renamed(&self, text: &str) -> String {
        text.replace("spark_streams.", &format!("{}.", self.name))
            .replace("kafkapipeline.", &format!("{}.", self.name))
    }

    /// The variables that point a binary at this world.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::new();
        let mut set = |key: &str, value: String| environment.insert(format!("TRIBUTARY__{key}"), value);
        set("KAFKA__BROKERS", self.brokers.clone());
        set("CASSANDRA__CONTACT_POINTS", self.contact_point.clone());
        if let Some((username, password)) = self.credentials {
            set("CASSANDRA__USERNAME", username.to_owned());
            set("CASSANDRA__PASSWORD", password.to_owned());
        }
        set("CONSUMER__GROUP", self.name.clone());
        set("CONSUMER__ROUTES", self.routes().display().to_string());
        set("CONSUMER__CSV_DIR", self.folder.path().join("csv").display().to_string());
        environment
    }

    /// Starts a binary in this world, with more variables (without their prefix).
    pub fn spawn(&self, binary: &str, more: &[(&str, &str)]) -> Service {
        self.run(binary, &[], more)
    }

    /// As [`World::spawn`], with arguments.
    pub fn run(&self, binary: &str, arguments: &[&str], more: &[(&str, &str)]) -> Service {
        let mut environment = self.environment();
        environment
            .extend(more.iter().map(|(key, value)| (format!("TRIBUTARY__{key}"), (*value).to_owned())));
        let pairs: Vec<(&str, &str)> =
            environment.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let log = self.folder.path().join(format!("{binary}.{}.log", Uuid::new_v4().simple()));
        Service::spawn_with(binary, arguments, &pairs, &log).unwrap()
    }

    /// Starts a consumer and waits until it is healthy.
    pub fn consumer(&self, more: &[(&str, &str)]) -> Service {
        let consumer = self.spawn("consumer", more);
        healthy(&consumer);
        consumer
    }

    /// Waits until the session of this world is answered: it finds a restarted node again a moment later.
    pub async fn answers(&self) {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while let Err(error) = self.session.query_unpaged("SELECT key FROM system.local", ()).await {
            assert!(std::time::Instant::now() < deadline, "the node does not answer: {error}");
            tokio::task::yield_now().await;
        }
    }

    /// All rows of this world's `created_users`, by id. A node that has just come back may time out: read again.
    pub async fn users(&self) -> BTreeMap<Uuid, Row> {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            match self.scan().await {
                Ok(users) => return users,
                Err(error) => assert!(std::time::Instant::now() < deadline, "read created_users: {error:#}"),
            }
        }
    }

    async fn scan(&self) -> anyhow::Result<BTreeMap<Uuid, Row>> {
        let mut users = BTreeMap::new();
        let keep = |user: StoredUser| {
            let [first_name, last_name, ..] = user.cells;
            let row = Row { first_name, last_name, writetime: user.writetime };
            users.insert(user.id, row);
        };
        self.each_user(keep).await?;
        Ok(users)
    }

    /// Shows each row of this world's `created_users`.
    ///
    /// # Errors
    /// The node does not answer: a part of the rows may have been shown.
    pub async fn each_user(&self, mut see: impl FnMut(StoredUser)) -> anyhow::Result<()> {
        let columns = USER_COLUMNS.join(", ");
        let question =
            format!("SELECT id, writetime(first_name), {columns} FROM {}.created_users", self.name);
        let mut rows = self.session.query_iter(question, ()).await?.rows_stream::<scylla::value::Row>()?;
        while let Some(row) = rows.try_next().await? {
            see(StoredUser::of(&row.columns));
        }
        Ok(())
    }

    /// All rows of a question, whatever their columns.
    pub async fn rows(&self, question: &str) -> Vec<Vec<Option<CqlValue>>> {
        let pager = self.session.query_iter(question, ()).await.unwrap();
        let rows: Vec<scylla::value::Row> = pager.rows_stream().unwrap().try_collect().await.unwrap();
        rows.into_iter().map(|row| row.columns).collect()
    }

    /// `SELECT count(*)` of a table of this world.
    pub async fn count(&self, table: &str) -> i64 {
        let answer =
            self.session.query_unpaged(format!("SELECT count(*) FROM {}.{table}", self.name), ()).await;
        answer.unwrap().into_rows_result().unwrap().single_row::<(i64,)>().unwrap().0
    }
}

/// The columns of a user beside the id.
pub(crate) const USER_COLUMNS: [&str; 10] = [
    "first_name",
    "last_name",
    "gender",
    "address",
    "post_code",
    "email",
    "username",
    "registered_date",
    "phone",
    "picture",
];

/// A row of `created_users`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredUser {
    /// The key.
    pub id: Uuid,
    /// The other columns; empty where nothing is stored.
    pub cells: [String; 10],
    /// Of the first name; 0 where nothing is stored.
    pub writetime: i64,
}

impl StoredUser {
    fn of(columns: &[Option<CqlValue>]) -> Self {
        let cell =
            |place: usize| columns[place].as_ref().and_then(CqlValue::as_text).cloned().unwrap_or_default();
        Self {
            id: columns[0].as_ref().and_then(CqlValue::as_uuid).unwrap(),
            cells: std::array::from_fn(|place| cell(place + 2)),
            writetime: columns[1].as_ref().and_then(CqlValue::as_bigint).unwrap_or_default(),
        }
    }

    /// Whether every cell is that of the message whose first and last name it has.
    pub fn is_whole(&self) -> bool {
        self.cells == user_cells(&self.cells[0], &self.cells[1])
    }
}

// The first and the last cell tell the version, so that a mixture of two is seen.
fn user_cells(first_name: &str, last_name: &str) -> [String; 10] {
    [
        first_name.to_owned(),
        last_name.to_owned(),
        "female".to_owned(),
        "1 Test St, Testville, Nowhere, Utopia".to_owned(),
        "01234".to_owned(),
        format!("{first_name}@example.com"),
        "t".to_owned(),
        "2012-11-20T18:03:07.441Z".to_owned(),
        "Q12 P34-5678".to_owned(),
        format!("https://example.com/{first_name}.jpg"),
    ]
}

/// A message for `users_created`.
pub fn user(id: Uuid, first_name: &str, last_name: &str) -> String {
    let cells = user_cells(first_name, last_name).into_iter().map(serde_json::Value::from);
    let mut user: serde_json::Map<_, _> = USER_COLUMNS.map(str::to_owned).into_iter().zip(cells).collect();
    user.insert("id".to_owned(), id.to_string().into());
    serde_json::Value::from(user).to_string()
}
