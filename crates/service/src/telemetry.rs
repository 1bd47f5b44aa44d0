//! Logs to stderr, metrics to `/metrics`.
//!
//! `RUST_LOG` filters (by default a service's own lines from `info` on), `LOG_FORMAT=json` makes each line a JSON object, a
//! panic's too. What steers a terminal is escaped, in messages and in fields: an upstream's words neither begin a line nor
//! paint one.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::field::Field;
use tracing::level_filters::LevelFilter;
use tracing::{error, warn};
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::prelude::*;

use crate::words::{in_json, shown};

/// Whose lines are the service's own. Of libraries only errors are told.
const OWN: [&str; 7] =
    ["consumer", "dashboard", "datasets", "producers", "service", "simulators", "tributary"];
/// What these say of an outage, many times a second, reaches the health once and in words.
const SILENT: [&str; 4] = ["scylla", "scylla_cql", "librdkafka", "rdkafka"];
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Installs a service's log writer; later calls change nothing.
pub fn init() {
    init_with(LevelFilter::INFO);
}

/// [`init`] with another level where `RUST_LOG` sets none: a command talks to a person, not to a log.
pub fn init_with(own: LevelFilter) {
    // Compose passes an empty variable where none is set.
    let asked = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (filter, refused) = filter(asked("RUST_LOG").as_deref(), own);
    let format = asked("LOG_FORMAT").unwrap_or_else(|| "text".to_owned());
    // A line that nobody reads is no reason to end: it would be told by `eprintln!`, which panics then.
    let lines = tracing_subscriber::fmt::layer().log_internal_errors(false);
    let subscriber = tracing_subscriber::registry().with(filter);
    // Fails only when a subscriber is there already, which then stays.
    let is_ours = if format == "json" {
        subscriber.with(lines.json().flatten_event(true).with_writer(|| Escaping(io::stderr()))).try_init()
    } else {
        let is_coloured = io::stderr().is_terminal() && may_colour();
        let lines =
            lines.with_writer(io::stderr).with_ansi(is_coloured).fmt_fields(fields()).with_target(false);
        subscriber.with(lines).try_init()
    };
    if is_ours.is_ok() {
        std::panic::set_hook(Box::new(panicked));
    }
    if let Some(reason) = refused {
        warn!(reason, "RUST_LOG is not understood, the default is used; write e.g. info,consumer=debug");
    }
    if !matches!(format.as_str(), "json" | "text") {
        warn!(format, "LOG_FORMAT is not understood, lines are text; write json or text");
    }
}

/// Whether the user lets terminals be coloured: `NO_COLOR` is absent or empty, by <https://no-color.org>.
pub fn may_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

// On a line like any other; `RUST_BACKTRACE=1` adds where it came from.
fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let (thread, why) = (thread.name().unwrap_or_default(), panic.payload_as_str().unwrap_or_default());
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        error!(thread, place, %backtrace, "panicked: {why}");
    } else {
        error!(thread, place, "panicked: {why}");
    }
}

