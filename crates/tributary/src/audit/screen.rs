//! An audit's report -> text for a person, and the JSON object for a script.

use consumer::audit::{Counts, Fault, Kind, Lost, Report, RouteReport};
use serde::Serialize;

use crate::print::{grouped, line, safe};

/// Bytes of a detail or a key that are shown at most.
const WORDS_MAX: usize = 400;

/// What `--json` prints.
#[derive(Serialize)]
pub(super) struct Json<'a> {
    ok: bool,
    exit_code: i32,
    messages: u64,
    #[serde(flatten)]
    total: Counts,
    #[serde(flatten)]
    report: &'a Report,
}

impl<'a> Json<'a> {
    pub(super) fn of(report: &'a Report) -> Self {
        let (exit_code, total) = (report.exit_code(), report.total());
        Self { ok: exit_code == 0, exit_code, messages: total.messages(), total, report }
    }
}

/// The whole report.
pub(super) fn text(report: &Report) -> String {
    let mut text = String::new();
    for route in &report.routes {
        one_route(&mut text, route);
    }
    if !report.faults.is_empty() || !report.lost.is_empty() {
        text.push('\n');
    }
    for Lost { topic, partition, from, to, offsets } in &report.lost {
        line(
            &mut text,
            format_args!(
                "LOST       {topic}:{partition}:{from}  {} offsets before {to} were deleted before group {} had read them",
                grouped(*offsets),
                safe(&report.group, WORDS_MAX)
            ),
        );
    }
    for fault in &report.faults {
        one_fault(&mut text, fault);
    }
    if report.faults_not_named > 0 {
        line(&mut text, format_args!("and {} more", report.faults_not_named));
    }
    if let Some(fault) = report.faults.first() {
        let Fault { topic, partition, offset, .. } = fault;
        line(&mut text, format_args!("\nLook at one: tributary explain {topic}:{partition}:{offset}"));
    }
    for note in &report.notes {
        line(&mut text, format_args!("\nnote: {}", safe(note, WORDS_MAX)));
    }
    if let Some(why) = &report.incomplete {
        line(&mut text, format_args!("\nINCOMPLETE: {}", safe(why, WORDS_MAX)));
    }
    let total = report.total();
    let lost = match report.lost.iter().map(|lost| lost.offsets).sum() {
        0 => String::new(),
        lost => format!(", {} lost before they were read", grouped(lost)),
    };
    line(
        &mut text,
        format_args!(
            "\n{} outcomes in {:.1} s: {} missing, {} stale, {} different{lost}",
            grouped(total.messages()),
            report.seconds,
            total.missing,
            total.stale,
            total.different
        ),
    );
    text
}

fn one_route(text: &mut String, route: &RouteReport) {
    for topic in &route.topics {
        line(text, format_args!("{} -> {}  ({})", topic.topic, route.table, route.file.display()));
        let not_read = match topic.not_read {
            0 => String::new(),
            not_read => format!(", {} not read", grouped(not_read)),
        };
        line(
            text,
            format_args!(
                "  {} offsets in {} partitions, {} not there any more{not_read}; {} after them are not committed yet",
                grouped(topic.offsets),
                topic.partitions,
                grouped(topic.gone),
                grouped(topic.not_committed)
            ),
        );
        let Counts { stored, superseded, expired, dead_lettered, purged, .. } = topic.counts;
        line(
            text,
            format_args!(
                "  stored {}   superseded {}   expired {}   dead-lettered {}   purged {}",
                grouped(stored),
                grouped(superseded),
                grouped(expired),
                grouped(dead_lettered),
                grouped(purged)
            ),
        );
    }
}

fn one_fault(text: &mut String, fault: &Fault) {
    let kind = match fault.kind {
        Kind::Missing => "MISSING",
        Kind::Stale => "STALE",
        Kind::Different => "DIFFERENT",
    };
    let Fault { topic, partition, offset, key, detail, .. } = fault;
    let colon = if key.is_empty() { "" } else { ": " };
    line(
        text,
        format_args!(
            "{kind:<10} {topic}:{partition}:{offset}  {}{colon}{}",
            safe(key, WORDS_MAX),
            safe(detail, WORDS_MAX)
        ),
    );
}

#[cfg(test)]
mod tests {
    use consumer::audit::TopicReport;

    use super::*;

    fn report() -> Report {
        let counts =
            Counts { stored: 1_234_567, superseded: 3, dead_lettered: 2, stale: 1, ..Counts::default() };
        let topic = TopicReport {
            topic: "orders".to_owned(),
            partitions: 3,
            offsets: 1_234_580,
            not_committed: 4,
            gone: 7,
            not_read: 0,
            counts,
        };
        let fault = Fault {
            kind: Kind::Stale,
            topic: "orders".to_owned(),
            partition: 2,
            offset: 88_120,
            table: "shop.orders".to_owned(),
            key: "id 7".to_owned(),
            column: Some("total".to_owned()),
            detail: "total is 'x\u{1b}[2J' of the older WRITETIME 1".to_owned(),
        };
        Report {
            incomplete: Some("kafka is away".to_owned()),
            group: "g".to_owned(),
            without_commits: vec!["users".to_owned()],
            routes: vec![RouteReport {
                file: "routes/orders.toml".into(),
                table: "shop.orders".to_owned(),
                topics: vec![topic],
            }],
            lost: vec![Lost { topic: "orders".to_owned(), partition: 1, from: 5, to: 1_020, offsets: 1_015 }],
            faults: vec![fault],
            faults_not_named: 5,
            notes: vec!["partition 1 has no commit".to_owned()],
            seconds: 48.21,
        }
    }

    #[test]
    fn text_tells_counts_faults_and_what_was_not_judged() {
        let text = text(&report());
        for part in [
            "orders -> shop.orders  (routes/orders.toml)\n",
            "1,234,580 offsets in 3 partitions, 7 not there any more; 4 after them are not committed yet\n",
            "stored 1,234,567   superseded 3   expired 0   dead-lettered 2   purged 0\n",
            "STALE      orders:2:88120  id 7: total is 'x\\u{1b}[2J' of the older WRITETIME 1\n",
            "and 5 more\n",
            "tributary explain orders:2:88120\n",
            "note: partition 1 has no commit\n",
            "INCOMPLETE: kafka is away\n",
            "LOST       orders:1:5  1,015 offsets before 1020 were deleted before group g had read them\n",
            "1,234,573 outcomes in 48.2 s: 0 missing, 1 stale, 0 different, 1,015 lost before they were read\n",
        ] {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
    }

    #[test]
    fn text_tells_what_was_not_read() {
        let mut report = report();
        report.routes[0].topics[0].not_read = 1_000;
        assert!(text(&report).contains("7 not there any more, 1,000 not read; 4 after"), "{}", text(&report));
    }

    #[test]
    fn json_has_the_sums_beside_the_report() {
        let object = serde_json::to_value(Json::of(&report())).unwrap();
        assert_eq!((&object["ok"], &object["exit_code"]), (&false.into(), &1.into()));
        assert_eq!((&object["messages"], &object["stale"]), (&1_234_573.into(), &1.into()));
        assert_eq!(object["faults"][0]["kind"], "stale");
        assert_eq!(
            (&object["lost_before_read"][0]["from"], &object["lost_before_read"][0]["to"]),
            (&5.into(), &1_020.into())
        );
        assert_eq!(object["routes"][0]["topics"][0]["counts"]["stored"], 1_234_567);
        assert_eq!(object["without_commits"][0], "users");
    }
}
