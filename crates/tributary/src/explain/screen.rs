//! An explanation -> text for a person.

use consumer::explain::{Column, Decision, Explanation, Routed, Verdict};

use crate::print::{line, safe};

/// Bytes of the message's value that are shown at most.
const VALUE_MAX: usize = 2_000;
/// Of everything else that came with the message.
const WORDS_MAX: usize = 200;

/// The whole explanation.
pub(super) fn text(of: &Explanation) -> String {
    let mut text = String::new();
    let out = &mut text;
    let (topic, partition, offset) = (&of.place.topic, of.place.partition, of.place.offset);
    let timestamp = of.timestamp.as_deref().unwrap_or("no timestamp");
    line(out, format_args!("message     {topic}:{partition}:{offset}, {timestamp}, {} bytes", of.bytes));
    if let Some(key) = &of.key {
        line(out, format_args!("key         {}", safe(key, WORDS_MAX)));
    }
    for (name, value) in &of.headers {
        line(out, format_args!("header      {}: {}", safe(name, WORDS_MAX), safe(value, WORDS_MAX)));
    }
    match &of.value {
        Some(value) => line(out, format_args!("value       {}", safe(value, VALUE_MAX))),
        None => line(out, format_args!("value       none: the message is a tombstone")),
    }
    let committed = match of.committed {
        None => "has committed nothing of this partition".to_owned(),
        Some(committed) if committed > offset => {
            format!("has committed up to {committed}, so this message is settled")
        }
        Some(committed) => format!("has committed up to {committed}, and not come so far"),
    };
    line(out, format_args!("group       {} {committed}", of.group));
    for routed in &of.routes {
        one_route(out, routed);
    }
    text
}

fn one_route(out: &mut String, routed: &Routed) {
    line(out, format_args!("\n{} -> {}", routed.file.display(), routed.table));
    match &routed.decision {
        Decision::Row { deletes, writetime, ttl_s } => {
            let what = if *deletes { "deletes the row" } else { "writes a row" };
            let ttl = ttl_s.map_or_else(String::new, |ttl_s| format!(", {ttl_s} s to live"));
            line(out, format_args!("  decision  {what}, WRITETIME {writetime}{ttl}"));
        }
        Decision::Expired => line(out, format_args!("  decision  expired: nothing is written")),
        Decision::DataError { class, reason } => {
            line(out, format_args!("  decision  dead letter, {class}: {}", safe(reason, VALUE_MAX)));
        }
    }
    columns(out, &routed.columns);
    if let Some(reason) = &routed.dead_letter {
        line(out, format_args!("  letter    {}", safe(reason, VALUE_MAX)));
    }
    line(out, format_args!("  verdict   {}", words(routed.verdict)));
}

fn columns(out: &mut String, columns: &[Column]) {
    if columns.is_empty() {
        return;
    }
    let found = |column: &Column| match (&column.found, &column.standing) {
        _ if column.key => "(key)".to_owned(),
        (Some(_), Some(standing)) if standing == "the same" => standing.clone(),
        (Some(found), standing) => {
            let at = column.found_writetime.unwrap_or_default();
            let standing = standing.as_ref().map_or_else(String::new, |standing| format!("{standing}: "));
            format!("{standing}{found}, WRITETIME {at}")
        }
        (None, Some(standing)) if standing == "the same" => "nothing, as it should be".to_owned(),
        (None, Some(standing)) => standing.clone(),
        (None, None) => "nothing".to_owned(),
    };
    let header = ["column", "from", "the message binds", "in the table"].map(str::to_owned);
    let cells = |column: &Column| {
        [safe(&column.name, WORDS_MAX), safe(&column.from, WORDS_MAX), column.cell.clone(), found(column)]
    };
    let lines: Vec<[String; 4]> = std::iter::once(header).chain(columns.iter().map(cells)).collect();
    let width = |place: usize| {
        lines.iter().map(|line| line[place].chars().count()).max().unwrap_or_default().min(WIDTH_MAX)
    };
    let (name, from, cell) = (width(0), width(1), width(2));
    for [a, b, c, d] in &lines {
        line(out, format_args!("  {a:<name$}  {b:<from$}  {c:<cell$}  {d}"));
    }
}

