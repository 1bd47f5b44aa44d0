//! Cassandra -> whether it is there, lets this user in, and is one that rows are safe in.

use std::collections::BTreeMap;
use std::time::Duration;

use consumer::settings::{Cassandra, Consumer};
use consumer::store::{ConnectError, Store, commit_log};
use tokio::time::timeout;

use super::address::{Address, LIMIT, Reach};
use super::clocks::{self, Clock};
use super::finding::{Finding, parted};
use super::server::CASSANDRA;
use super::wire::Question;

const PORT: u16 = 9042;
/// How long a session may take: several connections, and the schema.
const SESSION_LIMIT: Duration = Duration::from_secs(5);
const VERSION_MIN: u32 = 4;

/// What was seen of it.
#[derive(Default)]
pub(super) struct Seen {
    /// Addresses that are none, and why.
    unreadable: Vec<String>,
    reached: Vec<(Address, Reach)>,
    session: Option<Result<Store, ConnectError>>,
    /// Its version, and its clock.
    node: Option<Result<(String, Clock), String>>,
    settings: BTreeMap<String, String>,
    disks: BTreeMap<String, String>,
}

/// Looks: at the addresses, then by a session. Without settings there is nothing to look at.
pub(super) async fn observe(settings: Option<&Cassandra>) -> Option<Seen> {
    let settings = settings?;
    let mut seen = Seen::default();
    let mut addresses = Vec::new();
    for address in Address::all(&settings.contact_points, PORT) {
        match address {
            Ok(address) => addresses.push(address),
            Err(why) => seen.unreadable.push(why),
        }
    }
    let question = if settings.ca.as_os_str().is_empty() { Question::Cql } else { Question::Connect };
    seen.reached = Address::reach_all(addresses, question).await;
    if !CASSANDRA.answers(&seen.reached) {
        return Some(seen);
    }
    let session = timeout(SESSION_LIMIT, Store::connect(settings)).await.unwrap_or_else(|_| {
        Err(ConnectError::Unreachable(format!("the session was not ready within {SESSION_LIMIT:?}")))
    });
    if let Ok(store) = &session {
        let (node, said, disks) = tokio::join!(
            timeout(LIMIT, node(store)),
            timeout(LIMIT, store.server_settings()),
            timeout(LIMIT, store.disk_usage())
        );
        seen.node = Some(node.unwrap_or_else(|_| Err(format!("no answer within {LIMIT:?}"))));
        seen.settings = said.unwrap_or_default();
        seen.disks = disks.unwrap_or_default();
    }
    seen.session = Some(session);
    Some(seen)
}

async fn node(store: &Store) -> Result<(String, Clock), String> {
    let before_ms = clocks::now_ms();
    let (version, their_ms) = store.version_and_clock().await.map_err(|error| error.to_string())?;
    Ok((version, Clock { before_ms, their_ms, after_ms: clocks::now_ms() }))
}

impl Seen {
    /// What is wrong; `consumer` are its settings, where they can be used.
    pub(super) fn judge(&self, consumer: Option<&Consumer>) -> Vec<Finding> {
        let mut findings: Vec<Finding> =
            self.unreadable.iter().map(|why| CASSANDRA.unreadable(why)).collect();
        findings.extend(CASSANDRA.judge(&self.reached));
        match &self.session {
            None => findings.push(Finding::not_checked("cassandra session", "no node can be reached")),
            Some(Ok(_)) => findings.push(Finding::ok("cassandra session", "is let in")),
            Some(Err(error)) => findings.push(shut_out(error)),
        }
        match &self.node {
            None => {}
            Some(Ok((version, clock))) => findings.extend([judge_version(version), clocks::judge(clock)]),
            Some(Err(why)) => {
                findings.push(Finding::not_checked("cassandra's version and clock", why.as_str()));
            }
        }
        if let (Some(Ok(_)), Some(consumer)) = (&self.session, consumer) {
            findings.extend(judge_commit_log(consumer, &self.settings));
        }
        findings.extend(self.disks.iter().filter_map(|(node, usage)| judge_disk(node, usage)));
        findings
    }

    /// What the server says of its settings; empty where it does not.
    pub(super) fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }

    /// The session that can ask for more; or why there is none.
    pub(super) fn store(&self) -> Result<&Store, String> {
        match &self.session {
            Some(Ok(store)) => Ok(store),
            Some(Err(_)) => Err("cassandra does not let this user in, or does not answer".to_owned()),
            None => Err("cassandra cannot be reached".to_owned()),
        }
    }
}

