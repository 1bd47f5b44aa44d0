//! One message -> what each of its routes makes of it, cell by cell, beside what is in the table.
//!
//! The decoder, the plans and the comparison are those of the consumer and of the audit. Nothing is written.

mod cells;
mod read;

use std::path::PathBuf;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::audit::Unready;
use crate::audit::effect::Standing;
use crate::audit::sources::{Sources, age_s};
use crate::decode::{Decoded, Decoder};
use crate::message::Message;
use crate::rows::Rows;
use crate::settings::Settings;
use cells::{number, shown};
use read::Read;

/// Its name in the broker's log.
const CLIENT: &str = "tributary-explain";

/// A message's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
pub enum Unexplained {
    /// Wrong settings, or a server that is away.
    #[error(transparent)]
    Unready(#[from] Unready),
    /// There is no such message.
    #[error("{0}")]
    NoMessage(String),
}

/// Everything about one message.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
    /// In RFC 3339, if it has one.
    pub timestamp: Option<String>,
    /// As text.
    pub key: Option<String>,
    /// As text; `None` is a message without a value.
    pub value: Option<String>,
    /// The value's bytes.
    pub bytes: usize,
    /// Names and values as text.
    pub headers: Vec<(String, String)>,
    /// The consumer group.
    pub group: String,
    /// What it has committed of the partition, if it has.
    pub committed: Option<i64>,
    /// By the routes of the topic.
    pub routes: Vec<Routed>,
}

/// What one route makes of a message.
#[derive(Debug, Clone, Serialize)]
pub struct Routed {
    /// The route's file.
    pub file: PathBuf,
    /// `keyspace.table`
    pub table: String,
    /// What the consumer would do.
    pub decision: Decision,
    /// Its dead letter: why, or that it was purged.
    pub dead_letter: Option<String>,
    /// By the plan's columns; empty where there is no row.
    pub columns: Vec<Column>,
    /// What it comes to.
    pub verdict: Verdict,
}

/// What the consumer does with a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Decision {
    /// It writes a row, or deletes one.
    Row {
        /// Whether it deletes.
        deletes: bool,
        /// In microseconds.
        writetime: i64,
        /// What is left of its time to live, in seconds.
        ttl_s: Option<i64>,
    },
    /// Its time to live is over.
    Expired,
    /// It cannot be a row.
    DataError {
        /// The kind.
        class: String,
        /// In words.
        reason: String,
    },
}

/// One column.
#[derive(Debug, Clone, Serialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Where the value comes from, as error messages name it.
    pub from: String,
    /// Whether it is part of the primary key.
    pub key: bool,
    /// What is bound: a value as text, `null` or `unset`.
    pub cell: String,
    /// What is in the table, as text.
    pub found: Option<String>,
    /// Its WRITETIME.
    pub found_writetime: Option<i64>,
    /// How it stands to the message; `None` for the key and for what the message leaves as it is.
    pub standing: Option<String>,
}

/// What has become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The table has what it wrote.
    Stored,
    /// The table has something newer in some of its cells.
    Superseded,
    /// Its time to live is over; or it may be, and some of what it wrote is not there.
    Expired,
    /// It is a dead letter.
    DeadLettered,
    /// Its dead letter was purged.
    Purged,
    /// The group has not come so far, so that nothing is known.
    NotCommitted,
    /// The table has nothing: it was deleted later, or it is missing. An audit knows which.
    Absent,
    /// The table has something older, or something else under its WRITETIME.
    Wrong,
    /// There is neither a row nor a dead letter.
    Nowhere,
}

impl Explanation {
    /// 0: each route's outcome is there. 1: one is not, as far as this message alone tells.
    pub fn exit_code(&self) -> i32 {
        let lost =
            |routed: &Routed| matches!(routed.verdict, Verdict::Absent | Verdict::Wrong | Verdict::Nowhere);
        i32::from(self.routes.iter().any(lost))
    }
}

