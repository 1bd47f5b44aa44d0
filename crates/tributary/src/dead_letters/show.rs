//! `show`: one letter in full, and what the routes make of its message today.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use consumer::dead_letter::replay::{Judged, Replay};
use consumer::dead_letter::{Address, Letter, SUFFIX};
use consumer::message::Chunk;
use consumer::route::Route;
use consumer::{Settings, Sink};
use serde::Serialize;

use super::{Filters, Show, configured};
use crate::print::{aside, counted, line, output, raw, safe};

/// Bytes of a header or of a key that are shown.
const WORDS_MAX: usize = 500;
/// Bytes of the value that are shown; `--raw` has them all.
const VALUE_MAX: usize = 4_000;

#[derive(Serialize)]
struct Json<'a> {
    address: String,
    group: &'a str,
    table: &'a str,
    class: &'a str,
    reason: &'a str,
    replays: u32,
    timestamp_ms: Option<i64>,
    key_base64: Option<String>,
    /// The message's own; of those with one name the last.
    headers: BTreeMap<String, Option<String>>,
    /// Null where the message had no value.
    value_base64: Option<String>,
    today: String,
}

pub(super) async fn run(show: Show) -> anyhow::Result<i32> {
    let (settings, routes) = configured(&show.common)?;
    let filters = Filters {
        topic: Vec::new(),
        table: show.table.into_iter().collect(),
        cause: Vec::new(),
        addresses: vec![show.address.clone()],
    };
    let (letters, select) = filters.read(&settings, &routes).await?;
    let mut selected = letters.select(&select);
    let Some((topic, selected)) = selected.pop() else {
        return Ok(none(&show.address, &select.group));
    };
    let records = letters.records(&topic, &selected).await;
    let records = records.map_err(|error| crate::exit::Unavailable(error.to_string()))?;
    let source = format!("{topic}{SUFFIX}");
    let mut found = Vec::new();
    for run in records.spans() {
        let places = run.messages.clone();
        let record = |place| Letter::of(records.message(&source, run.partition.number, place)).ok();
        found.extend(places.filter_map(record));
    }
    let Some(letter) = found.first() else { return Ok(none(&show.address, &select.group)) };
    if show.raw {
        raw(letter.value().unwrap_or_default())?;
        return Ok(0);
    }
    let today = today(&settings, routes, letter).await;
    let mut text = screen(letter, &today);
    if found.len() > 1 {
        let tables: Vec<&str> = found.iter().map(|letter| letter.table).collect();
        let tables = safe(&tables.join(", "), WORDS_MAX);
        line(
            &mut text,
            format_args!("\nThis message is dead for several tables, --table names one: {tables}"),
        );
    }
    output(&text, show.common.json, &json(letter, today))?;
    Ok(0)
}

fn none(address: &Address, group: &str) -> i32 {
    aside(&format!(
        "no dead letter of the group {group} stands for {address}; tributary dead-letters list tells those that do\n"
    ));
    1
}

// Cassandra may be away, and the letter is shown all the same.
async fn today(settings: &Settings, routes: Result<Vec<Route>, String>, letter: &Letter<'_>) -> String {
    let routes = match routes {
        _ if settings.consumer.sink == Sink::Csv => return "not tried: consumer.sink is csv".to_owned(),
        Ok(routes) => routes,
        Err(problems) => return format!("not tried: {problems}"),
    };
    let replay = match Replay::open(settings, routes).await {
        Ok(replay) => replay,
        Err(why) => return format!("not tried: {why}"),
    };
    let mut chunk = Chunk::default();
    letter.restore(&mut chunk);
    let message = chunk.message(letter.topic, letter.partition, 0);
    match replay.judge(letter, &message, chrono::Utc::now().timestamp_millis()) {
        Judged::Rows(_) if message.value.is_none() => "a delete, if the table takes it".to_owned(),
        Judged::Rows(rows) => format!("{}, if the table takes it", counted(rows.len(), "row")),
        Judged::Expired => "nothing: its time to live has passed".to_owned(),
        Judged::Dead(error) => format!("dead still: {}: {}", error.class.name(), error.reason),
        Judged::Unrouted => format!("nothing: no route leads from {} to {}", letter.topic, letter.table),
    }
}

fn screen(letter: &Letter<'_>, today: &str) -> String {
    let mut text = String::new();
    let mut say = |name: &str, words: &str, max: usize| {
        line(&mut text, format_args!("{name:<10} {}", safe(words, max)));
    };
    say("message", &letter.address().to_string(), WORDS_MAX);
    say("table", letter.table, WORDS_MAX);
    say("reason", &format!("{}: {}", letter.class, letter.reason), WORDS_MAX);
    say("today", today, WORDS_MAX);
    say("group", letter.group, WORDS_MAX);
    let timestamp = letter.timestamp_ms.map(|ms| {
        let at = chrono::DateTime::from_timestamp_millis(ms);
        at.map_or_else(|| ms.to_string(), |at| at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
    });
    say("timestamp", timestamp.as_deref().unwrap_or("none"), WORDS_MAX);
    if letter.replays > 0 {
        say("replays", &letter.replays.to_string(), WORDS_MAX);
    }
    say("key", &bytes(letter.key(), WORDS_MAX), WORDS_MAX);
    for (name, value) in letter.headers() {
        let header = format!("{} = {}", String::from_utf8_lossy(name), bytes(value, WORDS_MAX));
        say("header", &header, WORDS_MAX);
    }
    say("value", &counted(letter.value().unwrap_or_default().len(), "byte"), WORDS_MAX);
    line(&mut text, format_args!("{}", safe(&bytes(letter.value(), VALUE_MAX), VALUE_MAX)));
    text
}

// As text where it is one.
fn bytes(bytes: Option<&[u8]>, max: usize) -> String {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => "none".to_owned(),
        Some((_, Ok(text))) => text.to_owned(),
        Some((bytes, Err(_))) => {
            let digits = bytes.iter().take(max / 2).map(|byte| format!("{byte:02x}"));
            format!("0x{}", digits.collect::<String>())
        }
    }
}

fn json<'a>(letter: &Letter<'a>, today: String) -> Json<'a> {
    let header = |(name, value): (&[u8], Option<&[u8]>)| {
        let text = value.map(|value| String::from_utf8_lossy(value).into_owned());
        (String::from_utf8_lossy(name).into_owned(), text)
    };
    Json {
        address: letter.address().to_string(),
        group: letter.group,
        table: letter.table,
        class: letter.class,
        reason: letter.reason,
        replays: letter.replays,
        timestamp_ms: letter.timestamp_ms,
        key_base64: letter.key().map(|key| STANDARD.encode(key)),
        headers: letter.headers().map(header).collect(),
        value_base64: letter.value().map(|value| STANDARD.encode(value)),
        today,
    }
}