fn shut_out(error: &ConnectError) -> Finding {
    let (says, remedy) = parted(&error.to_string());
    let or = |usual: &str| remedy.unwrap_or_else(|| usual.to_owned());
    match error {
        ConnectError::Refused(_) => {
            Finding::wrong("cassandra session", says, or("look at section [cassandra]"))
        }
        ConnectError::Unreachable(_) => {
            Finding::wrong("cassandra session", says, or("look at its log (docker compose logs cassandra)"))
        }
    }
}

fn judge_version(version: &str) -> Finding {
    let what = "cassandra's version";
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= VERSION_MIN => Finding::ok(what, version),
        Some(_) => Finding::warning(
            what,
            format!("{version} is older than {VERSION_MIN}.0"),
            "use Cassandra 4.0 or newer (5.0 is what the tests run on): older ones are not tested",
        ),
        None => Finding::warning(what, format!("{version:?} is unknown"), "use Cassandra 4.0 or newer"),
    }
}

// What the server keeps in memory only, and for how long, is its own setting.
fn judge_commit_log(consumer: &Consumer, said: &BTreeMap<String, String>) -> Vec<Finding> {
    let what = "cassandra's commit log";
    if !said.contains_key("commitlog_sync") {
        let why = "the role may not read system_views.settings, or the server has none; consumer.durable_after must be \
                   1.5 times its commitlog_sync_period and a second";
        return vec![Finding::not_checked(what, why)];
    }
    let warnings = commit_log::warnings(consumer, said);
    if warnings.is_empty() {
        return vec![Finding::ok(what, "consumer.durable_after and consumer.row_bytes_max suit it")];
    }
    let finding = |warning: &String| {
        let (says, remedy) = parted(warning);
        Finding::warning(what, says, remedy.unwrap_or_default())
    };
    warnings.iter().map(finding).collect()
}

fn judge_disk(node: &str, usage: &str) -> Option<Finding> {
    let what = format!("cassandra's disk at {node}");
    let remedy = "free space there, or add a node";
    match usage {
        "FULL" => Some(Finding::wrong(what, "full by its own guardrail: it refuses writes", remedy)),
        "STUFFED" => Some(Finding::warning(what, "nearly full by its own guardrail", remedy)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn versions_below_4_and_unknown_ones_are_warned_of() {
        let state = |version: &str| judge_version(version).state;
        assert_eq!(["4.0", "4.1.3", "5.0-rc1", "5.0.8", "10.1"].map(state), [State::Ok; 5]);
        assert_eq!(["3.11.19", "3.0.8", "2.2", "", "trunk"].map(state), [State::Warning; 5]);
        assert!(judge_version("3.11.19").says.contains("3.11.19 is older than 4.0"));
    }

    #[test]
    fn a_refused_user_is_told_with_the_settings_to_look_at() {
        let refused =
            ConnectError::Refused("refuses user \"a\": bad; set cassandra.username and password".to_owned());
        let finding = shut_out(&refused);
        assert_eq!((finding.state, finding.says.as_str()), (State::Wrong, "refuses user \"a\": bad"));
        assert_eq!(finding.remedy, "set cassandra.username and password");
        let away = shut_out(&ConnectError::Unreachable("does not answer".to_owned()));
        assert!(away.remedy.contains("docker compose logs cassandra"), "{away:?}");
    }

    #[test]
    fn rows_that_the_commit_log_may_forget_are_warned_of() {
        let said = |sync: &str, period: &str| {
            [("commitlog_sync", sync), ("commitlog_sync_period", period)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into()
        };
        let ours = |seconds| Consumer { durable_after: Duration::from_secs(seconds), ..Consumer::default() };
        let states =
            |seconds, said: &BTreeMap<String, String>| judge_commit_log(&ours(seconds), said)[0].state;
        assert_eq!(states(16, &said("periodic", "10000ms")), State::Ok);
        assert_eq!(states(15, &said("periodic", "10000ms")), State::Warning);
        assert_eq!(states(0, &said("batch", "10000ms")), State::Ok);
        assert_eq!(states(1, &BTreeMap::new()), State::NotChecked);
        let finding = judge_commit_log(&ours(15), &said("periodic", "10s")).remove(0);
        assert!(
            finding.says.contains("consumer.durable_after is 15s") && finding.says.contains("16s"),
            "{finding:?}"
        );
        assert_eq!(finding.remedy, "set it to that");
    }

    #[test]
    fn what_the_nodes_say_of_their_disks_is_passed_on() {
        let state = |usage: &str| judge_disk("127.0.0.1", usage).map(|finding| finding.state);
        assert_eq!(state("FULL"), Some(State::Wrong));
        assert_eq!(state("STUFFED"), Some(State::Warning));
        assert_eq!([state("SPACIOUS"), state("NOT_AVAILABLE")], [None, None]);
    }
}
