//! The routes against the live schema: plans and prepared inserts, or what keeps the consumer from writing.

use std::sync::Arc;

use crate::plan::{Plan, nearest};
use crate::route::{Problem, Route};
use crate::store::{Insert, Store, WriteError};

/// One route, ready to write.
#[derive(Clone)]
pub struct Target {
    /// How messages become rows.
    pub plan: Arc<Plan>,
    /// How rows are written.
    pub insert: Arc<Insert>,
}

/// Why there are no plans.
#[derive(Debug)]
pub enum Misfit {
    /// Tables that do not exist (yet): worth waiting for.
    MissingTables(Vec<Problem>),
    /// Routes that do not fit their tables, and missing tables if there are any.
    Problems(Vec<Problem>),
    /// A table has changed, and its route fits the new form.
    Changed,
    /// The cluster does not answer, or refuses to prepare a statement.
    Store(WriteError),
}

impl Misfit {
    /// All of it, in words.
    pub fn describe(&self) -> String {
        let lines =
            |problems: &[Problem]| problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ");
        match self {
            Self::MissingTables(problems) | Self::Problems(problems) => lines(problems),
            Self::Changed => "a table has changed".to_owned(),
            Self::Store(error) => error.to_string(),
        }
    }
}

/// Plans for all routes by the schema as the store knows it.
///
/// # Errors
/// [`Misfit::MissingTables`] if nothing else is wrong, else [`Misfit::Problems`].
pub fn plans(store: &Store, routes: &[Route]) -> Result<Vec<Plan>, Misfit> {
    let mut plans = Vec::new();
    let mut missing = Vec::new();
    let mut problems = Vec::new();
    for route in routes {
        let name = route.table.get_ref();
        match store.table(name) {
            None => {
                let known = store.table_names();
                let near = nearest(name, known.iter().map(String::as_str));
                let message =
                    format!("table {name} does not exist{near}; apply its CREATE TABLE (cassandra/tables)");
                missing.push(route.file.problem(&route.table.span(), message));
            }
            Some(table) => match Plan::for_table(route, &table) {
                Ok(plan) => plans.push(plan),
                Err(found) => problems.extend(found),
            },
        }
    }
    match (missing.is_empty(), problems.is_empty()) {
        (true, true) => Ok(plans),
        (false, true) => Err(Misfit::MissingTables(missing)),
        _ => Err(Misfit::Problems(missing.into_iter().chain(problems).collect())),
    }
}

/// Reads the schema again, makes the plans and prepares their inserts.
///
/// # Errors
/// See [`Misfit`].
pub async fn targets(store: &Store, routes: &[Route]) -> Result<Vec<Target>, Misfit> {
    store.refresh().await.map_err(Misfit::Store)?;
    let mut targets = Vec::new();
    for plan in plans(store, routes)? {
        let insert = Arc::new(store.prepare(&plan).await.map_err(Misfit::Store)?);
        targets.push(Target { plan: Arc::new(plan), insert });
    }
    Ok(targets)
}
