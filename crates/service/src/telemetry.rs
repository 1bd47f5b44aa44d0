//! Logs to stderr, metrics to `/metrics`.
//!
//! `RUST_LOG` filters (by default a service's own lines from `info` on), `LOG_FORMAT=json` makes each line a JSON object.
//! Control characters are escaped, in messages and in fields: an upstream's words neither begin a line nor paint one.

use std::fmt;
use std::io::IsTerminal;
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::prelude::*;

/// What libraries say of an outage, many times a second, reaches the health once and in words.
const OWN_LINES: &str = "info,scylla=off,scylla_cql=off,librdkafka=off,rdkafka=off";
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

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
        .fmt_fields(fields())
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

/// Writes `name=value` as the formatter's own does, save that no control character of a value gets through: that one
/// lets a line feed pass where a field is shown by `%`.
fn fields() -> impl for<'w> FormatFields<'w> {
    debug_fn(|writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug| {
        match field.name() {
            "message" => {}
            name if writer.has_ansi_escapes() => write!(writer, "\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m")?,
            name => write!(writer, "{name}=")?,
        }
        for character in format!("{value:?}").chars() {
            if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}') {
                write!(writer, "{}", character.escape_default())?;
            } else {
                writer.write_char(character)?;
            }
        }
        Ok(())
    })
    .delimited(" ")
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

/// Folds the histograms' samples until `shutdown`: without that they pile up until somebody asks for `/metrics`.
pub(crate) async fn upkeep(metrics: PrometheusHandle, shutdown: CancellationToken) {
    let mut ticks = interval(UPKEEP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => metrics.run_upkeep(),
            () = shutdown.cancelled() => return,
        }
    }
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
    use std::io::{Read, Seek};
    use std::sync::Arc;

    use tokio::sync::watch;
    use tracing::Level;

    use super::*;
    use crate::{Health, http};

    // What the recorder has folded. Its own text shows it; asking for `/metrics` would fold by itself.
    fn folded(metrics: &PrometheusHandle) -> String {
        let text = format!("{metrics:?}");
        let (_, rest) = text.split_once("distributions: ").unwrap();
        rest.split_once("distribution_builder").unwrap().0.to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn samples_are_folded_though_nobody_asks_for_metrics() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let (handle, shutdown) = (recorder.handle(), CancellationToken::new());
        let record = |times: u32| {
            metrics::with_local_recorder(&recorder, || {
                (0..times).for_each(|_| metrics::histogram!("wait_seconds").record(0.5));
            });
        };
        let settings = http::Settings { bind: ([127, 0, 0, 1], 0).into() };
        let paused = watch::Sender::new(false);
        http::serve(&settings, Health::default(), handle.clone(), paused, shutdown.clone()).await.unwrap();
        for expected in ["count: 10000", "count: 20000", "count: 30000"] {
            record(10_000);
            tokio::time::sleep(2 * UPKEEP_EVERY).await;
            assert!(folded(&handle).contains(expected), "not {expected}: {}", folded(&handle));
        }
        shutdown.cancel();
        tokio::time::sleep(UPKEEP_EVERY).await;
        record(10_000);
        tokio::time::sleep(2 * UPKEEP_EVERY).await;
        assert!(folded(&handle).contains("count: 30000"), "it ends with the service");
    }

    #[test]
    fn words_of_an_upstream_neither_begin_a_line_nor_paint_it() {
        for ansi in [false, true] {
            let written = Arc::new(tempfile::tempfile().unwrap());
            let lines = tracing_subscriber::fmt::layer()
                .with_writer(Arc::clone(&written))
                .with_ansi(ansi)
                .fmt_fields(fields())
                .with_target(false);
            tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
                let error = "the stream says error: no\n2026-01-01T00:00:00Z  INFO all is \x1b[32mwell\r\u{9b}\u{2028}";
                tracing::warn!(%error, said = error, "upstream {error}");
            });
            let mut text = String::new();
            (&*written).rewind().unwrap();
            (&*written).read_to_string(&mut text).unwrap();
            assert_eq!(text.lines().count(), 1, "{text:?}");
            let odd = |character: char| character.is_control() && character != '\n' && character != '\x1b';
            assert!(
                !text.contains(odd) && !text.contains('\u{2028}') && !text.contains("\x1b[32m"),
                "{text:?}"
            );
            assert_eq!(text.matches(r"error: no\n2026").count(), 3, "{text:?}");
            assert!(ansi || text.contains(" error=the stream says error: no"), "{text:?}");
            assert!(ansi || text.contains(" said=\"the stream says error: no"), "{text:?}");
        }
    }

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
