//! The roles of Cassandra, and what each tries.

use std::collections::BTreeMap;

use scylla::client::session::Session;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};

use super::{Allowed, Table};
use crate::world::TABLES;

/// The roles of cassandra/roles.cql and secure/roles.cql.
const ROLES: [&str; 3] = ["tributary_consumer", "tributary_operator", "tributary_reader"];

/// Every role tries everything, in its session; the table is printed.
///
/// # Panics
/// One was allowed what it should not be, or refused what it needs.
pub async fn roles_try_everything(session_of: impl AsyncFn(&str) -> Session) {
    let statements = statements();
    let mut table = Table::new("cassandra", statements.iter().map(|(attempt, _)| attempt.clone()).collect());
    for role in ROLES {
        let session = session_of(role).await;
        let done = table.allowed.entry(role).or_default();
        for (attempt, statement) in &statements {
            match session.query_unpaged(statement.as_str(), ()).await {
                Ok(_) => drop(done.insert(attempt.clone())),
                Err(error) => assert!(is_unauthorized(&error), "{role}: {attempt}: {error}"),
            }
        }
    }
    table.print(&ROLES);
    assert_eq!(table.allowed, expected());
}

// Its name in the table, and the statement.
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

fn expected() -> Allowed {
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
