//! `/health` and `/metrics` of every instance of a service -> how it does, and its samples.
//!
//! A name may stand for several containers (`docker compose up --scale consumer=3`): all its addresses are asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Method, Request, StatusCode, Uri};
use chrono::{DateTime, Utc};
use futures::future::join_all;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use service::health::State;
use service::telemetry::chain;
use tokio::net::lookup_host;

use crate::metrics::Metrics;
use crate::settings::Address;
use crate::snapshot::Part;

const PATIENCE: Duration = Duration::from_secs(2);
/// What no health report exceeds, and no page of metrics.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Asks services; keeps its connections.
pub(crate) type Client = legacy::Client<HttpConnector, Empty<Bytes>>;

/// A client of plain HTTP.
pub(crate) fn client() -> Client {
    legacy::Client::builder(TokioExecutor::new()).build_http()
}

/// What one look at a service found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    /// The instances that answered.
    pub(crate) instances: Vec<Instance>,
    /// Their samples.
    pub(crate) metrics: Metrics,
    /// Why there is an instance that did not, or none at all.
    pub(crate) trouble: Option<String>,
}

/// What one instance says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    /// Its parts.
    pub(crate) parts: Vec<Part>,
    /// Whether it is paused; `None` where it cannot be.
    pub(crate) paused: Option<bool>,
}

#[derive(Deserialize)]
struct Report {
    parts: BTreeMap<String, PartReport>,
    #[serde(default)]
    paused: Option<bool>,
}

#[derive(Deserialize)]
struct PartReport {
    state: State,
    reason: String,
    since: DateTime<Utc>,
}

/// Asks all instances at once; takes 2 s at most.
pub(crate) async fn look(client: &Client, address: &Address) -> Look {
    let mut look = Look::default();
    let found = match resolve(address).await {
        Ok(found) => found,
        Err(trouble) => return Look { trouble: Some(trouble), ..look },
    };
    for answer in join_all(found.iter().map(|at| ask(client, *at))).await {
        match answer {
            Ok((instance, metrics)) => {
                look.instances.push(instance);
                look.metrics.read(&metrics);
            }
            Err(error) => look.trouble = Some(format!("{} does not answer: {error}", address.at)),
        }
    }
    look
}

/// Asks all instances to pause, or to go on.
///
/// # Errors
/// One did not, and why.
pub(crate) async fn pause(client: &Client, address: &Address, pause: bool) -> Result<(), String> {
    let path = if pause { "pause" } else { "resume" };
    for at in resolve(address).await? {
        let asked = ask_for(client, at, &Method::POST, path).await;
        let (status, said) = asked.map_err(|error| format!("{} does not answer: {error}", address.at))?;
        if !status.is_success() {
            return Err(format!("{} answers {status}: {}", address.at, said.trim()));
        }
    }
    Ok(())
}

async fn resolve(address: &Address) -> Result<BTreeSet<SocketAddr>, String> {
    let found = tokio::time::timeout(PATIENCE, lookup_host(&address.at)).await;
    let found: BTreeSet<SocketAddr> = match found {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => return Err(format!("{} is not there: {error}", address.at)),
        Err(_) => {
            return Err(format!("{} is not there: no answer to the question for its address", address.at));
        }
    };
    if found.is_empty() { Err(format!("{} has no address", address.at)) } else { Ok(found) }
}

async fn ask(client: &Client, at: SocketAddr) -> Result<(Instance, String), String> {
    // 503 is what a red service answers: the status says nothing that the report does not.
    let get = |path| ask_for(client, at, &Method::GET, path);
    let ((_, health), (_, metrics)) = futures::future::try_join(get("health"), get("metrics")).await?;
    let report: Report = serde_json::from_str(&health)
        .map_err(|error| format!("/health is not what a service of ours says: {error}"))?;
    let part = |(name, PartReport { state, reason, since })| Part { name, state, reason, since };
    let parts = report.parts.into_iter().map(part).collect();
    Ok((Instance { parts, paused: report.paused }, metrics))
}

async fn ask_for(
    client: &Client,
    at: SocketAddr,
    method: &Method,
    path: &str,
) -> Result<(StatusCode, String), String> {
    let uri: Uri = format!("http://{at}/{path}").parse().map_err(|odd| format!("{odd}"))?;
    let request = Request::builder().method(method).uri(uri).body(Empty::new()).map_err(|odd| chain(&odd))?;
    let asked = async {
        let answer = client.request(request).await.map_err(|error| chain(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| format!("/{path}: {error}"))?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    let asked = tokio::time::timeout(PATIENCE, asked).await;
    asked.unwrap_or_else(|_| Err(format!("within {} s", PATIENCE.as_secs())))
}

#[cfg(test)]
mod tests {
    use service::Health;
    use tokio::sync::watch;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn address(at: SocketAddr) -> Address {
        Address { name: "weather".to_owned(), at: at.to_string() }
    }

    #[tokio::test]
    async fn a_service_of_ours_tells_its_parts_and_is_paused_and_resumed() {
        let settings = service::http::Settings { bind: ([127, 0, 0, 1], 0).into() };
        let (health, pause_sender) = (Health::default(), watch::Sender::new(false));
        let paused = pause_sender.subscribe();
        let metrics = service::telemetry::metrics();
        let stop = CancellationToken::new();
        let at = service::http::serve(&settings, health.clone(), metrics, pause_sender, stop).await.unwrap();
        health.red("kafka", "no answer from kafka:19092");
        let client = client();
        let seen = look(&client, &address(at)).await;
        assert_eq!(seen.trouble, None);
        let part = &seen.instances[0].parts[0];
        assert_eq!(
            (part.name.as_str(), part.state, part.reason.as_str()),
            ("kafka", State::Red, "no answer from kafka:19092")
        );
        assert!((Utc::now() - part.since).num_seconds() < 10);
        assert_eq!(seen.instances[0].paused, Some(false));
        pause(&client, &address(at), true).await.unwrap();
        assert!(*paused.borrow());
        assert_eq!(look(&client, &address(at)).await.instances[0].paused, Some(true));
    }

    #[tokio::test]
    async fn a_service_that_is_away_is_told_with_its_address() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let seen = look(&client(), &address(free)).await;
        let trouble = seen.trouble.unwrap();
        assert!(seen.instances.is_empty() && trouble.contains(&free.to_string()), "{trouble}");
        assert!(trouble.contains("refused"), "{trouble}");
    }
}
