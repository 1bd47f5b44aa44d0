//! The dashboard, where the settings seek it -> whether it answers, and which services it sees in trouble.

use dashboard::Snapshot;
use dashboard::client::{Client, ClientError};
use service::health::State;

use super::finding::Finding;

/// What the dashboard at this URL says.
pub(super) struct Seen {
    url: String,
    answer: Result<Snapshot, ClientError>,
}

/// Asks it.
pub(super) async fn observe(url: &str) -> Seen {
    Seen { url: url.to_owned(), answer: Client::new(url).snapshot().await }
}

impl Seen {
    /// Whether it is ours, and answers.
    pub(super) fn answers(&self) -> bool {
        self.answer.is_ok()
    }

    /// One finding, and one for each service that does not work.
    pub(super) fn judge(&self) -> Vec<Finding> {
        let what = format!("dashboard {}", self.url);
        let snapshot = match &self.answer {
            Ok(snapshot) => snapshot,
            Err(ClientError::Unavailable { why, .. }) => {
                return vec![Finding::warning(
                    what,
                    format!("does not answer: {why}"),
                    "run docker compose up -d dashboard, or set dashboard.url to where it is",
                )];
            }
            Err(ClientError::Refused(why)) => {
                let remedy = "set dashboard.url to where the dashboard is";
                return vec![Finding::warning(what, format!("another program answers: {why}"), remedy)];
            }
        };
        let mut findings = vec![Finding::ok(what, "answers")];
        for service in snapshot.services.iter().filter(|service| service.state == State::Red) {
            findings.push(Finding::wrong(
                format!("service {}", service.name),
                format!("does not work: {}", service.reason),
                format!("look at its log: docker compose logs {}", service.name),
            ));
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State as Is;
    use super::*;

    fn snapshot() -> Snapshot {
        serde_json::from_value(serde_json::json!({
            "at": "2026-11-22T00:00:00Z", "started_at": "2026-11-22T00:00:00Z", "version": "0.1.0",
            "control": false, "streams": [],
            "services": [service("kafka", "green"), service("faker", "red")],
        }))
        .unwrap()
    }

    fn service(name: &str, state: &str) -> serde_json::Value {
        serde_json::json!({
            "name": name, "role": "producer", "instances": 1, "state": state, "reason": "kafka is away",
            "since": "2026-11-22T00:00:00Z", "parts": [], "can_pause": false, "paused": false,
        })
    }

    #[test]
    fn who_does_not_work_is_named_and_a_dashboard_that_is_away_is_no_fault() {
        let seen = |answer| Seen { url: "http://127.0.0.1:9000".to_owned(), answer };
        let findings = seen(Ok(snapshot())).judge();
        assert_eq!((findings.len(), findings[0].state), (2, Is::Ok), "{findings:?}");
        assert_eq!((findings[1].state, findings[1].what.as_str()), (Is::Wrong, "service faker"));
        assert!(findings[1].says.contains("kafka is away"), "{findings:?}");
        let away = ClientError::Unavailable { url: String::new(), why: "connection refused".to_owned() };
        let stranger = ClientError::Refused("404".to_owned());
        for (error, remedy) in [(away, "docker compose up -d dashboard"), (stranger, "dashboard.url")] {
            let findings = seen(Err(error)).judge();
            assert_eq!((findings.len(), findings[0].state), (1, Is::Warning), "{findings:?}");
            assert!(findings[0].remedy.contains(remedy), "{findings:?}");
        }
    }
}
