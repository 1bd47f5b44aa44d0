//! Before the first message: Cassandra answers, the routes fit its tables.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use service::Service;
use tracing::warn;

use crate::route::{Route, listed};
use crate::routes::{Misfit, Target, targets};
use crate::settings::Settings;
use crate::store::{ConnectError, Store};

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
                for warning in store.warnings(&settings.consumer).await {
                    warn!("{warning}");
                }
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
