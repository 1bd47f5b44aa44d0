//! `/health` and `/metrics` of every instance of a service -> what each says of itself.
//!
//! A name may stand for several containers (`docker compose up --scale consumer=3`): all its addresses are asked, but those of
//! IPv6 only where none of IPv4 answers, since one process may listen at both.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
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
    /// What each instance said, or why it said nothing.
    pub(crate) instances: BTreeMap<SocketAddr, Result<Instance, String>>,
    /// Why none of them answers.
    pub(crate) trouble: Option<String>,
}

impl Look {
    /// The instances that answered.
    pub(crate) fn answered(&self) -> impl Iterator<Item = (&SocketAddr, &Instance)> + Clone {
        self.instances.iter().filter_map(|(at, said)| Some((at, said.as_ref().ok()?)))
    }
}

/// What one instance says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    /// Its parts.
    pub(crate) parts: Vec<Part>,
    /// Whether it is paused; `None` where it cannot be.
    pub(crate) paused: Option<bool>,
    /// Its samples.
    pub(crate) metrics: Arc<Metrics>,
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

/// Asks all instances at once; takes 3 s at most, and 2 s more where addresses of both families are silent.
pub(crate) async fn look(client: &Client, address: &Address) -> Look {
    let found = match resolve(address).await {
        Ok(found) => found,
        Err(trouble) => return Look { trouble: Some(trouble), ..Look::default() },
    };
    let instances = of_all(found, |at| ask(client, at)).await;
    let trouble = none_answers(address, &instances);
    Look { instances, trouble }
}

/// Asks all instances to pause, or to go on: each is asked, whatever the others say.
///
/// # Errors
/// Those that did not, and why.
pub(crate) async fn pause(client: &Client, address: &Address, pause: bool) -> Result<(), String> {
    let path = if pause { "pause" } else { "resume" };
    let post =
        |at: SocketAddr| async move { client.ask(Method::POST, &format!("http://{at}/{path}"), None).await };
    let answers = of_all(resolve(address).await?, post).await;
    if let Some(trouble) = none_answers(address, &answers) {
        return Err(trouble);
    }
    let refused = answers.iter().filter_map(|(at, answer)| match answer {
        Ok((status, _)) if status.is_success() => None,
        Ok((status, said)) => Some(format!("{at} answers {status}: {}", said.trim())),
        Err(error) => Some(format!("{at} does not answer: {error}")),
    });
    let refused: Vec<String> = refused.collect();
    if refused.is_empty() {
        return Ok(());
    }
    let (some, all) = (refused.len(), answers.len());
    Err(format!("{some} of {all} instances did not: {}", refused.join(", ")))
}

// What each instance answers, all asked at once.
async fn of_all<T, A: Future<Output = Result<T, String>>>(
    found: BTreeSet<SocketAddr>,
    ask: impl Fn(SocketAddr) -> A,
) -> BTreeMap<SocketAddr, Result<T, String>> {
    let (first, second): (BTreeSet<_>, BTreeSet<_>) = found.into_iter().partition(SocketAddr::is_ipv4);
    let answers = all(first, &ask).await;
    if second.is_empty() || answers.values().any(Result::is_ok) {
        return answers;
    }
    // It may listen at the other family's address only.
    let others = all(second, &ask).await;
    if answers.is_empty() || others.values().any(Result::is_ok) { others } else { answers }
}

async fn all<T, A: Future<Output = Result<T, String>>>(
    found: BTreeSet<SocketAddr>,
    ask: &impl Fn(SocketAddr) -> A,
) -> BTreeMap<SocketAddr, Result<T, String>> {
    let answers = join_all(found.iter().map(|at| ask(*at))).await;
    found.into_iter().zip(answers).collect()
}

fn none_answers<T>(address: &Address, answers: &BTreeMap<SocketAddr, Result<T, String>>) -> Option<String> {
    let mut errors = answers.values().map(|answer| answer.as_ref().err());
    let first = errors.next().flatten()?;
    errors.all(|error| error.is_some()).then(|| format!("{} does not answer: {first}", address.at))
}

async fn resolve(address: &Address) -> Result<BTreeSet<SocketAddr>, String> {
    let found: BTreeSet<SocketAddr> = match tokio::time::timeout(RESOLVE_MAX, lookup_host(&address.at)).await
    {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => return Err(format!("{} is not there: {error}", address.at)),
        Err(_) => return Err(format!("{} is not there: no name server answers", address.at)),
    };
    if found.is_empty() {
        return Err(format!("{} is not there: its name has no address", address.at));
    }
    Ok(found)
}

