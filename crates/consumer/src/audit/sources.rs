//! Settings -> what an audit reads with: the routes as the consumer would use them now, and a read of each of their tables.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::effect::{Effect, View};
use super::first::READ_ROWS;
use crate::backoff::Backoff;
use crate::codec::Codec;
use crate::key::Key;
use crate::message::Message;
use crate::plan::Plan;
use crate::route::{self, Route};
use crate::routes::{self, Misfit};
use crate::rows::Rows;
use crate::schema::Role;
use crate::settings::Settings;
use crate::store::{ConnectError, Found, Select, Store, WriteError};
use crate::topic::Unread;

/// Bytes of the rows of one request, as far as the largest row so far tells.
const READ_BYTES: usize = 1 << 20;
/// How long a read is tried again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why nothing can be read.
#[derive(Debug, thiserror::Error)]
pub enum Unready {
    /// Wrong settings or routes: somebody has to mend them.
    #[error("{0}")]
    Refused(String),
    /// It may pass by itself: a server does not answer, or the group has not come so far.
    #[error("{0}")]
    Away(String),
}

impl From<Unread> for Unready {
    fn from(error: Unread) -> Self {
        Self::Away(error.to_string())
    }
}

/// See the module.
pub(crate) struct Sources {
    pub(crate) routes: Vec<RouteSource>,
    pub(crate) tables: Vec<TableSource>,
    store: Store,
}

/// A route and its place among the tables.
pub(crate) struct RouteSource {
    pub(crate) file: PathBuf,
    pub(crate) topics: Vec<String>,
    pub(crate) table: usize,
    pub(crate) plan: Plan,
    insert: View,
    delete: Option<View>,
}

/// A table, and how its rows are read.
pub(crate) struct TableSource {
    pub(crate) name: String,
    pub(crate) select: Select,
    key: Vec<(String, Codec)>,
    default_ttl_s: Option<i64>,
    /// Bytes of the largest row that was read.
    largest: AtomicUsize,
}

impl RouteSource {
    fn view(&self, plan: &Plan) -> &View {
        self.delete.as_ref().filter(|_| plan.deletes).unwrap_or(&self.insert)
    }

    /// The key of a decoded row of one of the route's plans.
    pub(crate) fn key(&self, plan: &Plan, rows: &Rows, row: usize) -> Key {
        self.view(plan).key(rows, row)
    }
}

impl TableSource {
    /// A row's key, as text.
    pub(crate) fn key_text(&self, key: &Key) -> String {
        let values = self.key.iter().zip(key.values());
        let values: Vec<String> =
            values.map(|((name, codec), value)| format!("{name} {}", codec.show(value))).collect();
        values.join(", ")
    }
}

impl Sources {
    /// Reads the routes, compares them with the live tables, and prepares the reads.
    ///
    /// # Errors
    /// See [`Unready`].
    pub(crate) async fn open(settings: &Settings) -> Result<Self, Unready> {
        let routes = route::load(&settings.consumer.routes)
            .map_err(|problems| Unready::Refused(route::listed(&problems)))?;
        let store = Store::connect(&settings.cassandra).await.map_err(|error| match error {
            ConnectError::Refused(reason) => Unready::Refused(reason),
            ConnectError::Unreachable(reason) => Unready::Away(reason),
        })?;
        let plans = routes::plans(&store, &routes).map_err(|misfit| match misfit {
            Misfit::Store(error) => Unready::Away(error.to_string()),
            misfit => Unready::Refused(misfit.describe()),
        })?;
        Self::of(store, &routes, plans).await
    }

    async fn of(store: Store, routes: &[Route], plans: Vec<Plan>) -> Result<Self, Unready> {
        let names: BTreeSet<String> = plans.iter().map(|plan| plan.table.clone()).collect();
        let mut tables = Vec::new();
        let mut schemas = Vec::new();
        for name in &names {
            let into = || plans.iter().filter(|plan| plan.table == *name);
            let unread = |error| unprepared(name, &error);
            // It was there a moment ago, when the plans were made.
            let gone = || Unready::Away(format!("table {name} has been dropped"));
            let table = store.table(name).ok_or_else(gone)?;
            let columns = || into().flat_map(|plan| &plan.columns);
            let filled: BTreeSet<&str> = columns()
                .filter(|column| column.role == Role::Regular)
                .map(|column| column.name.as_str())
                .collect();
            let filled: Vec<&str> = filled.into_iter().collect();
            let written: Vec<_> = into().map(|plan| plan.consistency).collect();
            let select = store.prepare_select(&table, &filled, &written).await.map_err(unread)?;
            let default_ttl_s = store.default_ttl_s(&table).await.map_err(unread)?;
            let keys = table.columns.iter().filter(|column| column.role != Role::Regular);
            let codec =
                |name: &str| columns().find(|column| column.name == name).map(|column| column.codec.clone());
            let key = keys.filter_map(|key| Some((key.name.clone(), codec(&key.name)?))).collect();
            let largest = AtomicUsize::default();
            tables.push(TableSource { name: name.clone(), select, key, default_ttl_s, largest });
            schemas.push(table);
        }
        let source = |(route, plan): (&Route, Plan)| {
            let table = names.iter().position(|name| *name == plan.table).unwrap_or_default();
            let view = |plan: &Plan| View::of(plan, &schemas[table], tables[table].select.columns());
            RouteSource {
                file: route.file.path.clone(),
                topics: route.topics.clone(),
                table,
                insert: view(&plan),
                delete: plan.delete.as_deref().map(view),
                plan,
            }
        };
        let routes = routes.iter().zip(plans).map(source).collect();
        Ok(Self { routes, tables, store })
    }