/// Takes JSON lines, each in one piece, and escapes what JSON itself lets stand.
struct Escaping<W>(W);

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(in_json(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writes `name=value` as the formatter's own does, save that nothing of a value steers a terminal: that one lets a line
/// feed pass where a field is shown by `%`.
fn fields() -> impl for<'w> FormatFields<'w> {
    debug_fn(|writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug| {
        match field.name() {
            "message" => {}
            name if writer.has_ansi_escapes() => write!(writer, "\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m")?,
            name => write!(writer, "{name}=")?,
        }
        for character in format!("{value:?}").chars() {
            shown(character).try_for_each(|c| writer.write_char(c))?;
        }
        Ok(())
    })
    .delimited(" ")
}

// What was asked for; where it cannot be read, the default and the reason. That, and panics, are told in any case.
fn filter(asked: Option<&str>, own: LevelFilter) -> (Targets, Option<String>) {
    let (filter, refused) = match asked.map(str::parse::<Targets>) {
        None => (default(own), None),
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (default(own), Some(error.to_string())),
    };
    (filter.with_target(module_path!(), LevelFilter::WARN), refused)
}

fn default(own: LevelFilter) -> Targets {
    Targets::new()
        .with_default(own.min(LevelFilter::ERROR))
        .with_targets(OWN.map(|target| (target, own)))
        .with_targets(SILENT.map(|target| (target, LevelFilter::OFF)))
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
    use crate::words::steers;
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

    const HOSTILE: &str = "the stream says error: no\n2026-01-01T00:00:00Z  INFO all is \x1b[32mwell\r\u{9b}\u{2028}\u{202e}\u{200b}";

    // Whether nothing of it but the colours of the line itself and its end steers a terminal.
    fn is_harmless(text: &str) -> bool {
        !text.contains(|c| steers(c) && c != '\n' && c != '\x1b') && !text.contains("\x1b[32m")
    }

    fn written(lines: impl FnOnce(Arc<std::fs::File>) -> tracing::Dispatch, tell: impl FnOnce()) -> String {
        let file = Arc::new(tempfile::tempfile().unwrap());
        tracing::dispatcher::with_default(&lines(Arc::clone(&file)), tell);
        let mut text = String::new();
        (&*file).rewind().unwrap();
        (&*file).read_to_string(&mut text).unwrap();
        text
    }

    fn json(file: Arc<std::fs::File>) -> tracing::Dispatch {
        let lines = tracing_subscriber::fmt::layer().json().flatten_event(true);
        let lines = lines.with_writer(move || Escaping(file.try_clone().unwrap()));
        tracing_subscriber::registry().with(lines).into()
    }

    #[test]
    fn words_of_an_upstream_neither_begin_a_line_nor_paint_it() {
        for ansi in [false, true] {
            let lines = |file: Arc<std::fs::File>| {
                let lines = tracing_subscriber::fmt::layer().with_writer(file).with_ansi(ansi);
                tracing_subscriber::registry().with(lines.fmt_fields(fields()).with_target(false)).into()
            };
            let text = written(lines, || warn!(error = %HOSTILE, said = HOSTILE, "upstream {HOSTILE}"));
            assert_eq!(text.lines().count(), 1, "{text:?}");
            assert!(is_harmless(&text), "{text:?}");
            assert_eq!(text.matches(r"error: no\n2026").count(), 3, "{text:?}");
            assert!(ansi || text.contains(" error=the stream says error: no"), "{text:?}");
            assert!(ansi || text.contains(" said=\"the stream says error: no"), "{text:?}");
        }
    }

    #[test]
    fn a_line_of_json_is_one_harmless_object_that_has_all_the_words() {
        let text = written(json, || warn!(error = %HOSTILE, said = HOSTILE, "upstream {HOSTILE}"));
        assert!(text.lines().count() == 1 && is_harmless(&text) && !text.contains('\x1b'), "{text:?}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["error"], &line["said"]), (&HOSTILE.into(), &HOSTILE.into()));
        assert_eq!((&line["level"], &line["target"]), (&"WARN".into(), &module_path!().into()));
        assert!(line["timestamp"].is_string() && line["message"].as_str().unwrap().starts_with("upstream"));
    }

    #[test]
    fn a_panic_is_a_line_like_any_other() {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(panicked));
        let text = written(json, || drop(std::panic::catch_unwind(|| panic!("no\nroom"))));
        std::panic::set_hook(before);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["level"], &line["message"]), (&"ERROR".into(), &"panicked: no\nroom".into()));
        assert!(line["place"].as_str().unwrap().contains("telemetry.rs:"), "{text}");
    }

    #[test]
    fn rust_log_replaces_the_default_and_nonsense_does_not() {
        let (own, refused) = filter(None, LevelFilter::INFO);
        assert!(own.would_enable("consumer::engine", &Level::INFO) && refused.is_none());
        assert!(own.would_enable("axum::serve", &Level::ERROR), "such as no file descriptor left");
        assert!(!own.would_enable("eventsource_client", &Level::WARN));
        assert!(!own.would_enable("scylla::cluster", &Level::ERROR));
        let (asked, refused) = filter(Some("warn,consumer=debug"), LevelFilter::INFO);
        assert!(asked.would_enable("consumer", &Level::DEBUG) && !asked.would_enable("hyper", &Level::INFO));
        assert_eq!(refused, None);
        let (kept, refused) = filter(Some("consumer=loud"), LevelFilter::INFO);
        assert_eq!(kept, own);
        assert!(refused.is_some());
    }

    #[test]
    fn what_a_command_keeps_silent_of_are_no_panics_and_no_wrong_variables() {
        for asked in [None, Some("off")] {
            let (off, _) = filter(asked, LevelFilter::OFF);
            assert!(off.would_enable(module_path!(), &Level::ERROR), "{asked:?}");
            assert!(!off.would_enable("consumer", &Level::ERROR) && !off.would_enable("h2", &Level::ERROR));
        }
    }
}
