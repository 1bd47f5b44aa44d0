//! Seed and number -> the JSON of one recentchange event, in the wire's order of fields.

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;
use serde_json::Value;

use super::log;
use super::words::{self, HOSTILE, WIKIS, Wiki};
use crate::dice::{Dice, hash};

const STREAM: &str = "mediawiki.recentchange";
const CANARY_EVERY_S: u64 = 60;

/// Absent, null, or a value.
type Nullable<T> = Option<Option<T>>;

#[derive(Serialize)]
struct Change<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    meta: Meta<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Nullable<u64>,
    #[serde(rename = "type")]
    kind: &'static str,
    namespace: i32,
    title: &'a str,
    title_url: String,
    comment: &'a str,
    timestamp: i64,
    /// Deleted where the page is redacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    bot: bool,
    #[serde(flatten)]
    log: Option<Log>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notify_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minor: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patrolled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<Pair>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<Pair>,
    server_url: String,
    server_name: &'a str,
    server_script_path: &'static str,
    wiki: &'a str,
    parsedcomment: &'a str,
}

#[derive(Serialize)]
struct Meta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<&'a str>,
    request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    domain: &'a str,
    stream: &'static str,
    dt: String,
    topic: &'static str,
    partition: u32,
    offset: u64,
}

#[derive(Serialize)]
struct Canary<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    meta: Meta<'a>,
}

#[derive(Serialize)]
struct Log {
    log_id: Option<u64>,
    log_type: Option<&'static str>,
    log_action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_params: Option<Value>,
    log_action_comment: String,
}

#[derive(Serialize)]
struct Pair {
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Nullable<u64>,
    new: u64,
}

/// The place of an event in the stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) n: u64,
    /// Since 1970.
    pub(super) ms: i64,
    /// Of the datacentre that takes the edits then.
    pub(super) topic: &'static str,
}

/// The event of a slot, as one line of JSON.
pub(super) fn write(seed: u64, slot: Slot, per_s: u32) -> String {
    let mut dice = Dice::new(&[seed, hash(STREAM), slot.n]);
    let canary_every = CANARY_EVERY_S * u64::from(per_s.max(1));
    if slot.n % canary_every == canary_every / 2 {
        let meta = meta(&mut dice, slot, "canary", None, true);
        return text(&Canary { schema: "/mediawiki/recentchange/1.0.0", meta });
    }
    let wiki = dice.weighted(&WIKIS, |wiki| wiki.weight);
    match dice.below(100) {
        0..=58 => page(&mut dice, wiki, slot, "edit"),
        59..=64 => page(&mut dice, wiki, slot, "new"),
        65..=88 => plain(&mut dice, wiki, slot, "categorize"),
        89..=91 => plain(&mut dice, wiki, slot, "external"),
        _ => logged(&mut dice, wiki, slot),
    }
}

/// What every kind of event says alike.
struct Common {
    title: String,
    namespace: i32,
    comment: String,
    html: String,
}

fn page(dice: &mut Dice, wiki: &Wiki, slot: Slot, kind: &'static str) -> String {
    let mut title = words::title(dice, wiki.script);
    let mut namespace = if wiki.script == "file" { 6 } else { 0 };
    if namespace == 0 && wiki.script != "item" && dice.percent(12) {
        let (number, prefix) =
            dice.pick(&[(1, "Talk:"), (3, "User talk:"), (4, "Project:"), (10, "Template:")]);
        (namespace, title) = (number, format!("{prefix}{title}"));
    }
    let (comment, html) = words::comment(dice, wiki, &title);
    let (old_len, new_len) = (dice.below(200_000), dice.below(200_000));
    let revision = serial(wiki, slot.n);
    let new = kind == "new";
    // Mostly absent on a new page, null on some: both are on the wire.
    let old = |value| match (new, slot.n.is_multiple_of(4)) {
        (false, _) => Some(Some(value)),
        (true, true) => Some(None),
        (true, false) => None,
    };
    let before = revision - 1 - dice.below(5000);
    let query = if new { format!("oldid={revision}") } else { format!("diff={revision}&oldid={before}") };
    let patrolled = wiki.patrols.then(|| dice.percent(60));
    let common = Common { title, namespace, comment, html };
    finish(dice, wiki, slot, kind, common, |change, dice| {
        change.notify_url = Some(format!("https://{}/w/index.php?{query}", wiki.domain));
        change.minor = Some(dice.percent(20));
        change.patrolled = patrolled;
        change.length = Some(Pair { old: old(old_len), new: new_len });
        change.revision = Some(Pair { old: old(before), new: revision });
    })
}

