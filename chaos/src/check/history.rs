//! The simulated Wikimedia tells its history again -> the changes that were streamed.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use uuid::Uuid;

use crate::findings::{Broken, Violation};

/// The simulated stream is never silent for so long.
const SILENT_MAX: Duration = Duration::from_secs(30);

/// The ids of all changes from one to another, both included. Canaries are no changes. An end that was never streamed breaks a
/// promise: somebody invented it.
pub(super) async fn between(
    upstream: &str,
    since: SystemTime,
    first: &str,
    last: &str,
) -> Result<BTreeSet<String>> {
    let now = SystemTime::now();
    let since = humantime::format_rfc3339_seconds(since);
    let invented = |id| Broken(Violation::Invented, format!("{id} is on the topic and was never streamed"));
    let address = format!("http://{upstream}/v2/stream/recentchange?since={since}");
    let client = reqwest::Client::builder().user_agent("tributary-chaos").read_timeout(SILENT_MAX).build()?;
    let mut answer =
        client.get(address).header("accept", "application/json").send().await?.error_for_status()?;
    let mut told = BTreeSet::new();
    let (mut lines, mut began) = (Vec::new(), false);
    while let Some(part) = answer.chunk().await? {
        lines.extend_from_slice(&part);
        let whole = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in lines.drain(..whole).collect::<Vec<_>>().split(|byte| *byte == b'\n') {
            let Some((id, at)) = change(line)? else { continue };
            ensure!(at <= now, invented(if began { last } else { first }));
            began |= id == first;
            let is_last = id == last;
            if began {
                told.insert(id);
            }
            if is_last {
                ensure!(began, invented(first));
                return Ok(told);
            }
        }
    }
    bail!("the stream ended before {last}")
}

// The identity of a change and its time, `None` for a canary.
fn change(line: &[u8]) -> Result<Option<(String, SystemTime)>> {
    if line.is_empty() {
        return Ok(None);
    }
    let event: serde_json::Value = serde_json::from_slice(line)?;
    let meta = &event["meta"];
    if meta["domain"] == "canary" {
        return Ok(None);
    }
    let at = humantime::parse_rfc3339(meta["dt"].as_str().context("a change has a time")?)?;
    if let Some(id) = meta["id"].as_str().and_then(|id| Uuid::parse_str(id).ok()) {
        return Ok(Some((id.to_string(), at)));
    }
    let topic = meta["topic"].as_str().context("a change without an id has the upstream's topic")?;
    let place = format!("https://stream.wikimedia.org/{topic}/{}/{}", meta["partition"], meta["offset"]);
    Ok(Some((Uuid::new_v5(&Uuid::NAMESPACE_URL, place.as_bytes()).to_string(), at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_its_id_or_its_place_and_a_canary_is_none() {
        let dt = r#""dt":"2026-11-21T14:00:00.5Z""#;
        let id = |event: &str| change(event.replace("DT", dt).as_bytes()).unwrap().map(|(id, _)| id);
        assert_eq!(id(r#"{"meta":{"domain":"canary","id":"00000000-0000-0000-0000-000000000001"}}"#), None);
        let known = id(r#"{"meta":{DT,"id":"0000000A-0000-0000-0000-000000000001"}}"#);
        assert_eq!(known.as_deref(), Some("0000000a-0000-0000-0000-000000000001"));
        let placed = id(r#"{"meta":{DT,"topic":"eqiad.mediawiki.recentchange","partition":0,"offset":7}}"#);
        assert!(placed.is_some_and(|id| Uuid::parse_str(&id).is_ok()));
        assert!(change(br#"{"meta":{}}"#).is_err());
        let (_, at) =
            change(format!(r#"{{"meta":{{{dt},"id":"{}"}}}}"#, Uuid::nil()).as_bytes()).unwrap().unwrap();
        assert_eq!(humantime::format_rfc3339_millis(at).to_string(), "2026-11-21T14:00:00.500Z");
    }
}