    /// What a decoded row of one of the route's plans does to its table.
    pub(crate) fn effect<'a>(
        &self,
        route: usize,
        plan: &Plan,
        rows: &'a Rows,
        row: usize,
        age_s: Option<i64>,
    ) -> Effect<'a> {
        let source = &self.routes[route];
        source.view(plan).effect(plan, rows, row, age_s, self.tables[source.table].default_ttl_s)
    }

    /// How many rows of the table to read in one request: the larger its rows were so far, the fewer.
    pub(crate) fn rows_at_once(&self, table: usize) -> usize {
        rows_at_once(self.tables[table].largest.load(Ordering::Relaxed))
    }

    /// The rows of these keys. An outage of less than a minute is waited out.
    ///
    /// # Errors
    /// Why they cannot be read, in words.
    pub(crate) async fn read(&self, table: usize, keys: &[Key]) -> Result<Found, String> {
        let TableSource { name, select, largest, .. } = &self.tables[table];
        let mut backoff = Backoff::default();
        let began = Instant::now();
        loop {
            match self.store.read(select, keys).await {
                Ok(found) => {
                    largest.fetch_max(found.largest(), Ordering::Relaxed);
                    return Ok(found);
                }
                Err(error) if error.may_pass() && began.elapsed() < PATIENCE => {
                    tokio::time::sleep(backoff.next(rand::random())).await;
                }
                Err(error) => return Err(format!("table {name}: {error}")),
            }
        }
    }
}

// A server may go away between any two questions; what it refuses it will refuse again.
fn unprepared(table: &str, error: &WriteError) -> Unready {
    let why = format!("table {table} cannot be read: {error}");
    if error.may_pass() { Unready::Away(why) } else { Unready::Refused(why) }
}

// So many that one of the largest size each are not too large.
fn rows_at_once(largest: usize) -> usize {
    (READ_BYTES / largest.max(1)).clamp(1, READ_ROWS)
}

/// Seconds since the message's own timestamp.
pub(crate) fn age_s(message: &Message<'_>, now_ms: i64) -> Option<i64> {
    // Where a field tells the WRITETIME, it may be anything.
    message.timestamp_ms.map(|timestamp_ms| now_ms.saturating_sub(timestamp_ms) / 1000)
}

/// The routes of each topic, by its name.
pub(crate) fn by_topic(routes: &[RouteSource]) -> BTreeMap<String, Vec<usize>> {
    let mut by_topic: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (route, source) in routes.iter().enumerate() {
        for topic in &source.topics {
            by_topic.entry(topic.clone()).or_default().push(route);
        }
    }
    by_topic
}

/// The rows of many keys, table by table.
pub(crate) type FoundByTable = HashMap<usize, Found>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_goes_away_before_the_first_row_is_no_matter_of_the_routes() {
        let unready = |error| unprepared("k.t", &error);
        let away = unready(WriteError::Unavailable("connection refused".to_owned()));
        assert!(matches!(away, Unready::Away(why) if why.contains("k.t")));
        let refused = unready(WriteError::Refused("maxwritetime is unknown".to_owned()));
        assert!(matches!(refused, Unready::Refused(_)));
    }

    #[test]
    fn a_timestamp_may_be_any_number() {
        let age = |timestamp_ms| {
            let headers = crate::message::Headers::NONE;
            let message = Message {
                topic: "t",
                partition: 0,
                offset: 0,
                timestamp_ms,
                key: None,
                value: None,
                headers,
            };
            age_s(&message, 5_000)
        };
        assert_eq!([age(Some(3_000)), age(Some(9_000)), age(None)], [Some(2), Some(-4), None]);
        assert_eq!(age(Some(i64::MIN)), Some(i64::MAX / 1000));
    }

    #[test]
    fn large_rows_are_read_few_at_a_time() {
        assert_eq!([0, 500, 100_000, 16 << 20].map(rows_at_once), [READ_ROWS, READ_ROWS, 10, 1]);
    }
}
