//! A snapshot -> what a person reads: who works, what flows, what waits.

use std::cmp::Reverse;

use chrono::{DateTime, Utc};
use dashboard::{ServiceState, Snapshot, Stream};
use service::health::State;

use crate::print::{counted, grouped, line, safe};
use crate::terminal::{Size, fit};

/// Bytes of a reason that are shown.
const REASON_BYTES_MAX: usize = 200;

/// One screen; with a size, no more than fits on it: then what is in trouble comes first.
pub(super) fn text(snapshot: &Snapshot, colours: bool, size: Option<Size>) -> String {
    let Some(Size { columns, rows }) = size else {
        return whole(snapshot, colours, usize::MAX, false);
    };
    let text = whole(snapshot, colours, columns, false);
    if text.lines().count() <= rows {
        return text;
    }
    let text = whole(snapshot, colours, columns, true);
    let kept = rows.saturating_sub(1);
    let more = format!("... {}", counted(text.lines().count() - kept, "more line"));
    text.lines().take(kept).chain([more.as_str()]).map(|line| format!("{line}\n")).collect()
}

fn whole(snapshot: &Snapshot, colours: bool, columns: usize, troubled_first: bool) -> String {
    let mut text = String::new();
    let mut say = |words: &str| line(&mut text, format_args!("{}", fit(words, columns)));
    let broken = snapshot.services.iter().filter(|service| service.state == State::Red).count();
    let verdict = match broken {
        0 => "all work".to_owned(),
        broken => format!("{broken} of them not working"),
    };
    let services = counted(snapshot.services.len(), "service");
    say(&format!("{}  {services}, {verdict}", snapshot.at.format("%Y-%m-%d %H:%M:%SZ")));
    say("");
    say(&format!("{:<14}{:<10}{:>9}", "service", "state", "for"));
    let mut listed: Vec<&ServiceState> = snapshot.services.iter().collect();
    if troubled_first {
        listed.sort_by_key(|service| Reverse(service.state));
    }
    for service in listed {
        line(&mut text, format_args!("{}", service_line(service, snapshot.at, colours, columns)));
    }
    let mut say = |words: &str| line(&mut text, format_args!("{}", fit(words, columns)));
    say("");
    say(&format!(
        "{:<14}{:<10}{:>10}{:>10}{:>13}{:>9}{:>9}{:>8}{:>10}{:>10}{:>7}",
        "stream",
        "data",
        "published",
        "stored",
        "messages",
        "waiting",
        "unsafe",
        "newest",
        "p50",
        "p99",
        "dead"
    ));
    for stream in &snapshot.streams {
        say(&stream_line(stream));
    }
    say("");
    say("waiting: without a row yet; p50, p99: from published to stored");
    say("unsafe: not durable in Cassandra yet, the waiting ones included");
    text
}

fn service_line(service: &ServiceState, now: DateTime<Utc>, colours: bool, columns: usize) -> String {
    let (word, colour) = match service.state {
        _ if service.paused => ("paused", "33"),
        State::Green => ("working", "32"),
        State::Yellow => ("remark", "33"),
        State::Red => ("broken", "31"),
    };
    let name = match service.instances {
        0 | 1 => safe(&service.name, 40),
        instances => format!("{} x{instances}", safe(&service.name, 40)),
    };
    let since = span((now - service.since).as_seconds_f64());
    let reason = safe(&service.reason, REASON_BYTES_MAX);
    let name = format!("{name:<14}");
    let line = fit(&format!("{name}{word:<10}{since:>9}  {reason}"), columns);
    // Behind the cut, which counts what is seen.
    match line.strip_prefix(&name).and_then(|rest| rest.strip_prefix(word)) {
        Some(rest) if colours => format!("{name}\x1b[{colour}m{word}\x1b[0m{rest}"),
        _ => line,
    }
}

fn stream_line(stream: &Stream) -> String {
    let or = |known: Option<String>| known.unwrap_or_else(|| "-".to_owned());
    let rate = |rate: Option<f64>| or(rate.map(per_s));
    let whole = |count: Option<u64>| or(count.map(grouped));
    let ms = |ms: Option<f64>| {
        or(ms.map(|ms| if ms < 10_000.0 { format!("{ms:.0} ms") } else { format!("{:.0} s", ms / 1_000.0) }))
    };
    let age = stream.newest_row_age_s.map(|age| if age < 10.0 { format!("{age:.1} s") } else { span(age) });
    let origin = safe(stream.origin.as_deref().unwrap_or("-"), 40);
    format!(
        "{:<14}{:<10}{:>10}{:>10}{:>13}{:>9}{:>9}{:>8}{:>10}{:>10}{:>7}",
        safe(&stream.name, 40),
        origin,
        rate(stream.published_per_s),
        rate(stream.stored_per_s),
        whole(stream.published),
        whole(stream.lag_written),
        whole(stream.lag_durable),
        or(age),
        ms(stream.latency_p50_ms),
        ms(stream.latency_p99_ms),
        whole(stream.dead_lettered),
    )
}

