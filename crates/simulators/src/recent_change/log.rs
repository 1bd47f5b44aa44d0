//! Dice -> one entry of MediaWiki's logs. `log_params` comes as object, array and string, as on the wire.

use serde_json::{Value, json};

use super::words::{self, Wiki};
use crate::dice::Dice;

/// The log's own part of an event.
pub(super) struct Entry {
    pub(super) title: String,
    pub(super) namespace: i32,
    pub(super) kind: &'static str,
    pub(super) action: &'static str,
    /// Absent for some.
    pub(super) params: Option<Value>,
    /// Filter hits are no recent changes of their own: their `id` is null.
    pub(super) has_id: bool,
}

pub(super) fn entry(dice: &mut Dice, wiki: &Wiki, dt_s: i64) -> Entry {
    let page = |dice: &mut Dice| match wiki.script {
        "file" => (words::title(dice, "file"), 6),
        script => (words::title(dice, script), 0),
    };
    let user = |dice: &mut Dice| (format!("User:{}", words::user(dice, false)), 2);
    let made = |(title, namespace), kind, action, params| Entry {
        title,
        namespace,
        kind,
        action,
        params,
        has_id: kind != "abusefilter",
    };
    match dice.below(14) {
        0 | 1 => made(user(dice), "newusers", "create", Some(json!({"userid": dice.below(60_000_000)}))),
        2 => {
            let target = words::title(dice, wiki.script);
            made(page(dice), "move", "move", Some(json!({"target": target, "noredir": "0"})))
        }
        3 => {
            let params = json!({
                "duration": "31 hours",
                "flags": "anononly,nocreate",
                "sitewide": true,
                "expiry": dt_s + 111_600,
            });
            made(user(dice), "block", "block", Some(params))
        }
        4 | 5 => {
            let file = (words::title(dice, "file"), 6);
            let params = json!({"img_sha1": dice.hex(31), "img_timestamp": "20260102120000"});
            made(file, "upload", if dice.percent(80) { "upload" } else { "overwrite" }, Some(params))
        }
        6 => made(page(dice), "delete", "delete", Some(json!([]))),
        7 => made(user(dice), "thanks", "thank", Some(json!([]))),
        8 => {
            let (new, old) = (dice.below(1 << 31).to_string(), dice.below(1 << 31).to_string());
            made(page(dice), "patrol", "patrol", Some(json!([new, old, "0"])))
        }
        9 => {
            let params = json!({
                "description": "[edit=sysop] (indefinite)",
                "cascade": false,
                "details": [{"type": "edit", "level": "sysop", "expiry": "infinity", "cascade": false}],
            });
            made(page(dice), "protect", "protect", Some(params))
        }
        10 => made(user(dice), "rights", "rights", Some(json!("editor\neditor, sysop"))),
        11 => {
            let target = words::title(dice, wiki.script);
            made(page(dice), "move", "move_redir", Some(Value::String(format!("{target}\n1"))))
        }
        12 => {
            let params = json!({
                "action": "edit",
                "filter": dice.below(300).to_string(),
                "actions": "tag",
                "log": dice.below(40_000_000),
            });
            made(page(dice), "abusefilter", "hit", Some(params))
        }
        _ => made(page(dice), "delete", "restore", None),
    }
}
