//! The routes against the live schema: plans and prepared statements, or what keeps the consumer from writing.

use std::sync::Arc;

use crate::message::Message;
use crate::plan::{Plan, nearest_of};
use crate::route::{Problem, Route};
use crate::schema::Table;
use crate::store::{Insert, Store, WriteError};

/// One route, ready to write; or the deletes of one.
#[derive(Clone)]
pub struct Target {
    /// How messages become rows.
    pub plan: Arc<Plan>,
    /// How rows are written.
    pub insert: Arc<Insert>,
    /// Which target takes the messages without a value, if the route deletes their rows.
    pub deletes: Option<usize>,
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
    fit(routes, |name| store.table(name), || store.table_names())
}

/// As [`plans`], for tables from anywhere.
///
/// # Errors
/// As [`plans`].
pub fn fit(
    routes: &[Route],
    table: impl Fn(&str) -> Option<Table>,
    table_names: impl Fn() -> Vec<String>,
) -> Result<Vec<Plan>, Misfit> {
    let mut plans = Vec::new();
    let mut missing = Vec::new();
    let mut problems = Vec::new();
    for route in routes {
        let name = route.table.get_ref();
        match table(name) {
            None => {
                let known = table_names();
                let near = nearest_of("there are", name, known.iter().map(String::as_str));
                let message = format!(
                    "table {name} does not exist: apply its CREATE TABLE (the five shipped ones are in \
                     cassandra/tables){near}"
                );
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

/// Whether a table has another form than the targets were made for, by the schema as the store knows it: the driver
/// reads it again within a second of a change that the server announces.
pub fn changed(store: &Store, routes: &[Route], targets: &[Target]) -> Option<Misfit> {
    match plans(store, routes) {
        Err(misfit) => Some(misfit),
        Ok(plans) => {
            let same = plans.iter().eq(targets.iter().take(plans.len()).map(|target| target.plan.as_ref()));
            (!same).then_some(Misfit::Changed)
        }
    }
}

/// Reads the schema again, makes the plans and prepares their statements: one target a route, in their order, then
/// those of the deletes.
///
/// # Errors
/// See [`Misfit`].
pub async fn targets(store: &Store, routes: &[Route]) -> Result<Vec<Target>, Misfit> {
    store.refresh().await.map_err(Misfit::Store)?;
    let mut targets = Vec::new();
    let mut deletes = Vec::new();
    for plan in plans(store, routes)? {
        let of_deletes = plan.delete.clone().map(|delete| {
            deletes.push(delete);
            routes.len() + deletes.len() - 1
        });
        targets.push(target(store, Arc::new(plan), of_deletes).await?);
    }
    for plan in deletes {
        targets.push(target(store, plan, None).await?);
    }
    Ok(targets)
}

/// Which target takes a message by that route: the route's own, or that of its deletes.
pub fn target_of(targets: &[Target], route: usize, message: &Message<'_>) -> usize {
    targets[route].deletes.filter(|_| message.value.is_none()).unwrap_or(route)
}

async fn target(store: &Store, plan: Arc<Plan>, deletes: Option<usize>) -> Result<Target, Misfit> {
    let insert = Arc::new(store.prepare(&plan).await.map_err(Misfit::Store)?);
    Ok(Target { plan, insert, deletes })
}
