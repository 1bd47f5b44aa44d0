//! `/health` and `/metrics` of every instance of a service -> what each says of itself.
//!
//! A name may stand for several containers (`docker compose up --scale consumer=3`): all its addresses are asked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use axum::http::Method;
use chrono::{DateTime, Utc};
use futures::future::{join_all, try_join};
use serde::Deserialize;
use service::health::State;
use tokio::net::lookup_host;

use crate::http::Client;
use crate::metrics::Metrics;
use crate::settings::Address;
use crate::snapshot::Part;

const RESOLVE_MAX: Duration = Duration::from_secs(1);

/// What one look at a service found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    /// The instances that answered.
    pub(crate) instances: BTreeMap<SocketAddr, Instance>,
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
    /// Its samples.
    pub(crate) metrics: Metrics,
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

/// Asks all instances at once; takes 3 s at most.
pub(crate) async fn look(client: &Client, address: &Address) -> Look {
    let found = match resolve(address).await {
        Ok(found) => found,
        Err(trouble) => return Look { trouble: Some(trouble), ..Look::default() },
    };
    let mut look = Look::default();
    for (at, answer) in join_all(found.into_iter().map(|at| async move { (at, ask(client, at).await) })).await
    {
        match answer {
            Ok(instance) => drop(look.instances.insert(at, instance)),
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
        let asked = client.ask(Method::POST, &format!("http://{at}/{path}"), None).await;
        let (status, said) = asked.map_err(|error| format!("{} does not answer: {error}", address.at))?;
        if !status.is_success() {
            return Err(format!("{} answers {status}: {}", address.at, said.trim()));
        }
    }
    Ok(())
}

async fn resolve(address: &Address) -> Result<BTreeSet<SocketAddr>, String> {
    match tokio::time::timeout(RESOLVE_MAX, lookup_host(&address.at)).await {
        Ok(Ok(found)) => Ok(found.collect()),
        Ok(Err(error)) => Err(format!("{} is not there: {error}", address.at)),
        Err(_) => Err(format!("{} is not there: no name server answers", address.at)),
    }
}

async fn ask(client: &Client, at: SocketAddr) -> Result<Instance, String> {
    let get = async |path| client.ask(Method::GET, &format!("http://{at}/{path}"), None).await;
    // 503 is what a red service answers: the status says nothing that the report does not.
    let ((_, health), (_, text)) = try_join(get("health"), get("metrics")).await?;
    let report: Report = serde_json::from_str(&health)
        .map_err(|error| format!("/health is not what a service of ours says: {error}"))?;
    let part = |(name, PartReport { state, reason, since })| Part { name, state, reason, since };
    let parts = report.parts.into_iter().map(part).collect();
    let metrics = Metrics::read(&text);
    Ok(Instance { parts, paused: report.paused, metrics })
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
        let client = Client::new();
        let seen = look(&client, &address(at)).await;
        assert_eq!(seen.trouble, None);
        let part = &seen.instances[&at].parts[0];
        let told = (part.name.as_str(), part.state, part.reason.as_str());
        assert_eq!(told, ("kafka", State::Red, "no answer from kafka:19092"));
        assert!((Utc::now() - part.since).num_seconds() < 10);
        assert_eq!(seen.instances[&at].paused, Some(false));
        pause(&client, &address(at), true).await.unwrap();
        assert!(*paused.borrow());
        assert_eq!(look(&client, &address(at)).await.instances[&at].paused, Some(true));
    }

    #[tokio::test]
    async fn a_service_that_is_away_is_told_with_its_address() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let seen = look(&Client::new(), &address(free)).await;
        let trouble = seen.trouble.unwrap();
        assert!(seen.instances.is_empty() && trouble.contains(&free.to_string()), "{trouble}");
        assert!(trouble.contains("refused"), "{trouble}");
    }
}
