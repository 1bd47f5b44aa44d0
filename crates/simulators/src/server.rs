//! A listener -> the router of all simulated upstreams and of the control endpoints, until the shutdown.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::extract::{Json, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::Utc;
use service::Health;
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::app::App;
use crate::faults::{Fault, Script};
use crate::{Clock, Settings, bodies, companies, faults, random_user, recent_change, refusals, weather};

const SUMMARY_EVERY: Duration = Duration::from_secs(10);
const DRAIN_MAX: Duration = Duration::from_secs(3);

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
    // As the services tell theirs: the dashboard asks all alike.
    let health = Health::default();
    health.green("upstreams");
    let control = Router::new()
        .route("/health", get(|| async move { Json(health.report()) }))
        .route("/metrics", get(|| async { "" }))
        .route("/faults", get(list_faults).post(add_fault).delete(clear_faults))
        .route("/requests", get(list_requests).delete(clear_requests));
    control.merge(upstreams).with_state(Arc::clone(app))
}

async fn list_faults(State(app): State<Arc<App>>) -> Json<Vec<Script>> {
    Json(app.faults.list())
}

async fn add_fault(State(app): State<Arc<App>>, Json(script): Json<Script>) -> Response {
    let Script { path, fault, count, .. } = script.clone();
    match app.faults.add(script) {
        Ok(()) => {
            info!(path, ?fault, count, "fault scripted");
            Json(app.faults.list()).into_response()
        }
        Err(reason) => (StatusCode::BAD_REQUEST, format!("{reason}\n")).into_response(),
    }
}

async fn clear_faults(State(app): State<Arc<App>>) -> StatusCode {
    app.faults.clear();
    info!("faults cleared");
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
    let script = app.faults.take_for_request(&path);
    let fault = script.as_ref().map(|script| script.fault);
    let response = match script {
        Some(script) => {
            app.journal.faults.fetch_add(1, Ordering::Relaxed);
            // A request that is never answered is noted when it comes.
            if script.fault == Fault::Stalled {
                app.journal.note(at, &path, &query, 0, fault);
                app.shutdown.cancelled().await;
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
            let served = next.run(request);
            strike(&script, served).await
        }
        None => next.run(request).await,
    };
    app.journal.note(at, &path, &query, response.status().as_u16(), fault);
    response
}

async fn strike(script: &Script, served: impl Future<Output = Response>) -> Response {
    let mut response = match script.fault {
        Fault::RateLimited => refusals::rate_limited(&script.path),
        Fault::ServerError => refusals::server_error(&script.path),
        Fault::RefusedKey => refusals::refused(&script.path),
        Fault::ProxyPage => refusals::proxy_page(),
        Fault::Redirected => refusals::redirected(),
        Fault::HugeBody => bodies::huge(),
        Fault::Truncated => bodies::truncated(served.await).await,
        Fault::Malformed => bodies::malformed(served.await).await,
        Fault::Slow => bodies::slow(served.await).await,
        // These strike open streams and unanswered requests, not bodies.
        Fault::MidEventEof | Fault::EndlessLine | Fault::RetryZero | Fault::Switched | Fault::Stalled => {
            served.await
        }
    };
    if let Some(seconds) = script.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
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
        let [weather, random_user, companies, wikipedia, others] =
            std::array::from_fn(|place| now.requests[place] - before.requests[place]);
        info!(
            weather,
            random_user,
            companies,
            wikipedia,
            others,
            events = now.events - before.events,
            faults = now.faults - before.faults,
            "requests answered"
        );
        before = now;
    }
}
