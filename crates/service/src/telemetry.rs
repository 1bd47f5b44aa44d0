//! Logs to stderr, metrics to `/metrics`.
//!
//! `RUST_LOG` filters (by default a service's own lines from `info` on), `LOG_FORMAT=json` makes each line a JSON object. Control and ANSI
//! characters in fields are escaped by the formatter.

use std::io::IsTerminal;
use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// What libraries say of an outage, many times a second, reaches the health once and in words.
const OWN_LINES: &str = "info,scylla=off,scylla_cql=off,librdkafka=off,rdkafka=off";

/// Installs a service's log writer; later calls change nothing.
pub fn init() {
    init_with(OWN_LINES);
}

/// [`init`] with another filter where `RUST_LOG` sets none: a command talks to a person, not to a log.
pub fn init_with(default_filter: &str) {
    // Compose passes an empty variable where none is set.
    let asked = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|filter| !filter.is_empty());
    let filter = EnvFilter::new(asked.as_deref().unwrap_or(default_filter));
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_target(false);
    let json = std::env::var("LOG_FORMAT").is_ok_and(|format| format == "json");
    // Fails only when a subscriber is there already, which then stays.
    let _ = if json { logs.json().flatten_event(true).try_init() } else { logs.try_init() };
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