/// Explains a message.
///
/// # Errors
/// See [`Unexplained`].
pub async fn explain(settings: &Settings, place: &Place) -> Result<Explanation, Unexplained> {
    let sources = Sources::open(settings).await?;
    let ours: Vec<usize> = sources
        .routes
        .iter()
        .enumerate()
        .filter(|(_, source)| source.topics.contains(&place.topic))
        .map(|(route, _)| route)
        .collect();
    if ours.is_empty() {
        let known = sources.routes.iter().flat_map(|source| &source.topics).map(String::as_str);
        let near = crate::plan::nearest(&place.topic, known);
        return Err(Unready::Refused(format!("no route has the topic {}{near}", place.topic)).into());
    }
    let (asked, of) = (settings.clone(), place.clone());
    let read = tokio::task::spawn_blocking(move || Read::of(&asked, &of)).await;
    let read = read.map_err(|error| Unready::Away(error.to_string()))??;
    let message = read.chunk.message(&place.topic, place.partition, 0);
    let mut routes = Vec::new();
    for route in ours {
        routes.push(routed(settings, &sources, route, &message, &read).await?);
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let time =
        |ms| DateTime::from_timestamp_millis(ms).map(|at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
    Ok(Explanation {
        place: place.clone(),
        timestamp: message.timestamp_ms.and_then(time),
        key: message.key.map(text),
        value: message.value.map(text),
        bytes: message.value.unwrap_or_default().len(),
        headers: message
            .headers
            .iter()
            .map(|(name, value)| (text(name), text(value.unwrap_or_default())))
            .collect(),
        group: settings.consumer.group.clone(),
        committed: read.committed,
        routes,
    })
}

async fn routed(
    settings: &Settings,
    sources: &Sources,
    route: usize,
    message: &Message<'_>,
    read: &Read,
) -> Result<Routed, Unready> {
    let source = &sources.routes[route];
    let table = &sources.tables[source.table];
    let plan = source.plan.of(message);
    let now_ms = Utc::now().timestamp_millis();
    let mut rows = Rows::new(plan.width());
    let bytes_max = settings.consumer.row_bytes_max;
    let decoded = Decoder::default().decode_within(bytes_max, plan, message, now_ms, &mut rows);
    let letter = read.letters.get(&table.name);
    let committed = read.committed.is_some_and(|committed| message.offset < committed);
    let mut columns = Vec::new();
    // A cell that is there shows that it was stored; what is not there shows nothing of a delete.
    let mut shows = false;
    let (decision, verdict) = match decoded {
        Err(error) => {
            let class = error.class.name().to_owned();
            (Decision::DataError { class, reason: error.reason }, Verdict::Nowhere)
        }
        Ok(Decoded::Expired) => (Decision::Expired, Verdict::Expired),
        Ok(Decoded::Row) => {
            let key = source.key(plan, &rows, 0);
            let found =
                sources.read(source.table, std::slice::from_ref(&key)).await.map_err(Unready::Away)?;
            let there = found.get(&key);
            let effect = sources.effect(route, plan, &rows, 0, age_s(message, now_ms));
            let standings: Vec<Standing> = match there {
                Some(there) => effect.standings(there).filter_map(|(standing, _)| standing).collect(),
                None if effect.deletes => Vec::new(),
                None => vec![Standing::Absent],
            };
            let verdict = verdict(&standings, effect.fades);
            shows = verdict == Verdict::Stored && !effect.deletes;
            columns = shown(table.select.columns(), plan, &rows, &effect, there);
            let ttl_s = if plan.expires() { number(rows.cell(0, plan.columns.len() + 1)) } else { None };
            let decision = Decision::Row { deletes: plan.deletes, writetime: effect.writetime, ttl_s };
            (decision, verdict)
        }
    };
    let verdict = match (verdict, letter) {
        (verdict, _) if shows || decision == Decision::Expired => verdict,
        (_, Some(Some(_))) => Verdict::DeadLettered,
        (_, Some(None)) => Verdict::Purged,
        (Verdict::Stored | Verdict::Superseded | Verdict::Expired, None) => verdict,
        (_, None) if !committed => Verdict::NotCommitted,
        (verdict, None) => verdict,
    };
    let dead_letter = letter.map(|reason| reason.clone().unwrap_or_else(|| "purged".to_owned()));
    let (file, table) = (source.file.clone(), table.name.clone());
    Ok(Routed { file, table, decision, dead_letter, columns, verdict })
}

fn verdict(standings: &[Standing], fades: bool) -> Verdict {
    let any = |wanted: fn(&Standing) -> bool| standings.iter().any(wanted);
    if any(|standing| matches!(standing, Standing::Older(_) | Standing::Tied)) {
        Verdict::Wrong
    } else if any(|standing| *standing == Standing::Absent) && !fades {
        Verdict::Absent
    } else if any(|standing| matches!(standing, Standing::Newer(_))) {
        Verdict::Superseded
    } else if any(|standing| *standing == Standing::Absent) {
        Verdict::Expired
    } else {
        Verdict::Stored
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_the_outcome_that_an_audit_would_count() {
        use Standing::{Absent, Newer, Older, Same, Tied};
        assert_eq!(verdict(&[], false), Verdict::Stored);
        assert_eq!(verdict(&[Same, Same], true), Verdict::Stored);
        assert_eq!(verdict(&[Absent], true), Verdict::Expired);
        assert_eq!(verdict(&[Same, Absent], true), Verdict::Expired);
        assert_eq!(verdict(&[Newer(7), Absent], true), Verdict::Superseded);
        assert_eq!(verdict(&[Newer(7), Absent], false), Verdict::Absent);
        assert_eq!([verdict(&[Older(1)], true), verdict(&[Tied], true)], [Verdict::Wrong; 2]);
    }
}
