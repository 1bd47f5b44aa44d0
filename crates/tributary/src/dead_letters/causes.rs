//! The selected letters, counted by cause.

use chrono::DateTime;
use consumer::dead_letter::{Address, Cause, Entry, Letters, Select};
use serde::Serialize;

use crate::print::{counted, line, safe};

/// Bytes of a reason that are shown.
const REASON_BYTES_MAX: usize = 300;

/// Letters of one cause.
#[derive(Debug, Serialize)]
pub(super) struct Counted {
    pub(super) id: String,
    topic: String,
    table: String,
    class: String,
    reason: String,
    /// Whether it gathers the reasons that are not told apart.
    pub(super) is_rest: bool,
    pub(super) count: usize,
    oldest: Sent,
    newest: Sent,
}

#[derive(Debug, Clone, Serialize)]
struct Sent {
    /// The message, `topic:partition:offset`.
    address: String,
    /// When its letter was sent, in milliseconds since 1970.
    sent_ms: i64,
}

/// By topic and table, the most frequent cause first.
pub(super) fn of(letters: &Letters, select: &Select) -> Vec<Counted> {
    let mut causes = Vec::new();
    for (_, fold) in &letters.folds {
        let mut of_fold: Vec<Option<Counted>> = fold.causes.iter().map(|_| None).collect();
        for (_, entry) in fold.standing() {
            let cause = &fold.causes[entry.cause];
            if select.takes(cause, entry) {
                count(&mut of_fold[entry.cause], cause, entry);
            }
        }
        causes.extend(of_fold.into_iter().flatten());
    }
    causes.sort_by(|a, b| (&a.topic, &a.table, b.count, &a.id).cmp(&(&b.topic, &b.table, a.count, &b.id)));
    causes
}

fn count(counted: &mut Option<Counted>, cause: &Cause, entry: &Entry) {
    let Entry { partition, offset, sent_ms, .. } = *entry;
    let address = Address { topic: cause.topic.clone(), partition, offset }.to_string();
    let sent = Sent { address, sent_ms };
    let Some(counted) = counted else {
        let Cause { id, topic, table, class, reason, is_rest, .. } = cause.clone();
        let (oldest, newest) = (sent.clone(), sent);
        *counted = Some(Counted { id, topic, table, class, reason, is_rest, count: 1, oldest, newest });
        return;
    };
    counted.count += 1;
    if sent_ms < counted.oldest.sent_ms {
        counted.oldest = sent.clone();
    }
    if sent_ms >= counted.newest.sent_ms {
        counted.newest = sent;
    }
}

/// A paragraph for each topic and table.
pub(super) fn text(causes: &[Counted]) -> String {
    let mut text = String::new();
    for together in causes.chunk_by(|a, b| (&a.topic, &a.table) == (&b.topic, &b.table)) {
        let letters = counted(together.iter().map(|cause| cause.count).sum(), "letter");
        let Counted { topic, table, .. } = &together[0];
        let oldest = together.iter().map(|cause| cause.oldest.sent_ms).min().unwrap_or_default();
        let newest = together.iter().map(|cause| cause.newest.sent_ms).max().unwrap_or_default();
        let (oldest, newest) = (minute(oldest), minute(newest));
        let route = safe(&format!("{topic} -> {table}"), REASON_BYTES_MAX);
        line(
            &mut text,
            format_args!("{route}: {letters} in {}, {oldest} to {newest}", counted(together.len(), "cause")),
        );
        for Counted { id, class, reason, count, oldest, newest, .. } in together {
            let (class, reason) = (safe(class, 20), safe(reason, REASON_BYTES_MAX));
            line(&mut text, format_args!("  {id}  {count:>7} x {class}: {reason}"));
            let (oldest, newest) =
                (safe(&oldest.address, REASON_BYTES_MAX), safe(&newest.address, REASON_BYTES_MAX));
            let example = if *count == 1 { oldest } else { format!("oldest {oldest}, newest {newest}") };
            line(&mut text, format_args!("                      {example}"));
        }
    }
    text
}

fn minute(ms: i64) -> String {
    let at = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    at.format("%Y-%m-%dT%H:%MZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Counted {
        pub(crate) fn of_test(id: &str, is_rest: bool) -> Self {
            Self::of(id, "no \x1b[2J number", 12, is_rest)
        }

        fn of(id: &str, reason: &str, count: usize, is_rest: bool) -> Self {
            let sent = |offset: i64, sent_ms| Sent { address: format!("orders:0:{offset}"), sent_ms };
            Self {
                id: id.to_owned(),
                topic: "orders".to_owned(),
                table: "shop.orders".to_owned(),
                class: "value".to_owned(),
                reason: reason.to_owned(),
                is_rest,
                count,
                oldest: sent(7, 1_800_000_000_000),
                newest: sent(9, 1_800_000_060_000),
            }
        }
    }

    #[test]
    fn text_groups_causes_and_shows_no_control_character() {
        let many = Counted::of("aaaaaaaa", "no \x1b[2J number", 12, false);
        let text = text(&[many, Counted::of("bbbbbbbb", "no date", 1, false)]);
        let expected = "\
orders -> shop.orders: 13 letters in 2 causes, 2027-01-15T08:00Z to 2027-01-15T08:01Z
  aaaaaaaa       12 x value: no \\u{1b}[2J number
                      oldest orders:0:7, newest orders:0:9
  bbbbbbbb        1 x value: no date
                      orders:0:7
";
        assert_eq!(text, expected);
    }
}
