//! Before the first message: Cassandra answers, the routes fit its tables.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use service::Service;
use tracing::warn;

use crate::route::{Route, listed};
use crate::routes::{Misfit, Target, targets};
use crate::settings::Settings;
use crate::store::{ConnectError, Store, commit_log};

const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Waits for what may come by itself; `None` when told to stop meanwhile.
///
/// # Errors
/// Wrong credentials, or routes that do not fit.
pub(super) async fn ready(
    settings: &Settings,
    routes: &[Route],
    service: &Service,
) -> anyhow::Result<Option<(Arc<Store>, Vec<Target>)>> {
    let health = &service.health;
    let store = loop {
        match Store::connect(&settings.cassandra).await {
            Ok(store) => break Arc::new(store),
            Err(ConnectError::Refused(reason)) => bail!(reason),
            Err(ConnectError::Unreachable(reason)) => {
                health.red("cassandra", format!("{reason}; next try in 2 s"));
            }
        }
        if service.stops_within(AGAIN_AFTER).await {
            return Ok(None);
        }
    };
    loop {
        match targets(&store, routes).await {
            Ok(targets) => {
                health.green("schema");
                compare(settings, &store.server_settings().await);
                return Ok(Some((store, targets)));
            }
            Err(Misfit::Problems(problems)) => bail!(listed(&problems)),
            Err(misfit) => health.red("schema", format!("{}; looking again every 2 s", misfit.describe())),
        }
        if service.stops_within(AGAIN_AFTER).await {
            return Ok(None);
        }
    }
}

fn compare(settings: &Settings, said: &BTreeMap<String, String>) {
    let ours = settings.consumer.durable_after;
    if let Some(servers) = commit_log::forgets(said).filter(|servers| ours < *servers) {
        warn!(
            durable_after = %humantime::format_duration(ours),
            needed = %humantime::format_duration(servers),
            "consumer.durable_after is shorter than this server's commit log needs: rows that it acknowledged and lost \
             in a crash will not be written again"
        );
    }
    let row_bytes_max = settings.consumer.row_bytes_max;
    if let Some(largest) = commit_log::exceeds(row_bytes_max, said) {
        warn!(
            row_bytes_max,
            max_mutation_size = largest,
            "consumer.row_bytes_max is more than half of this server's max_mutation_size: a row that is too large for its \
             commit log is tried for ever, and its partition waits"
        );
    }
}