fn plain(dice: &mut Dice, wiki: &Wiki, slot: Slot, kind: &'static str) -> String {
    // Items and files are put into categories too; external changes come from the items to the articles.
    let script = if wiki.script == "item" { "latin" } else { wiki.script };
    let about = words::title(dice, script);
    let common = if kind == "categorize" {
        let comment = format!("[[:{about}]] added to category");
        let html =
            format!("<a href=\"/wiki/{0}\">{1}</a> added to category", words::percent_encoded(&about), about);
        let title =
            format!("Category:{}", words::noun(dice, if script == "file" { "latin" } else { script }));
        Common { title, namespace: 14, comment, html }
    } else {
        let comment = "/* wbsetclaim-create:2||1 */ [[Property:P31]]: [[Q5]]".to_owned();
        let namespace = if script == "file" { 6 } else { 0 };
        Common { title: about, namespace, html: words::escaped(&comment), comment }
    };
    let diff = serial(wiki, slot.n);
    finish(dice, wiki, slot, kind, common, |change, _| {
        change.notify_url =
            Some(format!("https://{}/w/index.php?diff={diff}&oldid={}", wiki.domain, diff - 1));
    })
}

fn logged(dice: &mut Dice, wiki: &Wiki, slot: Slot) -> String {
    let entry = log::entry(dice, wiki, slot.ms.div_euclid(1000));
    let (comment, html) = words::comment(dice, wiki, &entry.title);
    let log = Log {
        log_id: (entry.has_id && !dice.one_in(30)).then(|| serial(wiki, slot.n) % 200_000_000),
        log_type: (!dice.one_in(60)).then_some(entry.kind),
        log_action: entry.action,
        log_params: entry.params,
        log_action_comment: format!("{} {} [[{}]]: {comment}", entry.action, entry.kind, entry.title),
    };
    let common = Common { title: entry.title, namespace: entry.namespace, comment, html };
    finish(dice, wiki, slot, "log", common, |change, _| {
        if !entry.has_id {
            change.id = Some(None);
        }
        change.log = Some(log);
    })
}

