//! The service's own port: `GET /health`, `GET /metrics`, and where the service can pause, `POST /pause` and
//! `POST /resume`; and the client of `/health` that container health checks run.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Router;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json};
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::health::{Health, Report, State};
use crate::telemetry;

/// Section `[http]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where `/health` and `/metrics` are served; port 0 takes any free port.
    pub bind: SocketAddr,
}

impl Default for Settings {
    fn default() -> Self {
        Self { bind: SocketAddr::from(([127, 0, 0, 1], 8080)) }
    }
}

#[derive(Clone)]
struct App {
    health: Health,
    metrics: PrometheusHandle,
    paused: watch::Sender<bool>,
}

/// What `GET /health` answers.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    report: Report,
    /// Whether an operator has paused the service; null where it has no loop that could pause.
    paused: Option<bool>,
}

/// Serves and keeps the metrics until `shutdown`; answers pause and resume by sending to `paused`. Returns where it serves.
///
/// # Errors
/// The address cannot be bound.
pub async fn serve(
    settings: &Settings,
    health: Health,
    metrics: PrometheusHandle,
    paused: watch::Sender<bool>,
    shutdown: CancellationToken,
) -> anyhow::Result<SocketAddr> {
    let bind = settings.bind;
    let listener = TcpListener::bind(bind)
        .await
        .with_context(|| format!("bind {bind}; http.bind names another address"))?;
    let address = listener.local_addr()?;
    tracing::debug!(%address, "serving health and metrics");
    let app = Router::new()
        .route("/health", get(report))
        .route("/metrics", get(|app: Shared<App>| async move { app.metrics.render() }))
        .route(
            "/pause",
            post(|app: Shared<App>, from: HeaderMap| async move { set_paused(&app, &from, true) }),
        )
        .route(
            "/resume",
            post(|app: Shared<App>, from: HeaderMap| async move { set_paused(&app, &from, false) }),
        )
        .with_state(App { health, metrics: metrics.clone(), paused });
    tokio::spawn(telemetry::upkeep(metrics, shutdown.clone()));
    tokio::spawn(async move {
        let served = axum::serve(listener, app).with_graceful_shutdown(shutdown.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "health endpoint ended");
        }
    });
    Ok(address)
}

async fn report(Shared(app): Shared<App>) -> impl IntoResponse {
    let report = app.health.report();
    let status = if report.state == State::Red { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let paused = (app.paused.receiver_count() > 0).then(|| *app.paused.borrow());
    (status, Json(Answer { report, paused }))
}

fn set_paused(app: &App, from: &HeaderMap, paused: bool) -> (StatusCode, &'static str) {
    // Browsers add these to whatever a page posts, from any site to any port of this machine; no tool does.
    if from.contains_key(header::ORIGIN) || from.contains_key("sec-fetch-site") {
        return (StatusCode::FORBIDDEN, "not from a web page; use a command such as curl -X POST\n");
    }
    // No receiver: this service has no loop that could pause.
    if app.paused.send(paused).is_err() {
        return (StatusCode::NOT_FOUND, "this service cannot be paused\n");
    }
    (StatusCode::OK, if paused { "paused\n" } else { "running\n" })
}

/// Asks the service at `bind` how it is: `Ok` with its report when it answers 200.
///
/// # Errors
/// Nobody answers within 3 s, or the answer is not 200; the body is part of the message.
pub async fn check(bind: SocketAddr) -> anyhow::Result<String> {
    let host = if bind.ip().is_unspecified() { "127.0.0.1".to_owned() } else { bind.ip().to_string() };
    let address = format!("{host}:{}", bind.port());
    let ask = async {
        let mut stream = TcpStream::connect(&address).await.with_context(|| format!("connect {address}"))?;
        stream.write_all(b"GET /health HTTP/1.0\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let answer = tokio::time::timeout(Duration::from_secs(3), ask)
        .await
        .with_context(|| format!("no answer from {address} within 3 s"))??;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split(' ').nth(1) != Some("200") {
        bail!("{} {body}", head.lines().next().unwrap_or("no answer"));
    }
    Ok(body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Service;

    async fn started(health: &Health, paused: watch::Sender<bool>) -> SocketAddr {
        let settings = Settings { bind: ([127, 0, 0, 1], 0).into() };
        serve(&settings, health.clone(), telemetry::metrics(), paused, CancellationToken::new())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn health_check_passes_only_while_no_part_is_red() {
        let health = Health::default();
        let address = started(&health, watch::Sender::new(false)).await;
        health.green("kafka");
        assert!(check(address).await.unwrap().contains("green"));
        health.red("kafka", "broker unreachable");
        let error = check(address).await.unwrap_err().to_string();
        assert!(error.contains("503") && error.contains("broker unreachable"), "{error}");
    }

    async fn post(address: SocketAddr, path: &str) -> String {
        post_with(address, path, "").await
    }

    async fn post_with(address: SocketAddr, path: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("POST {path} HTTP/1.0\r\n{headers}\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn pause_reaches_a_loop_and_is_404_where_none_listens() {
        let service = Service {
            command: None,
            health: Health::default(),
            shutdown: CancellationToken::new(),
            pause: watch::Sender::new(false),
        };
        let address = started(&service.health, service.pause.clone()).await;
        let answer = post(address, "/pause").await;
        assert!(answer.starts_with("HTTP/1.0 404") && answer.contains("cannot be paused"), "{answer}");
        service.health.green("producer");
        assert!(check(address).await.unwrap().contains(r#""paused":null"#));
        let paused = service.paused();
        assert!(post(address, "/pause").await.starts_with("HTTP/1.0 200"));
        assert!(*paused.borrow());
        assert!(check(address).await.unwrap().contains(r#""paused":true"#));
        assert!(post(address, "/resume").await.starts_with("HTTP/1.0 200"));
        assert!(!*paused.borrow());
    }

    #[tokio::test]
    async fn web_page_can_neither_pause_nor_resume() {
        let pause = watch::Sender::new(false);
        let paused = pause.subscribe();
        let address = started(&Health::default(), pause.clone()).await;
        for before in [false, true] {
            pause.send(before).unwrap();
            for path in ["/pause", "/resume"] {
                for header in ["Origin: https://example.com", "Origin: null", "Sec-Fetch-Site: cross-site"] {
                    let answer = post_with(address, path, &format!("{header}\r\n")).await;
                    assert!(answer.starts_with("HTTP/1.0 403") && answer.contains("curl"), "{answer}");
                    assert_eq!(*paused.borrow(), before, "{header}");
                }
            }
        }
    }

    #[tokio::test]
    async fn health_check_names_the_address_that_does_not_answer() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = format!("{:#}", check(free).await.unwrap_err());
        assert!(error.contains(&free.to_string()), "{error}");
    }
}