/// A longer one pushes its own line's rest aside and no other's.
const WIDTH_MAX: usize = 40;

fn words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Stored => "stored",
        Verdict::Superseded => "superseded: some of its cells have a greater WRITETIME now",
        Verdict::Expired => "expired: its time to live is over, or may be",
        Verdict::DeadLettered => "dead letter",
        Verdict::Purged => "dead letter, purged since",
        Verdict::NotCommitted => "not settled yet: the consumer may still be about to write it",
        Verdict::Absent => {
            "NOT THERE: deleted since, or missing; tributary audit reads the other messages and knows which"
        }
        Verdict::Wrong => {
            "STALE OR DIFFERENT: the table has something older, or something else under this WRITETIME"
        }
        Verdict::Nowhere => "MISSING: neither row nor dead letter",
    }
}

#[cfg(test)]
mod tests {
    use consumer::explain::Place;

    use super::*;

    fn explanation() -> Explanation {
        let column = |name: &str, cell: &str, found: Option<&str>, standing: Option<&str>| Column {
            name: name.to_owned(),
            from: format!("field {name}"),
            key: name == "id",
            cell: cell.to_owned(),
            found: found.map(str::to_owned),
            found_writetime: found.map(|_| 17),
            standing: standing.map(str::to_owned),
        };
        let routed = Routed {
            file: "routes/orders.toml".into(),
            table: "shop.orders".to_owned(),
            decision: Decision::Row { deletes: false, writetime: 16, ttl_s: Some(60) },
            dead_letter: None,
            columns: vec![
                column("id", "7", None, None),
                column("total", "1", Some("1"), Some("the same")),
                column("name", "'a'", Some("'b'"), Some("newer by 1us")),
                column("note", "unset", None, None),
            ],
            verdict: Verdict::Superseded,
        };
        Explanation {
            place: Place { topic: "orders".to_owned(), partition: 1, offset: 7 },
            timestamp: Some("2026-11-22T03:12:07.417Z".to_owned()),
            key: Some("k\u{1b}[2J".to_owned()),
            value: Some("{}".to_owned()),
            bytes: 2,
            headers: vec![("origin".to_owned(), "live".to_owned())],
            group: "tributary".to_owned(),
            committed: Some(8),
            routes: vec![routed],
        }
    }

    #[test]
    fn text_has_the_message_the_decision_the_cells_and_the_table() {
        let text = text(&explanation());
        for part in [
            "message     orders:1:7, 2026-11-22T03:12:07.417Z, 2 bytes\n",
            "key         k\\u{1b}[2J\n",
            "header      origin: live\n",
            "group       tributary has committed up to 8, so this message is settled\n",
            "routes/orders.toml -> shop.orders\n",
            "decision  writes a row, WRITETIME 16, 60 s to live\n",
            "  total   field total  1                  the same\n",
            "  name    field name   'a'                newer by 1us: 'b', WRITETIME 17\n",
            "  note    field note   unset              nothing\n",
            "verdict   superseded",
        ] {
            assert!(text.contains(part), "{part:?} is not in:\n{text}");
        }
    }

    #[test]
    fn a_lost_outcome_is_a_failure() {
        let code = |verdict| {
            let mut explanation = explanation();
            explanation.routes[0].verdict = verdict;
            explanation.exit_code()
        };
        use Verdict::{
            Absent, DeadLettered, Expired, NotCommitted, Nowhere, Purged, Stored, Superseded, Wrong,
        };
        assert_eq!([Stored, Superseded, Expired, DeadLettered, Purged, NotCommitted].map(code), [0; 6]);
        assert_eq!([Absent, Wrong, Nowhere].map(code), [1; 3]);
    }
}
