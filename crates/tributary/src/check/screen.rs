//! A report -> text for a person, and the JSON object for a script.

use consumer::check::{Finding, Report, RouteReport, Sample, Server, Spread, Thresholds};
use serde::Serialize;
use service::words::lines;

use crate::print::{counted, line, safe};

/// Columns that are named as a row's tombstones at most.
const NULL_COLUMNS_SHOWN: usize = 5;
/// Reasons for dead letters that are shown at most.
const REASONS_SHOWN: usize = 5;
/// Bytes of a reason that are shown; it may quote the message.
const REASON_BYTES_MAX: usize = 500;

/// What `--json` prints.
#[derive(Serialize)]
pub(super) struct Json<'a> {
    ok: bool,
    exit_code: i32,
    #[serde(flatten)]
    report: &'a Report,
}

impl<'a> Json<'a> {
    pub(super) fn of(report: &'a Report) -> Self {
        Self { ok: report.exit_code() == 0, exit_code: report.exit_code(), report }
    }
}

/// The whole report. Files, servers and messages have their words in it: none of them steers the terminal.
pub(super) fn text(report: &Report) -> String {
    let mut text = String::new();
    server(&mut text, "cassandra", &report.cassandra);
    server(&mut text, "kafka", &report.kafka);
    for route in &report.routes {
        one_route(&mut text, route, &report.thresholds);
    }
    findings(&mut text, "errors", &report.errors);
    findings(&mut text, "warnings", &report.warnings);
    line(
        &mut text,
        format_args!(
            "\n{}, {} in {}",
            counted(report.errors.len(), "error"),
            counted(report.warnings.len(), "warning"),
            counted(report.routes.len(), "readable route")
        ),
    );
    lines(&text)
}

fn server(text: &mut String, name: &str, server: &Server) {
    match &server.error {
        None => line(text, format_args!("{name:<10} {}", server.address)),
        Some(error) => line(text, format_args!("{name:<10} CANNOT BE REACHED: {error}")),
    }
}

fn one_route(text: &mut String, route: &RouteReport, thresholds: &Thresholds) {
    line(text, format_args!("\n{} -> {}", route.file.display(), route.table));
    for topic in &route.topics {
        line(
            text,
            format_args!(
                "  topic      {}: {}, {} offsets",
                topic.topic,
                counted(topic.partitions, "partition"),
                topic.offsets
            ),
        );
        match &topic.sample {
            Some(sample) => one_sample(text, sample, thresholds),
            None => line(text, format_args!("  sample     none")),
        }
    }
}

fn one_sample(text: &mut String, sample: &Sample, thresholds: &Thresholds) {
    line(
        text,
        format_args!(
            "  sample     {}: {}, {}, {} expired, {}",
            counted(sample.messages, "message"),
            counted(sample.rows, "row"),
            counted(sample.deletes, "delete"),
            sample.expired,
            counted(sample.dead_letters, "dead letter")
        ),
    );
    for reason in sample.reasons.iter().take(REASONS_SHOWN) {
        line(
            text,
            format_args!(
                "             {} x {}: {} (partition {}, offset {})",
                reason.count,
                reason.class,
                safe(&reason.reason, REASON_BYTES_MAX),
                reason.partition,
                reason.offset
            ),
        );
    }
    if sample.reasons.len() > REASONS_SHOWN {
        let more = counted(sample.reasons.len() - REASONS_SHOWN, "more reason");
        line(text, format_args!("             and {more}"));
    }
    if sample.rows == 0 {
        return;
    }
    line(text, format_args!("  row        {}", spread(&sample.row_bytes, "bytes")));
    line(
        text,
        format_args!(
            "  batch      {}; {}; {}",
            spread(&sample.batch_rows, "rows"),
            spread(&sample.batch_bytes, "bytes"),
            by_the_server(sample, thresholds)
        ),
    );
    line(
        text,
        format_args!(
            "  cells      {} tombstones a row (most: {}){}; {} left as they are",
            sample.null_cells.mean,
            sample.null_cells.max,
            null_columns(sample),
            sample.unset_cells.mean
        ),
    );
}

fn null_columns(sample: &Sample) -> String {
    let mut columns: Vec<_> = sample.null_columns.iter().collect();
    columns.sort_by_key(|(_, rows)| std::cmp::Reverse(**rows));
    let shown = columns.iter().take(NULL_COLUMNS_SHOWN);
    let shown: Vec<String> =
        shown.map(|(name, rows)| format!("{name} {} %", *rows * 100 / sample.rows.max(1))).collect();
    if shown.is_empty() { String::new() } else { format!(", in {}", shown.join(", ")) }
}