fn finish(
    dice: &mut Dice,
    wiki: &Wiki,
    slot: Slot,
    kind: &'static str,
    mut common: Common,
    own: impl FnOnce(&mut Change<'_>, &mut Dice),
) -> String {
    let bots = match wiki.script {
        "item" => 50,
        "file" => 30,
        _ => 12,
    };
    let bot = dice.percent(bots);
    let mut user = words::user(dice, bot);
    if dice.one_in(60) {
        let text = dice.pick(&HOSTILE).to_owned();
        match dice.below(3) {
            0 => common.title = text,
            1 => user = text,
            _ => (common.html, common.comment) = (words::escaped(&text), text),
        }
    }
    if dice.one_in(3000) {
        // The longest comment that MediaWiki takes, and HTML beyond any reader's first guess.
        common.comment = "🦜".repeat(500);
        common.html = format!("<b>{}</b>", common.comment).repeat(20);
    }
    let encoded = words::percent_encoded(&common.title);
    let uri = format!("https://{}/wiki/{encoded}", wiki.domain);
    // An edit comes to the stream up to a second after it was made: history is not in order of time.
    let made_ms = slot.ms - dice.between(0, 900);
    let timestamp = made_ms.div_euclid(1000) - i64::from(dice.percent(30));
    let has_id = !dice.one_in(400);
    let redacted = dice.one_in(200);
    let mut change = Change {
        // Since 1.0.1 `meta.id` may be missing.
        schema: if has_id { "/mediawiki/recentchange/1.0.0" } else { "/mediawiki/recentchange/1.0.1" },
        meta: meta(dice, Slot { ms: made_ms, ..slot }, wiki.domain, Some(&uri), has_id),
        id: (!dice.one_in(300)).then(|| Some(serial(wiki, slot.n) + 7)),
        kind,
        namespace: common.namespace,
        title: &common.title,
        title_url: uri.clone(),
        comment: &common.comment,
        timestamp,
        user: (!redacted).then_some(user),
        bot,
        log: None,
        notify_url: None,
        minor: None,
        patrolled: None,
        length: None,
        revision: None,
        server_url: format!("https://{}", wiki.domain),
        server_name: wiki.domain,
        server_script_path: "/w",
        wiki: wiki.database,
        parsedcomment: &common.html,
    };
    own(&mut change, dice);
    text(&change)
}

fn meta<'a>(dice: &mut Dice, slot: Slot, domain: &'a str, uri: Option<&'a str>, has_id: bool) -> Meta<'a> {
    let time = DateTime::from_timestamp_millis(slot.ms).unwrap_or_default();
    let id = dice.uuid().to_string();
    Meta {
        uri,
        request_id: dice.uuid().to_string(),
        id: has_id.then_some(id),
        domain,
        stream: STREAM,
        dt: time.to_rfc3339_opts(SecondsFormat::Millis, true),
        topic: slot.topic,
        partition: 0,
        offset: slot.n,
    }
}

/// Revision and change numbers that grow with the events; those of the busiest wikis are beyond 32 bits.
fn serial(wiki: &Wiki, n: u64) -> u64 {
    let base = if wiki.weight > 100 { 4_300_000_000 } else { 70_000_000 };
    base + n % 1_000_000_000
}

fn text(event: &impl Serialize) -> String {
    serde_json::to_string(event).expect("a struct of strings and numbers serialises")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn noon(seed: u64, n: u64) -> String {
        write(seed, Slot { n, ms: 1_767_355_200_000, topic: "codfw.mediawiki.recentchange" }, 25)
    }

    fn events(range: std::ops::Range<u64>) -> Vec<Value> {
        range.map(|n| serde_json::from_str(&noon(1, n)).unwrap()).collect()
    }

    #[test]
    fn event_is_a_function_of_seed_and_number() {
        assert_eq!(noon(1, 42), noon(1, 42));
        assert_ne!(noon(1, 42), noon(2, 42));
        let ids: BTreeSet<String> =
            events(0..3000).iter().filter_map(|e| e["meta"]["id"].as_str().map(str::to_owned)).collect();
        assert!(ids.len() > 2950, "{}", ids.len());
    }

    #[test]
    fn two_minutes_hold_two_minimal_canaries() {
        let canaries: Vec<Value> =
            events(0..3000).into_iter().filter(|e| e["meta"]["domain"] == "canary").collect();
        assert_eq!(canaries.len(), 2);
        let keys: Vec<&String> = canaries[0].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["$schema", "meta"]);
    }

    #[test]
    fn every_kind_has_the_fields_of_its_kind() {
        let mut counts = BTreeMap::new();
        for event in events(0..6000) {
            let Some(kind) = event["type"].as_str() else { continue };
            *counts.entry(kind.to_owned()).or_insert(0) += 1;
            let has = |field: &str| event.get(field).is_some();
            assert_eq!(has("length") && has("minor"), ["edit", "new"].contains(&kind), "{event}");
            assert_eq!(has("log_action"), kind == "log", "{event}");
            assert_eq!(event["length"]["old"].is_u64(), kind == "edit", "{event}");
            assert_eq!(event["meta"]["uri"], event["title_url"]);
        }
        let kinds: Vec<&str> = counts.keys().map(String::as_str).collect();
        assert_eq!(kinds, ["categorize", "edit", "external", "log", "new"]);
        assert!(counts["edit"] > counts["categorize"], "{counts:?}");
    }

    #[test]
    fn twenty_thousand_events_show_every_trap() {
        let events = events(0..20_000);
        let any = |claim: &str, is: &dyn Fn(&Value) -> bool| assert!(events.iter().any(is), "none: {claim}");
        any("log_params as object", &|e| e["log_params"].is_object());
        any("log_params as array", &|e| e["log_params"].is_array());
        any("log_params as string", &|e| e["log_params"].is_string());
        any("log without log_params", &|e| e["type"] == "log" && e.get("log_params").is_none());
        any("log_id null", &|e| e.get("log_id").is_some_and(Value::is_null));
        any("log_type null", &|e| e.get("log_type").is_some_and(Value::is_null));
        any("id null", &|e| e.get("id").is_some_and(Value::is_null));
        any("id absent", &|e| e["type"] == "edit" && e.get("id").is_none());
        any("user redacted", &|e| e["type"] == "edit" && e.get("user").is_none());
        any("meta.id absent", &|e| e["meta"].get("id").is_none());
        any("length.old null", &|e| e["length"].get("old").is_some_and(Value::is_null));
        any("length.old absent", &|e| e["type"] == "new" && e["length"].get("old").is_none());
        any("patrolled absent", &|e| e["type"] == "edit" && e.get("patrolled").is_none());
        any("bot", &|e| e["bot"] == true);
        any("revision beyond 32 bits", &|e| e["revision"]["new"].as_u64() > Some(u64::from(u32::MAX)));
        any("very long", &|e| e["parsedcomment"].as_str().is_some_and(|html| html.len() > 30_000));
        for field in ["title", "user", "comment"] {
            let seen = HOSTILE.iter().filter(|text| events.iter().any(|e| e[field] == **text)).count();
            assert!(seen > HOSTILE.len() / 2, "{field}: {seen}");
        }
        let wikis: BTreeSet<&str> = events.iter().filter_map(|e| e["wiki"].as_str()).collect();
        assert!(wikis.len() >= 40, "{}", wikis.len());
    }
}
