//! Wikimedia recent changes: server-sent events -> topic wikipedia -> kafkapipeline.wikipediadata.
//!
//! A change's identity is `meta.id`; where it is absent, a UUIDv5 of the upstream's own topic, partition and offset.
//! The schema: mediawiki/recentchange 1.0.0 and 1.0.1 of <https://schema.wikimedia.org>; the stream adds fields to it,
//! so unknown ones are ignored. Canary events come at least hourly, to show that the stream is alive.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::instant::{Millis, Seconds};
use crate::settings::Section;
use crate::{Dataset, Event, Message, ParseError, SettingsError, Streamed, Upstream};

/// Edits, new pages and log entries of every Wikimedia wiki.
pub static DATASET: Dataset = Dataset {
    name: "wikipedia",
    topic: "wikipedia",
    table: "kafkapipeline.wikipediadata",
    about: "recent changes of every Wikimedia wiki, streamed from Wikimedia",
    upstream: Upstream::Streamed {
        base_url: "https://stream.wikimedia.org",
        path: "/v2/stream/recentchange",
        new: |section| Ok(Box::new(Wikipedia::new(section)?)),
    },
};

const KEYS: &[&str] = &["base_url"];

struct Wikipedia;

impl Wikipedia {
    fn new(value: &Value) -> Result<Self, SettingsError> {
        Section::open("wikipedia", value, KEYS)?;
        Ok(Self)
    }
}

impl Streamed for Wikipedia {
    fn parse(&self, data: &str) -> Result<Event, ParseError> {
        // A canary carries little more than its meta, so that is read first and alone.
        let Envelope { meta } = serde_json::from_str(data).map_err(|error| ParseError::json(&error))?;
        if meta.domain.as_deref() == Some("canary") {
            return Ok(Event::Canary);
        }
        let body: Body<'_> = serde_json::from_str(data).map_err(|error| ParseError::json(&error))?;
        let change = publish(meta, body)?;
        let at = change.dt.time();
        Ok(Event::Change { message: Message::of(change.id.to_string(), &change), at })
    }
}

#[derive(Deserialize)]
struct Envelope {
    meta: Meta,
}

#[derive(Deserialize)]
struct Meta {
    dt: String,
    id: Option<String>,
    domain: Option<String>,
    uri: Option<String>,
    request_id: Option<String>,
    topic: Option<String>,
    partition: Option<i64>,
    offset: Option<i64>,
}

impl Meta {
    fn identity(&self) -> Result<Uuid, ParseError> {
        if let Some(id) = self.id.as_deref().and_then(|id| Uuid::try_parse(id).ok()) {
            return Ok(id);
        }
        let (Some(topic), Some(partition), Some(offset)) = (&self.topic, self.partition, self.offset) else {
            return Err(ParseError::malformed(
                "meta",
                "neither a UUID in id, nor topic, partition and offset",
            ));
        };
        let name = format!("https://stream.wikimedia.org/{topic}/{partition}/{offset}");
        Ok(Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()))
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    id: Option<i64>,
    r#type: Option<String>,
    namespace: Option<i32>,
    title: Option<String>,
    title_url: Option<String>,
    comment: Option<String>,
    parsedcomment: Option<String>,
    timestamp: Option<i64>,
    user: Option<String>,
    bot: Option<bool>,
    minor: Option<bool>,
    patrolled: Option<bool>,
    wiki: Option<String>,
    length: Option<Pair>,
    revision: Option<Pair>,
    server_name: Option<String>,
    server_url: Option<String>,
    server_script_path: Option<String>,
    notify_url: Option<String>,
    log_id: Option<i64>,
    log_type: Option<String>,
    log_action: Option<String>,
    log_action_comment: Option<String>,
    #[serde(borrow)]
    log_params: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Pair {
    old: Option<i64>,
    new: Option<i64>,
}

/// A change as published. A redacted page's user is absent upstream, and here.
#[derive(Serialize)]
struct Change<'a> {
    id: Uuid,
    dt: Millis,
    wiki: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bot: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minor: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patrolled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parsed_comment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recent_change_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length_old: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length_new: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision_old: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision_new: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_script_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notify_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_action_comment: Option<String>,
    /// An object, an array or a text: kept as it came, because its shape depends on the kind of log entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_params: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed_at: Option<Seconds>,
}

fn publish(meta: Meta, body: Body<'_>) -> Result<Change<'_>, ParseError> {
    let id = meta.identity()?;
    let dt = Millis::from_rfc3339(&meta.dt)
        .ok_or_else(|| ParseError::malformed("meta.dt", format!("{:?} is no RFC 3339 time", meta.dt)))?;
    let changed_at = match body.timestamp {
        None => None,
        Some(epoch_s) => Some(Seconds::from_epoch_s(epoch_s).ok_or_else(|| {
            ParseError::malformed("timestamp", format!("{epoch_s} is no time in seconds since 1970"))
        })?),
    };
    let present = |name: &String| !name.is_empty();
    let wiki = body.wiki.filter(present).or_else(|| meta.domain.clone().filter(present));
    let length = body.length.unwrap_or_default();
    let revision = body.revision.unwrap_or_default();
    Ok(Change {
        id,
        dt,
        wiki: wiki.unwrap_or_else(|| "unknown".to_owned()),
        r#type: body.r#type,
        title: body.title,
        title_url: body.title_url,
        namespace: body.namespace,
        user: body.user,
        bot: body.bot,
        minor: body.minor,
        patrolled: body.patrolled,
        comment: body.comment,
        parsed_comment: body.parsedcomment,
        recent_change_id: body.id,
        length_old: length.old,
        length_new: length.new,
        revision_old: revision.old,
        revision_new: revision.new,
        domain: meta.domain,
        uri: meta.uri,
        request_id: meta.request_id,
        server_name: body.server_name,
        server_url: body.server_url,
        server_script_path: body.server_script_path,
        notify_url: body.notify_url,
        log_id: body.log_id,
        log_type: body.log_type,
        log_action: body.log_action,
        log_action_comment: body.log_action_comment,
        log_params: body.log_params,
        changed_at,
    })
}
