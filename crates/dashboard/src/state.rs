//! The tasks that watch -> what all requests share: the last snapshot, the past, and the way to the servers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::Utc;
use consumer::store::Store;
use secrecy::ExposeSecret;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::history::{History, Past, Range};
use crate::http::Client;
use crate::pipeline::Pipeline;
use crate::story::Story;
use crate::watch::store::Tables;
use crate::watch::{broker, services, store};
use crate::{Snapshot, Sources};

const SNAPSHOT_EVERY: Duration = Duration::from_secs(1);

/// A snapshot, and the same as JSON, written once for all who listen.
pub(crate) struct Told {
    pub(crate) snapshot: Snapshot,
    pub(crate) json: String,
}

impl Told {
    fn of(pipeline: &mut Pipeline) -> Arc<Self> {
        let snapshot = pipeline.snapshot(Instant::now(), Utc::now());
        let json = serde_json::to_string(&snapshot)
            .expect("a snapshot has no map with odd keys and no writer that fails");
        Arc::new(Self { snapshot, json })
    }
}

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) sources: Sources,
    /// The last snapshot.
    pub(crate) told: watch::Receiver<Arc<Told>>,
    /// A connection, where the rows are in Cassandra and it has answered once.
    pub(crate) store: watch::Receiver<Option<Arc<Store>>>,
    /// Asks services.
    pub(crate) client: Client,
    past: Mutex<Past>,
}

impl Shared {
    /// The charts' points.
    pub(crate) fn history(&self, range: Range) -> History {
        locked(&self.past).of(range)
    }
}

/// Begins to watch; all tasks end at `shutdown`.
pub(crate) fn start(sources: Sources, shutdown: &CancellationToken) -> Arc<Shared> {
    let store_name = match sources.tables {
        Tables::Cassandra(_) => "cassandra",
        Tables::Files(_) => "files",
    };
    let control = !sources.dashboard.token.expose_secret().is_empty();
    let mut pipeline =
        Pipeline::new(&sources.dashboard.services, store_name, control, Instant::now(), Utc::now());
    let (snapshots, told) = watch::channel(Told::of(&mut pipeline));
    let (connected, connection) = watch::channel(None);
    let shared = Arc::new(Shared {
        told,
        store: connection,
        client: Client::new(),
        past: Mutex::new(Past::new()),
        sources,
    });
    tokio::spawn(collect(Arc::clone(&shared), pipeline, snapshots, connected, shutdown.clone()));
    shared
}

async fn collect(
    shared: Arc<Shared>,
    mut pipeline: Pipeline,
    snapshots: watch::Sender<Arc<Told>>,
    connected: watch::Sender<Option<Arc<Store>>>,
    shutdown: CancellationToken,
) {
    let (told_services, mut services) = mpsc::channel(1);
    let (told_ends, mut ends) = mpsc::channel(1);
    let (told_store, mut store) = mpsc::channel(1);
    for address in shared.sources.dashboard.services.clone() {
        let (told, client) = (told_services.clone(), shared.client.clone());
        tokio::spawn(async move {
            let mut ticks = interval(SNAPSHOT_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let look = services::look(&client, &address).await;
                if told.send((address.name.clone(), look)).await.is_err() {
                    return;
                }
            }
        });
    }
    let kafka = shared.sources.kafka.clone();
    // Not awaited: it ends when the channel does, a second later, or with the process.
    std::thread::spawn(move || broker::watch(&kafka, &told_ends));
    tokio::spawn(store::watch(shared.sources.tables.clone(), connected, told_store));

    let mut story = Story::new(Utc::now());
    let mut ticks = interval(SNAPSHOT_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            Some((name, look)) = services.recv() => pipeline.looked(&name, look, Instant::now(), Utc::now()),
            Some(looked) = ends.recv() => match looked {
                Ok(found) => {
                    pipeline.broker.answered(Instant::now(), Utc::now());
                    pipeline.published(&found, Instant::now());
                }
                Err(error) => pipeline.broker.failed(error),
            },
            Some(looked) = store.recv() => match looked {
                Ok(()) => pipeline.store.answered(Instant::now(), Utc::now()),
                Err(error) => pipeline.store.failed(error),
            },
            _ = ticks.tick() => {
                let told = Told::of(&mut pipeline);
                locked(&shared.past).push(&told.snapshot);
                // One of the receivers is nobody's.
                story.tell(&told.snapshot, snapshots.receiver_count() - 1);
                snapshots.send_replace(told);
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
