//! One Kafka and one Cassandra for all tests of a process, started when the first test asks; or those that the
//! environment names.

use std::env;
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Cassandra, Kafka, Options, StartError};

/// Names a running broker for [`shared`], `host:port`.
pub const KAFKA_VARIABLE: &str = "TRIBUTARY_TEST_KAFKA";
/// Names a running node with authentication for [`shared`], `host:port`.
pub const CASSANDRA_VARIABLE: &str = "TRIBUTARY_TEST_CASSANDRA";

/// Servers that tests share. A test that kills a server starts one of its own.
#[derive(Debug)]
pub struct Shared {
    /// The broker.
    pub kafka: Kafka,
    /// The node, with authentication.
    pub cassandra: Cassandra,
}

/// The process's own pair of servers. They end with the process.
///
/// # Panics
/// When they cannot be started, with the reason.
#[track_caller]
pub fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let named = |variable: &str| env::var(variable).ok().filter(|value| !value.is_empty());
        match (named(KAFKA_VARIABLE), named(CASSANDRA_VARIABLE)) {
            (Some(kafka), Some(cassandra)) => {
                Shared { kafka: Kafka::elsewhere(&kafka), cassandra: Cassandra::elsewhere(&cassandra, true) }
            }
            (None, None) => {
                let started = pair(Options::default(), Options::default().authentication(true));
                let (kafka, cassandra) = started.unwrap_or_else(|error| panic!("{error}"));
                Shared { kafka, cassandra }
            }
            _ => panic!("set both {KAFKA_VARIABLE} and {CASSANDRA_VARIABLE}, or neither"),
        }
    })
}

/// Starts a broker and a node of one's own, both at once.
///
/// # Errors
/// Of the first that did not start.
pub fn pair(kafka: Options, cassandra: Options) -> Result<(Kafka, Cassandra), StartError> {
    thread::scope(|scope| {
        let kafka = scope.spawn(|| Kafka::start(kafka));
        let cassandra = Cassandra::start(cassandra);
        let kafka = kafka.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((kafka?, cassandra?))
    })
}

/// A name that no other test has, on servers that outlive many runs too: `prefix_...`, of letters, digits and
/// underscores, fit for a topic and for a keyspace if `prefix` is at most 20 letters.
#[must_use]
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}_{:x}_{:x}_{next}", since.as_millis() & 0xff_ffff_ffff, process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unique_names_differ_and_fit_a_keyspace() {
        let (first, second) = (unique("twenty_letters_long_"), unique("twenty_letters_long_"));
        assert_ne!(first, second);
        for name in [first, second] {
            assert!(name.len() <= 48, "{name}");
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{name}");
        }
    }
}