fn spread(spread: &Spread, unit: &str) -> String {
    let Spread { mean, p99, max } = spread;
    format!("{mean} {unit} (p99 {p99}, most {max})")
}

fn by_the_server(sample: &Sample, thresholds: &Thresholds) -> String {
    if sample.batch_partitions.max <= 1 {
        return "not measured by the server, since each has one partition".to_owned();
    }
    format!(
        "{} by the server's count, which {}warns at {} and refuses at {}",
        spread(&sample.batch_server_bytes, "bytes"),
        if thresholds.assumed { "is assumed to be as shipped and " } else { "" },
        thresholds.batch_size_warn,
        thresholds.batch_size_fail
    )
}

fn findings(text: &mut String, title: &str, findings: &[Finding]) {
    if findings.is_empty() {
        return;
    }
    line(text, format_args!("\n{title}:"));
    for finding in findings {
        line(text, format_args!("  {finding}"));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use consumer::check::{Reason, TopicReport};

    use super::*;

    fn report() -> Report {
        let spread = |max: u64| Spread { mean: 1.5, p99: max, max };
        let sample = Sample {
            messages: 10,
            rows: 7,
            deletes: 1,
            expired: 1,
            dead_letters: 1,
            reasons: vec![Reason {
                class: "value".to_owned(),
                reason: "column n: no number".to_owned(),
                count: 1,
                partition: 2,
                offset: 77,
            }],
            row_bytes: spread(300),
            batch_rows: spread(8),
            batch_bytes: spread(2_400),
            batch_server_bytes: spread(4_000),
            batch_partitions: spread(8),
            null_cells: spread(2),
            unset_cells: spread(0),
            null_columns: BTreeMap::from([("rain".to_owned(), 7), ("snow".to_owned(), 4)]),
        };
        let topic = TopicReport { topic: "t".to_owned(), partitions: 1, offsets: 40, sample: Some(sample) };
        Report {
            errors: vec![Finding::general("table x does not exist".to_owned())],
            warnings: Vec::new(),
            cassandra: Server { address: "c:9042".to_owned(), error: None },
            thresholds: Thresholds::shipped(),
            kafka: Server {
                address: "k:9092".to_owned(),
                error: Some("kafka at k:9092 is silent".to_owned()),
            },
            not_sampled: Vec::new(),
            routes: vec![RouteReport {
                file: "routes/t.toml".into(),
                table: "shop.t".to_owned(),
                topics: vec![topic],
            }],
        }
    }

    #[test]
    fn text_tells_servers_samples_and_findings() {
        let text = text(&report());
        for part in [
            "cassandra  c:9042\n",
            "kafka      CANNOT BE REACHED: kafka at k:9092 is silent\n",
            "\nroutes/t.toml -> shop.t\n",
            "t: 1 partition, 40 offsets\n",
            "10 messages: 7 rows, 1 delete, 1 expired, 1 dead letter\n",
            "1 x value: column n: no number (partition 2, offset 77)\n",
            "assumed to be as shipped and warns at 5120 and refuses at 51200\n",
            "1.5 tombstones a row (most: 2), in rain 100 %, snow 57 %; 1.5 left as they are\n",
            "\nerrors:\n  table x does not exist\n",
            "\n1 error, 0 warnings in 1 readable route\n",
        ] {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
    }

    #[test]
    fn words_of_servers_and_names_of_columns_steer_no_terminal() {
        let mut report = report();
        report.kafka.error = Some("\x1b[2J".to_owned());
        report.errors.push(Finding::general("column \x07 is\nno more".to_owned()));
        let sample = report.routes[0].topics[0].sample.as_mut().unwrap();
        sample.null_columns.insert("\u{9b}2J".to_owned(), 9);
        let text = text(&report);
        assert!(!text.contains(['\x1b', '\x07', '\u{9b}']), "{text}");
        assert!(text.contains("\\u{1b}[2J") && text.contains("column \\u{7} is\nno more"), "{text}");
    }

    #[test]
    fn json_has_the_verdict_beside_the_report() {
        let object = serde_json::to_value(Json::of(&report())).unwrap();
        assert_eq!((&object["ok"], &object["exit_code"]), (&false.into(), &1.into()));
        assert_eq!(object["routes"][0]["topics"][0]["sample"]["row_bytes"]["max"], 300);
    }
}
