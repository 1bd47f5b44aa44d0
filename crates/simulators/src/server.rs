//! A listener -> the router of all simulated upstreams and of the control endpoints, until the shutdown.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Json, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::Utc;
use futures::{StreamExt, stream};
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::app::App;
use crate::faults::{Fault, Script};
use crate::{Clock, Settings, companies, faults, random_user, recent_change, refusals, weather};

const SUMMARY_EVERY: Duration = Duration::from_secs(10);
const DRAIN_MAX: Duration = Duration::from_secs(3);
const BODY_BYTES_MAX: usize = 64 << 20;

/// Serves every simulated upstream on the machine's clock until `shutdown`.
///
/// # Errors
/// The listener fails.
pub async fn serve(listener: TcpListener, settings: Settings, shutdown: CancellationToken) -> io::Result<()> {
    serve_at(listener, settings, Arc::new(Utc::now), shutdown).await
}

/// [`serve`] on a clock of the caller's: equal seeds and times give equal bodies.
///
/// # Errors
/// The listener fails.
pub async fn serve_at(
    listener: TcpListener,
    settings: Settings,
    clock: Clock,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let app = App::new(settings, clock, shutdown.clone());
    let router = router(&app).into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let deadline = async {
        shutdown.cancelled().await;
        sleep(DRAIN_MAX).await;
    };
    tokio::select! {
        served = server => served,
        () = deadline => Ok(()),
        () = summarise(&app) => Ok(()),
    }
}

fn router(app: &Arc<App>) -> Router {
    let upstreams = Router::new()
        .route(faults::WEATHER, get(weather::answer))
        .route("/api/{version}", get(random_user::answer))
        .route("/api/{version}/", get(random_user::answer))
        .route("/api/{version}/{resource}", get(companies::answer))
        .route("/v2/stream/{streams}", get(recent_change::answer))
        .fallback(|| async { refusals::answer(StatusCode::NOT_FOUND, refusals::TEXT, "Not Found\n") })
        .layer(from_fn_with_state(Arc::clone(app), observe));
    let control = Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .route("/faults", get(list_faults).post(add_fault).delete(clear_faults))
        .route("/requests", get(list_requests).delete(clear_requests));
    control.merge(upstreams).with_state(Arc::clone(app))
}

async fn list_faults(State(app): State<Arc<App>>) -> Json<Vec<Script>> {
    Json(app.faults.list())
}

async fn add_fault(State(app): State<Arc<App>>, Json(script): Json<Script>) -> Response {
    match app.faults.add(script) {
        Ok(()) => Json(app.faults.list()).into_response(),
        Err(reason) => (StatusCode::BAD_REQUEST, format!("{reason}\n")).into_response(),
    }
}

async fn clear_faults(State(app): State<Arc<App>>) -> StatusCode {
    app.faults.clear();
    StatusCode::NO_CONTENT
}

async fn list_requests(State(app): State<Arc<App>>) -> Response {
    Json(app.journal.report()).into_response()
}

async fn clear_requests(State(app): State<Arc<App>>) -> StatusCode {
    app.journal.clear();
    StatusCode::NO_CONTENT
}

/// Lets a scripted fault answer in the handler's place, and notes the outcome.
async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let at = app.now();
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let response = match app.faults.take_for_request(&path) {
        Some(script) => {
            app.journal.faults.fetch_add(1, Ordering::Relaxed);
            // A request that is never answered is noted when it comes.
            if script.fault == Fault::Stalled {
                app.journal.note(at, &path, &query, 0);
                app.shutdown.cancelled().await;
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
            let served = next.run(request);
            strike(&script, served).await
        }
        None => next.run(request).await,
    };
    app.journal.note(at, &path, &query, response.status().as_u16());
    response
}

async fn strike(script: &Script, served: impl Future<Output = Response>) -> Response {
    let mut response = match script.fault {
        Fault::RateLimited => refusals::rate_limited(&script.path),
        Fault::ServerError => refusals::server_error(&script.path),
        Fault::RefusedKey => refusals::refused(&script.path),
        Fault::ProxyPage => refusals::proxy_page(),
        Fault::Truncated => cut(served.await, true).await,
        Fault::Malformed => cut(served.await, false).await,
        // These strike open streams and unanswered requests, not bodies.
        Fault::MidEventEof | Fault::Stalled => served.await,
    };
    if let Some(seconds) = script.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Half of the body: with the length of the whole and a lost connection, or as if it were all.
async fn cut(response: Response, lose_connection: bool) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(whole) = to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let half = whole.slice(..whole.len() / 2);
    if !lose_connection {
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::from(half));
    }
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    Response::from_parts(parts, Body::from_stream(stream::iter([Ok(half)]).chain(lost())))
}

/// A body's end by a lost connection, late enough that what came before it has left.
pub(crate) fn lost() -> impl futures::Stream<Item = io::Result<Bytes>> {
    stream::once(async {
        sleep(Duration::from_millis(20)).await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    })
}

/// One line every ten seconds; never returns.
async fn summarise(app: &App) {
    let mut ticks = interval(SUMMARY_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut before = app.journal.totals();
    loop {
        ticks.tick().await;
        let now = app.journal.totals();
        info!(
            requests = now.requests - before.requests,
            events = now.events - before.events,
            faults = now.faults - before.faults,
            "served"
        );
        before = now;
    }
}
