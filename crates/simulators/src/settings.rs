//! Section `[simulator]` of the configuration -> where and how the simulated upstreams answer.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

/// How the simulators behave. Every field has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where the binary listens; the library takes a listener instead.
    pub bind: SocketAddr,
    /// Equal seeds serve equal records.
    pub seed: u64,
    /// Events per second of the Wikimedia stream. 0 is a stream of heartbeats alone.
    pub wikipedia_per_s: u32,
    /// How far back the stream can resume; an older position silently starts at the end, as upstream.
    #[serde(with = "humantime_serde")]
    pub wikipedia_retention: Duration,
    /// After this long the server ends a connection; about 15 minutes upstream.
    #[serde(with = "humantime_serde")]
    pub wikipedia_session: Duration,
    /// A comment line is sent when nothing else was for this long.
    #[serde(with = "humantime_serde")]
    pub wikipedia_heartbeat: Duration,
    /// Concurrent streams that one client address may hold; the next is answered 429.
    pub wikipedia_connections: usize,
    /// Enforce the providers' own request limits: 60 weather calls a minute and key, 20,000 users per 5 minutes,
    /// 30 fakerapi calls a minute and path. Off by default, so that pollers may run at any speed.
    pub limits: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 8090)),
            seed: 1,
            wikipedia_per_s: 25,
            wikipedia_retention: Duration::from_secs(60 * 60),
            wikipedia_session: Duration::from_secs(15 * 60),
            wikipedia_heartbeat: Duration::from_secs(15),
            wikipedia_connections: 16,
            limits: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_durations_and_refuse_unknown_keys() {
        let settings: Settings =
            serde_json::from_str(r#"{"bind": "0.0.0.0:9", "wikipedia_session": "2m", "limits": true}"#)
                .unwrap();
        assert_eq!(settings.bind.port(), 9);
        assert_eq!(settings.wikipedia_session, Duration::from_secs(120));
        assert_eq!(settings.seed, 1);
        let refusal = serde_json::from_str::<Settings>(r#"{"sed": 1}"#).unwrap_err().to_string();
        assert!(refusal.contains("unknown field `sed`"), "{refusal}");
    }
}