fn per_s(rate: f64) -> String {
    match rate {
        rate if rate < 0.05 => "0/s".to_owned(),
        rate if rate < 100.0 => format!("{rate:.1}/s"),
        rate => format!("{rate:.0}/s"),
    }
}

// 42 s, 3 min, 2 h, 5 d.
fn span(seconds: f64) -> String {
    let (length, unit) = match seconds.max(0.0) {
        seconds if seconds < 60.0 => (seconds, "s"),
        seconds if seconds < 3_600.0 => (seconds / 60.0, "min"),
        seconds if seconds < 86_400.0 => (seconds / 3_600.0, "h"),
        seconds => (seconds / 86_400.0, "d"),
    };
    format!("{:.0} {unit}", length.floor())
}

#[cfg(test)]
mod tests {
    use dashboard::Role;

    use super::*;

    fn snapshot() -> Snapshot {
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let service = ServiceState {
            name: "kafka".to_owned(),
            role: Role::Broker,
            instances: 0,
            state: State::Red,
            reason: "no answer \x1b[2J".to_owned(),
            since: at - chrono::Duration::seconds(125),
            parts: Vec::new(),
            can_pause: false,
            paused: false,
        };
        let stream = Stream {
            name: "weather".to_owned(),
            about: String::new(),
            upstream: None,
            producer: None,
            topic: "weather".to_owned(),
            tables: Vec::new(),
            origin: Some("live\x07".to_owned()),
            published_per_s: Some(12.34),
            stored_per_s: None,
            published: Some(1_234_567),
            stored: None,
            expired: None,
            dead_lettered: Some(0),
            lag_written: Some(3),
            lag_durable: Some(40),
            newest_row_age_s: Some(0.8),
            latency_p50_ms: Some(11.3),
            latency_p99_ms: Some(12_000.0),
            state: State::Green,
            reason: String::new(),
        };
        let (version, streams, services) = ("0.1.0".to_owned(), vec![stream], vec![service]);
        Snapshot { at, started_at: at, version, control: false, streams, services }
    }

    #[test]
    fn a_screen_tells_who_is_broken_and_what_flows_and_obeys_nobody() {
        let text = text(&snapshot(), false, None);
        assert!(text.starts_with("2027-01-15 08:00:00Z  1 service, 1 of them not working"), "{text}");
        assert!(text.contains("kafka         broken        2 min  no answer \\u{1b}[2J"), "{text}");
        let stream = text.lines().find(|line| line.starts_with("weather")).unwrap();
        let heading = text.lines().find(|line| line.starts_with("stream")).unwrap();
        assert!(heading.contains("waiting   unsafe") && text.contains("the waiting ones included"), "{text}");
        for word in ["live\\u{7}", "12.3/s", "1,234,567", "0.8 s", "11 ms", "12 s"] {
            assert!(stream.contains(word), "{word}: {stream}");
        }
        assert!(!text.contains(['\x1b', '\x07']));
    }

    #[test]
    fn colours_are_there_when_asked_for() {
        assert!(text(&snapshot(), true, None).contains("\x1b[31mbroken"));
    }

    #[test]
    fn a_screen_that_does_not_fit_is_cut_and_keeps_the_verdict_and_who_is_in_trouble() {
        let mut snapshot = snapshot();
        for number in 0..20 {
            let name = format!("well-{number}");
            let well = ServiceState { name, state: State::Green, ..snapshot.services[0].clone() };
            snapshot.services.insert(0, well);
        }
        let shown = text(&snapshot, false, Some(Size { columns: 40, rows: 10 }));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!((lines.len(), lines[9]), (10, "... 21 more lines"), "{shown}");
        assert!(lines.iter().all(|line| line.chars().count() <= 40), "{shown}");
        assert!(lines[0].contains("21 services") && lines[3].starts_with("kafka         broken"), "{shown}");
        assert!(lines[4].starts_with("well-19"), "the others in their order: {shown}");
        let coloured = text(&snapshot, true, Some(Size { columns: 40, rows: 100 }));
        assert!(coloured.contains("\x1b[31mbroken\x1b[0m        2 min  no a…\n"), "{coloured}");
        assert!(coloured.lines().nth(3).unwrap().starts_with("well-19"), "{coloured}");
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!([-5.0, 59.9, 60.0, 7_300.0, 90_000.0].map(span), ["0 s", "59 s", "1 min", "2 h", "1 d"]);
        assert_eq!([0.0, 0.3, 99.96, 5_000.4].map(per_s), ["0/s", "0.3/s", "100.0/s", "5000/s"]);
    }
}
