//! Logs to stderr, metrics to `/metrics`.
//!
//! `RUST_LOG` filters (by default a service's own lines from `info` on), `LOG_FORMAT=json` makes each line a JSON object. Control and ANSI
//! characters in fields are escaped by the formatter.

use std::io::IsTerminal;
use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// What libraries say of an outage, many times a second, reaches the health once and in words.
const OWN_LINES: &str = "info,scylla=off,scylla_cql=off,librdkafka=off,rdkafka=off";

/// Installs a service's log writer; later calls change nothing.
pub fn init() {
    init_with(OWN_LINES);
}

/// [`init`] with another filter where `RUST_LOG` sets none: a command talks to a person, not to a log.
pub fn init_with(default_filter: &str) {
    // Compose passes an empty variable where none is set.
    let asked = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
    let (filter, refused) = filter(asked.as_deref(), default_filter);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_target(false);
    let subscriber = tracing_subscriber::registry().with(filter);
    // Fails only when a subscriber is there already, which then stays.
    let _ = if std::env::var("LOG_FORMAT").is_ok_and(|format| format == "json") {
        subscriber.with(lines.json().flatten_event(true)).try_init()
    } else {
        subscriber.with(lines).try_init()
    };
    if let Some(reason) = refused {
        tracing::warn!(
            reason,
            "RUST_LOG is not understood, the default is used; write e.g. info,consumer=debug"
        );
    }
}

// What was asked for; where it cannot be read, the default and the reason.
fn filter(asked: Option<&str>, default: &str) -> (Targets, Option<String>) {
    let own = || default.parse().expect("the default filters are constants that parse");
    match asked.map(str::parse) {
        None => (own(), None),
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (own(), Some(error.to_string())),
    }
}

/// The process's metrics recorder, installed at the first call.
pub fn metrics() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new().build_recorder();
            let handle = recorder.handle();
            // Fails only when another recorder is installed; then this one stays empty.
            let _ = metrics::set_global_recorder(recorder);
            handle
        })
        .clone()
}

/// The whole chain of an error in one line, as the log field `error` shows it.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some libraries repeat their source in their own message.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn rust_log_replaces_the_default_and_nonsense_does_not() {
        let (default, refused) = filter(None, OWN_LINES);
        assert!(
            default.would_enable("consumer", &Level::INFO) && !default.would_enable("scylla", &Level::ERROR)
        );
        assert_eq!(refused, None);
        let (asked, refused) = filter(Some("warn,consumer=debug"), OWN_LINES);
        assert!(asked.would_enable("consumer", &Level::DEBUG) && !asked.would_enable("hyper", &Level::INFO));
        assert_eq!(refused, None);
        let (kept, refused) = filter(Some("consumer=loud"), OWN_LINES);
        assert_eq!(kept, default);
        assert!(refused.is_some());
    }
}
