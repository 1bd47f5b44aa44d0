//! Rows -> Cassandra: one session, prepared inserts and deletes, unlogged batches, and what each error means.
//!
//! The driver does not retry: it gives up on a plan of one node and never retries a write timeout. Retrying is the
//! caller's (`write`), which knows that every insert is idempotent.

pub mod commit_log;
mod error;
mod metadata;
mod read;
mod sample;
pub(crate) mod server;
mod tls;
mod values;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::load_balancing::{NodeIdentifier, SingleTargetLoadBalancingPolicy};
use scylla::policies::retry::FallthroughRetryPolicy;
use scylla::statement::Consistency;
use scylla::statement::batch::{Batch as CqlBatch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::unprepared::Statement;
use scylla::value::CqlTimestamp;
use secrecy::ExposeSecret;
use uuid::Uuid;

pub use error::{ConnectError, WriteError};
pub use read::{Found, FoundRow, Select, Selected};

use crate::horizon::Answer;
use crate::hosts::Hosts;
use crate::plan::Plan;
use crate::replicas::Replicas;
use crate::route;
use crate::rows::Rows;
use crate::schema::Table;
use crate::settings::Cassandra;
use values::AllRows;

/// The table that probes write to; `cassandra/keyspaces.cql` creates it.
pub const PROBE_TABLE: &str = "tributary.durability_probe";

/// A connection to a Cassandra cluster.
#[derive(Debug)]
pub struct Store {
    settings: Cassandra,
    session: RwLock<Arc<Session>>,
}

/// An insert or a delete, prepared, as batches of every size that was needed so far.
pub struct Insert {
    prepared: PreparedStatement,
    consistency: Consistency,
    deletes: bool,
    batches: RwLock<BTreeMap<usize, Arc<CqlBatch>>>,
}

impl Store {
    /// Connects and reads the schema.
    ///
    /// # Errors
    /// [`ConnectError::Refused`] needs an operator; the other may pass by itself.
    pub async fn connect(settings: &Cassandra) -> Result<Self, ConnectError> {
        let session = RwLock::new(Arc::new(open(settings).await?));
        Ok(Self { settings: settings.clone(), session })
    }

    /// Replaces the session, and with it every resolved address: the nodes may have come back elsewhere.
    ///
    /// # Errors
    /// As [`Store::connect`]; the old session stays.
    pub async fn reconnect(&self) -> Result<(), ConnectError> {
        let session = Arc::new(open(&self.settings).await?);
        *self.session.write().unwrap_or_else(PoisonError::into_inner) = session;
        Ok(())
    }

    /// The table as the cluster describes it, after [`Store::refresh`] or at the connection; `None` if it is missing.
    pub fn table(&self, name: &str) -> Option<Table> {
        metadata::table(&self.session().get_cluster_state(), name)
    }

    /// All tables, for naming the nearest.
    pub fn table_names(&self) -> Vec<String> {
        metadata::table_names(&self.session().get_cluster_state())
    }

    /// How the rows of that table are grouped by their nodes, as the cluster is known now.
    pub fn replicas(&self, table: &str) -> Replicas {
        Replicas::of(&self.session().get_cluster_state(), table)
    }

    /// Reads the schema again.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub async fn refresh(&self) -> Result<(), WriteError> {
        let refreshed = self.session().refresh_metadata().await;
        refreshed.map_err(|error| WriteError::Unavailable(service::telemetry::chain(&error)))
    }

    /// Prepares the plan's statement.
    ///
    /// # Errors
    /// As for a write.
    pub async fn prepare(&self, plan: &Plan) -> Result<Insert, WriteError> {
        let mut prepared = self
            .session()
            .prepare(plan.statement.as_str())
            .await
            .map_err(|error| error::of_prepare(&error))?;
        let consistency = consistency(plan.consistency);
        prepared.set_is_idempotent(true);
        prepared.set_consistency(consistency);
        Ok(Insert { prepared, consistency, deletes: plan.deletes, batches: RwLock::new(BTreeMap::new()) })
    }

    /// Writes all rows, as one unlogged batch where there is more than one.
    ///
    /// # Errors
    /// [`WriteError::Unavailable`]: try again. [`WriteError::Refused`]: one of the rows cannot be written, or the
    /// table has changed.
    pub async fn write(&self, insert: &Insert, rows: &Rows) -> Result<(), WriteError> {
        let session = self.session();
        let values = AllRows { rows, writetime_first: insert.deletes };
        let outcome = if rows.len() == 1 {
            session.execute_unpaged(&insert.prepared, values).await
        } else {
            session.batch(&insert.batch(rows.len()), values).await
        };
        outcome.map(drop).map_err(|error| error::of_execution(&error))
    }

    /// The version of the schema that all nodes know that can be asked; `None` while they differ.
    pub async fn schema_version(&self) -> Option<Uuid> {
        self.session().check_schema_agreement().await.ok().flatten()
    }

    /// Writes one row, to see whether the cluster takes any.
    ///
    /// # Errors
    /// As for [`Store::write`].
    pub async fn write_probe(
        &self,
        writer: &str,
        now_ms: i64,
        with: route::Consistency,
    ) -> Result<(), WriteError> {
        let mut row = Statement::new(format!("INSERT INTO {PROBE_TABLE} (writer, sent_at) VALUES (?, ?)"));
        row.set_is_idempotent(true);
        row.set_consistency(consistency(with));
        let written = self.session().query_unpaged(row, (writer, CqlTimestamp(now_ms))).await;
        written.map(drop).map_err(|error| error::of_execution(&error))
    }

    /// The nodes of the cluster, as they were known at the connection or since.
    pub fn hosts(&self) -> Hosts {
        self.session().get_cluster_state().get_nodes_info().iter().map(|node| node.host_id).collect()
    }

    /// Asks every node: writes one row, then reads the node's identity and generation.
    ///
    /// # Errors
    /// The write of the probe row failed.
    pub async fn probe(&self, writer: &str, now_ms: i64) -> Result<Answer, WriteError> {
        self.write_probe(writer, now_ms, route::Consistency::LocalQuorum).await?;
        let session = self.session();
        let state = session.get_cluster_state();
        let mut answer = Answer::new();
        for node in state.get_nodes_info() {
            let generation = generation(&session, node.host_id).await;
            // The node at that address tells who it is now; metadata may be older.
            match generation {
                Some((host, generation)) => answer.insert(host, Some(generation)),
                None => answer.insert(node.host_id, None),
            };
        }
        Ok(answer)
    }

    fn session(&self) -> Arc<Session> {
        Arc::clone(&self.session.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Insert {
    // A batch is a list of statements: made once per size, then shared.
    fn batch(&self, rows: usize) -> Arc<CqlBatch> {
        if let Some(batch) = self.batches.read().unwrap_or_else(PoisonError::into_inner).get(&rows) {
            return Arc::clone(batch);
        }
        let mut batch = CqlBatch::new(BatchType::Unlogged);
        batch.set_is_idempotent(true);
        batch.set_consistency(self.consistency);
        for _ in 0..rows {
            batch.append_statement(self.prepared.clone());
        }
        let batch = Arc::new(batch);
        let mut batches = self.batches.write().unwrap_or_else(PoisonError::into_inner);
        batches.insert(rows, Arc::clone(&batch));
        batch
    }
}

fn consistency(of_route: route::Consistency) -> Consistency {
    match of_route {
        route::Consistency::One => Consistency::One,
        route::Consistency::LocalOne => Consistency::LocalOne,
        route::Consistency::Two => Consistency::Two,
        route::Consistency::Three => Consistency::Three,
        route::Consistency::Quorum => Consistency::Quorum,
        route::Consistency::LocalQuorum => Consistency::LocalQuorum,
        route::Consistency::EachQuorum => Consistency::EachQuorum,
        route::Consistency::All => Consistency::All,
    }
}

async fn open(settings: &Cassandra) -> Result<Session, ConnectError> {
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .request_timeout(Some(settings.request_timeout))
        .retry_policy(Arc::new(FallthroughRetryPolicy::new()))
        .build();
    let mut builder = SessionBuilder::new()
        .known_nodes(settings.contact_points.split(',').map(str::trim))
        .default_execution_profile_handle(profile.into_handle())
        .connection_timeout(Duration::from_secs(5))
        .keepalive_interval(Duration::from_secs(5))
        .keepalive_timeout(Duration::from_secs(5))
        .tcp_nodelay(true)
        // How long the driver gathers announced changes of the schema before it reads those keyspaces again.
        .cluster_metadata_refresh_interval(Duration::from_secs(1));
    if !settings.username.is_empty() {
        builder = builder.user(&settings.username, settings.password.expose_secret());
    }
    let refusal = tls::Refusal::default();
    let builder = tls::secured(builder, settings, &refusal).map_err(ConnectError::Refused)?;
    builder.build().await.map_err(|error| match refusal.reason() {
        Some(reason) => error::of_certificate(&reason, settings),
        None => error::of_connect(&error, settings),
    })
}

async fn generation(session: &Session, host: Uuid) -> Option<(Uuid, i32)> {
    let mut question = Statement::new("SELECT host_id, gossip_generation FROM system.local");
    question.set_load_balancing_policy(Some(SingleTargetLoadBalancingPolicy::new(
        NodeIdentifier::HostId(host),
        None,
    )));
    question.set_consistency(Consistency::One);
    question.set_request_timeout(Some(Duration::from_secs(2)));
    let answer = session.query_unpaged(question, ()).await.ok()?;
    answer.into_rows_result().ok()?.single_row().ok()
}