async fn ask(client: &Client, at: SocketAddr) -> Result<Instance, String> {
    let get = async |path| client.ask(Method::GET, &format!("http://{at}/{path}"), None).await;
    // 503 is what a red service answers: the status says nothing that the report does not.
    let ((_, health), (_, text)) = try_join(get("health"), get("metrics")).await?;
    let report: Report = serde_json::from_str(&health)
        .map_err(|error| format!("/health is not what a service of ours says: {error}"))?;
    let part = |(name, PartReport { state, reason, since })| Part { name, state, reason, since };
    let parts = report.parts.into_iter().map(part).collect();
    let metrics = Arc::new(Metrics::read(&text));
    Ok(Instance { parts, paused: report.paused, metrics })
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use service::Health;
    use tokio::sync::watch;
    use tokio_util::sync::CancellationToken;

    use super::*;

    fn address(at: &str) -> Address {
        Address { name: "weather".to_owned(), at: at.to_owned() }
    }

    // A service of ours, and whether it is paused.
    async fn serve() -> (SocketAddr, Health, watch::Receiver<bool>) {
        let settings = service::http::Settings { bind: ([127, 0, 0, 1], 0).into() };
        let (health, pause) = (Health::default(), watch::Sender::new(false));
        let (paused, metrics) = (pause.subscribe(), service::telemetry::metrics());
        let stop = CancellationToken::new();
        let at = service::http::serve(&settings, health.clone(), metrics, pause, stop).await.unwrap();
        (at, health, paused)
    }

    #[tokio::test]
    async fn a_service_of_ours_tells_its_parts_and_is_paused_and_resumed() {
        let (at, health, paused) = serve().await;
        health.red("kafka", "no answer from kafka:19092");
        let client = Client::new();
        let seen = look(&client, &address(&at.to_string())).await;
        assert_eq!(seen.trouble, None);
        let instance = seen.instances[&at].as_ref().unwrap();
        let part = &instance.parts[0];
        let told = (part.name.as_str(), part.state, part.reason.as_str());
        assert_eq!(told, ("kafka", State::Red, "no answer from kafka:19092"));
        assert!((Utc::now() - part.since).num_seconds() < 10);
        assert_eq!(instance.paused, Some(false));
        pause(&client, &address(&at.to_string()), true).await.unwrap();
        assert!(*paused.borrow());
        let seen = look(&client, &address(&at.to_string())).await;
        assert_eq!(seen.instances[&at].as_ref().unwrap().paused, Some(true));
    }

    #[tokio::test]
    async fn one_process_is_one_instance_whatever_families_its_name_has() {
        let (four, six) = (SocketAddr::from(([127, 0, 0, 1], 1)), SocketAddr::from(([0_u16; 8], 1)));
        for (named, listens, expected) in [
            (vec![four, six], vec![four], four),
            (vec![four, six], vec![six], six),
            (vec![four, six], vec![four, six], four),
            (vec![six], vec![six], six),
            (vec![six], vec![], six),
            (vec![four, six], vec![], four),
        ] {
            let said = |at| if listens.contains(&at) { Ok(()) } else { Err("refused".to_owned()) };
            let answers = of_all(named.iter().copied().collect(), |at| ready(said(at))).await;
            assert_eq!(answers, BTreeMap::from([(expected, said(expected))]), "{named:?} {listens:?}");
        }
    }

    #[test]
    fn who_does_not_answer_is_told_beside_those_who_do() {
        let address = address("weather:8080");
        let answers = |said: [Result<(), &str>; 2]| {
            let at = |host: u8| SocketAddr::from(([10, 0, 0, host], 8080));
            (1_u8..).map(at).zip(said.map(|said| said.map_err(str::to_owned))).collect::<BTreeMap<_, _>>()
        };
        assert_eq!(none_answers(&address, &answers([Err("refused"), Ok(())])), None);
        let none = none_answers(&address, &answers([Err("refused"), Err("no route")]));
        assert_eq!(none.as_deref(), Some("weather:8080 does not answer: refused"));
    }

    #[tokio::test]
    async fn a_service_that_is_away_is_told_with_its_address() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let seen = look(&Client::new(), &address(&free.to_string())).await;
        let trouble = seen.trouble.clone().unwrap();
        assert!(seen.answered().next().is_none() && trouble.contains(&free.to_string()), "{trouble}");
        assert!(trouble.contains("refused"), "{trouble}");
    }
}
