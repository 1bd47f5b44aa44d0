//! The roles of Cassandra, and what each tries.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use scylla::client::session::Session;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};

use super::{Allowed, Table};
use crate::world::TABLES;

const PATIENCE: Duration = Duration::from_secs(15);

/// The roles of cassandra/roles.cql and secure/roles.cql.
const ROLES: [&str; 3] = ["tributary_consumer", "tributary_operator", "tributary_reader"];

/// Every role tries everything, in its session; the table is printed.
///
/// # Panics
/// One was allowed what it should not be, or refused what it needs.
pub async fn roles_try_everything(session_of: impl AsyncFn(&str) -> Session) {
    let tried = statements("").into_iter().map(|(attempt, _)| attempt).collect();
    let mut table = Table::new("cassandra", tried);
    for role in ROLES {
        let session = session_of(role).await;
        let done = table.allowed.entry(role).or_default();
        for (attempt, statement) in statements(role) {
            if is_allowed(&session, &statement).await {
                done.insert(attempt);
            }
        }
    }
    table.print(&ROLES);
    assert_eq!(table.allowed, expected());
}

// Of a role: the name in the table, and the statement.
fn statements(role: &str) -> Vec<(String, String)> {
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
    for table in TABLES {
        all.push((format!("truncate {table}"), format!("TRUNCATE {table}")));
    }
    let own = format!("ALTER ROLE {role} WITH PASSWORD = 'another'");
    let ddl = [
        ("set its own password", own.as_str()),
        ("set the superuser's", "ALTER ROLE cassandra WITH PASSWORD = 'another'"),
        ("become superuser", "GRANT cassandra TO tributary_reader"),
        ("create a table", "CREATE TABLE kafkapipeline.made_up (id int PRIMARY KEY)"),
        ("alter a table", "ALTER TABLE kafkapipeline.fakerdata ADD made_up int"),
        ("drop a table", "DROP TABLE spark_streams.created_users"),
        ("create a role", "CREATE ROLE made_up"),
        ("grant itself more", "GRANT ALL ON ALL KEYSPACES TO tributary_consumer"),
    ];
    all.extend(ddl.map(|(name, cql)| (name.to_owned(), cql.to_owned())));
    all
}

fn expected() -> Allowed {
    let of = |verb: &str| TABLES.iter().map(|table| format!("{verb} {table}")).collect::<Vec<_>>();
    let own = [
        "select tributary.durability_probe",
        "insert tributary.durability_probe",
        "select system_views.settings",
    ];
    let own = || own.iter().map(|attempt| (*attempt).to_owned());
    let writes = || of("insert").into_iter().chain(of("truncate"));
    // Cassandra lets every role do that.
    let password = || ["set its own password".to_owned()];
    BTreeMap::from([
        ("tributary_consumer", writes().chain(own()).chain(password()).collect()),
        ("tributary_operator", writes().chain(of("select")).chain(own()).chain(password()).collect()),
        ("tributary_reader", of("select").into_iter().chain(password()).collect()),
    ])
}

// Anything else than a right that is missing may pass: a role is altered at most every five seconds.
async fn is_allowed(session: &Session, statement: &str) -> bool {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match session.query_unpaged(statement, ()).await {
            Ok(_) => return true,
            Err(ExecutionError::LastAttemptError(RequestAttemptError::DbError(DbError::Unauthorized, _))) => {
                return false;
            }
            Err(error) => assert!(Instant::now() < deadline, "{statement}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
