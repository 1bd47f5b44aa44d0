//! The page, its data, and the one thing that it can do: pause a producer and let it go on.

mod assets;
mod control;
mod guard;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use futures::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::Sources;
use crate::browse::cached::Cached;
use crate::browse::{BrowseError, letters, pictures, records, tables, topics};
use crate::history::Range;
use crate::state::Shared;

const LIMIT: usize = 100;
const LIMIT_MAX: usize = 500;

/// Pages that are told each snapshot: each holds a connection, and the last snapshot until it has read it.
const VIEWERS_MAX: usize = 256;
/// When one more may ask again, as the page does.
const VIEWER_RETRY_S: u64 = 4;

/// How long a viewer who does not read may keep the process at its end.
const DRAIN_MAX: Duration = Duration::from_secs(3);

#[derive(Clone)]
struct App {
    shared: Arc<Shared>,
    answers: Arc<Answers>,
    viewers: Arc<Semaphore>,
    shutdown: CancellationToken,
}

impl App {
    fn new(shared: Arc<Shared>, shutdown: CancellationToken) -> Self {
        Self { shared, answers: Arc::default(), viewers: Arc::new(Semaphore::new(VIEWERS_MAX)), shutdown }
    }
}

/// What many viewers ask for again and again.
#[derive(Default)]
struct Answers {
    topics: Cached,
    letters: Cached,
    pictures: Cached,
}

/// Serves until `shutdown`.
///
/// # Errors
/// The listener fails.
pub(crate) async fn serve(
    listener: TcpListener,
    shared: Arc<Shared>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let app = App::new(shared, shutdown.clone());
    let served =
        axum::serve(listener, router(app)).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let deadline = async {
        shutdown.cancelled().await;
        tokio::time::sleep(DRAIN_MAX).await;
    };
    tokio::select! {
        served = served => Ok(served?),
        () = deadline => Ok(()),
    }
}

fn router(app: App) -> Router {
    Router::new()
        .route("/", get(|| async { assets::answer("index.html") }))
        .route("/assets/{*path}", get(|Path(path): Path<String>| async move { assets::answer(&path) }))
        .route("/api/snapshot", get(snapshot))
        .route("/api/events", get(events))
        .route("/api/history", get(history))
        .route("/api/topics", get(all_topics))
        .route("/api/topics/{topic}/records", get(newest_records))
        .route("/api/tables", get(all_tables))
        .route("/api/tables/{table}/rows", get(rows))
        .route("/api/dead-letters", get(dead_letters))
        .route("/api/pictures", get(drawn))
        .route("/api/services/{name}/pause", post(control::pause))
        .route("/api/services/{name}/resume", post(control::resume))
        .layer(middleware::from_fn_with_state(app.clone(), guard::check))
        .with_state(app)
}

async fn snapshot(State(app): State<App>) -> impl IntoResponse {
    let text = app.shared.told.borrow().json.clone();
    ([(header::CONTENT_TYPE, "application/json")], text)
}

async fn events(State(app): State<App>) -> Response {
    let Ok(place) = Arc::clone(&app.viewers).try_acquire_owned() else {
        let error = format!("{VIEWERS_MAX} pages are told already, and no more can be: close one");
        let retry = [(header::RETRY_AFTER, VIEWER_RETRY_S.to_string())];
        return (StatusCode::SERVICE_UNAVAILABLE, retry, Json(json!({ "error": error }))).into_response();
    };
    let mut snapshots = app.shared.told.clone();
    // The first at once.
    snapshots.mark_changed();
    let events = stream::unfold((snapshots, place), |(mut snapshots, place)| async move {
        snapshots.changed().await.ok()?;
        let told = Arc::clone(&snapshots.borrow_and_update());
        let event = Event::default().event("snapshot").data(&told.json);
        Some((Ok::<_, Infallible>(event), (snapshots, place)))
    });
    let events = events.take_until(app.shutdown.cancelled_owned());
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

#[derive(Deserialize)]
struct Of {
    range: Range,
}

async fn history(State(app): State<App>, Query(of): Query<Of>) -> impl IntoResponse {
    Json(app.shared.history(of.range))
}

async fn all_topics(State(app): State<App>) -> Response {
    let Sources { kafka, group, .. } = app.shared.sources.clone();
    kept(app.answers.topics.get(async move { topics::overview(&kafka, group).await }).await)
}

#[derive(Deserialize)]
struct Search {
    #[serde(default)]
    search: String,
    limit: Option<usize>,
}

impl Search {
    // What is sought, in lower case, and how much of it.
    fn terms(self) -> (String, usize) {
        (self.search.trim().to_lowercase(), self.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX))
    }
}

async fn newest_records(
    State(app): State<App>,
    Path(topic): Path<String>,
    Query(search): Query<Search>,
) -> Response {
    let (search, limit) = search.terms();
    answer(records::newest(&app.shared.sources.kafka, topic, search, limit).await)
}

#[derive(Serialize)]
struct TableOf {
    name: String,
    streams: Vec<String>,
}

async fn all_tables(State(app): State<App>) -> Response {
    Json(tables_of(&app)).into_response()
}

// Those that the streams go into: no other is anybody's business here.
fn tables_of(app: &App) -> Vec<TableOf> {
    let told = Arc::clone(&app.shared.told.borrow());
    let mut found: Vec<TableOf> = Vec::new();
    for stream in &told.snapshot.streams {
        for name in &stream.tables {
            match found.iter_mut().find(|table| table.name == *name) {
                Some(table) => table.streams.push(stream.name.clone()),
                None => found.push(TableOf { name: name.clone(), streams: vec![stream.name.clone()] }),
            }
        }
    }
    found
}

async fn rows(State(app): State<App>, Path(table): Path<String>, Query(search): Query<Search>) -> Response {
    let (search, limit) = search.terms();
    let known = tables_of(&app).iter().any(|known| known.name == table);
    if !known {
        return answer::<()>(Err(BrowseError::Unknown(format!("no route leads to a table {table}"))));
    }
    let store = app.shared.store.borrow().clone();
    answer(tables::rows(&app.shared.sources.tables, store, table, search, limit).await)
}

async fn dead_letters(State(app): State<App>) -> Response {
    let Sources { kafka, group, .. } = app.shared.sources.clone();
    kept(app.answers.letters.get(async move { letters::of_group(&kafka, group).await }).await)
}

async fn drawn(State(app): State<App>) -> Response {
    let Sources { kafka, .. } = app.shared.sources.clone();
    kept(app.answers.pictures.get(async move { pictures::draw(&kafka).await }).await)
}

fn kept(json: Result<Bytes, BrowseError>) -> Response {
    match json {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => answer::<()>(Err(error)),
    }
}

fn answer<T: Serialize>(found: Result<T, BrowseError>) -> Response {
    match found {
        Ok(found) => Json(found).into_response(),
        Err(error) => {
            let status = match error {
                BrowseError::Unknown(_) => StatusCode::NOT_FOUND,
                BrowseError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            (status, Json(json!({ "error": error.to_string() }))).into_response()
        }
    }
}

#[cfg(test)]
mod tests;
