//! Where the rows go -> whether it answers, and a connection that the page's questions share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use consumer::settings::Cassandra;
use consumer::store::{ConnectError, Store};
use tokio::sync::{mpsc, watch};

const LOOK_EVERY: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(3);
/// So many questions in a row without an answer: the nodes may have come back at other addresses.
const FAILURES_MAX: u32 = 5;

/// Where the rows are.
#[derive(Debug, Clone)]
pub enum Tables {
    /// In Cassandra.
    Cassandra(Cassandra),
    /// In the CSV files of that folder.
    Files(PathBuf),
}

/// Looks until nobody listens any more. The connection is handed on as soon as there is one, and stays.
pub(crate) async fn watch(
    tables: Tables,
    connected: watch::Sender<Option<Arc<Store>>>,
    told: mpsc::Sender<Result<(), String>>,
) {
    let mut failures = 0;
    while !told.is_closed() {
        let looked = match &tables {
            Tables::Files(folder) => match tokio::fs::read_dir(folder).await {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("the folder {}: {error}", folder.display())),
            },
            Tables::Cassandra(settings) => look(settings, &connected, &mut failures).await,
        };
        if told.send(looked).await.is_err() {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn look(
    settings: &Cassandra,
    connected: &watch::Sender<Option<Arc<Store>>>,
    failures: &mut u32,
) -> Result<(), String> {
    let points = &settings.contact_points;
    let store = connected.borrow().clone();
    let Some(store) = store else {
        let store = tokio::time::timeout(PATIENCE, Store::connect(settings)).await;
        let store = store.map_err(|_| format!("{points}: no connection within {} s", PATIENCE.as_secs()))?;
        let store = store.map_err(|error: ConnectError| error.to_string())?;
        connected.send_replace(Some(Arc::new(store)));
        return Ok(());
    };
    let answer = tokio::time::timeout(PATIENCE, store.version_and_clock()).await;
    let answer = match answer {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("{points}: {error}")),
        Err(_) => Err(format!("{points}: no answer within {} s", PATIENCE.as_secs())),
    };
    *failures = if answer.is_ok() { 0 } else { *failures + 1 };
    if *failures >= FAILURES_MAX {
        *failures = 0;
        drop(tokio::time::timeout(PATIENCE, store.reconnect()).await);
    }
    answer
}
