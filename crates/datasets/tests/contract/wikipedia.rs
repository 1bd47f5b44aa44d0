//! Wikimedia recent changes: every type of change, and what the schema leaves open.

use datasets::{Event, ParseError};
use serde_json::{Value, json};

use crate::bodies::{event, fixture, value};

fn text(fixture_name: &str) -> String {
    String::from_utf8(fixture(fixture_name)).expect("UTF-8")
}

/// The published change of a fixture, having checked that it is keyed by its id.
fn change(fixture_name: &str) -> Value {
    match event(&text(fixture_name)) {
        Ok(Event::Change { message, at }) => {
            let change = value(&message);
            assert_eq!(change["id"], message.key.as_str());
            let dt =
                chrono::DateTime::parse_from_rfc3339(change["dt"].as_str().expect("a text")).expect("a time");
            assert_eq!(at, dt);
            assert!(change.as_object().expect("an object").values().all(|v| !v.is_null()), "{change}");
            change
        }
        other => panic!("{fixture_name} is no change but {other:?}"),
    }
}

/// The published text after `"log_params":`.
fn log_params(fixture_name: &str) -> Option<String> {
    let Ok(Event::Change { message, .. }) = event(&text(fixture_name)) else {
        panic!("{fixture_name} is no change")
    };
    let published = String::from_utf8(message.value).expect("UTF-8");
    let (_, rest) = published.split_once("\"log_params\":")?;
    let (params, _) = rest.rsplit_once(",\"changed_at\"").expect("changed_at comes last");
    Some(params.to_owned())
}

#[test]
fn an_edit_is_published_with_every_field() {
    let expected = json!({
        "id": "c2a5f6d4-91e0-4c44-9c0e-5a3a7c1d2e90",
        "dt": "2026-01-02T12:00:00.122Z",
        "wiki": "nlwiki",
        "type": "edit",
        "title": "Zwaluw",
        "title_url": "https://nl.wikipedia.org/wiki/Zwaluw",
        "namespace": 0,
        "user": "Voorbeeld",
        "bot": false,
        "minor": true,
        "patrolled": true,
        "comment": "typo",
        "parsed_comment": "typo",
        "recent_change_id": 150000123,
        "length_old": 5120,
        "length_new": 5121,
        "revision_old": 70000001,
        "revision_new": 70000002,
        "domain": "nl.wikipedia.org",
        "uri": "https://nl.wikipedia.org/wiki/Zwaluw",
        "request_id": "3f0c2b1e-7d55-4f0a-8a67-0b9d9b0a6e11",
        "server_name": "nl.wikipedia.org",
        "server_url": "https://nl.wikipedia.org",
        "server_script_path": "/w",
        "notify_url": "https://nl.wikipedia.org/w/index.php?diff=70000002&oldid=70000001",
        "changed_at": "2026-01-02T11:59:59Z",
    });
    assert_eq!(change("wikipedia/edit.json"), expected);
}

#[test]
fn a_new_page_has_no_old_length_and_no_old_revision() {
    let change = change("wikipedia/new.json");
    assert_eq!(change["type"], "new");
    assert_eq!(change["length_new"], 812);
    assert_eq!(change["revision_new"], 70000010);
    assert_eq!(change.get("length_old"), None);
    assert_eq!(change.get("revision_old"), None);
    assert_eq!(change.get("patrolled"), None, "this wiki does not patrol");
}

#[test]
fn log_params_that_are_an_object_are_kept_digit_by_digit() {
    let change = change("wikipedia/log_params_object.json");
    assert_eq!(change["type"], "log");
    assert_eq!(change["log_id"], 9100001);
    assert_eq!(change["log_type"], "block");
    assert_eq!(change["log_action"], "block");
    assert_eq!(change["log_action_comment"], "blocked: test account");
    assert_eq!(change.get("minor"), None);
    let params = log_params("wikipedia/log_params_object.json").expect("present");
    let expected =
        r#"{"duration":"31 hours","flags":["nocreate"],"sitewide":true,"big":12345678901234567890123}"#;
    assert_eq!(params, expected);
}

#[test]
fn log_params_that_are_an_array_are_kept() {
    assert_eq!(change("wikipedia/log_params_array.json")["log_params"], json!([]));
}

#[test]
fn log_params_that_are_a_text_are_kept() {
    assert_eq!(change("wikipedia/log_params_text.json")["log_params"], "70000002\n70000001\n1");
    assert_eq!(log_params("wikipedia/log_params_text.json").expect("present"), r#""70000002\n70000001\n1""#);
}

#[test]
fn log_params_that_are_absent_stay_absent() {
    let change = change("wikipedia/log_params_absent.json");
    assert_eq!(change.get("log_params"), None);
    assert_eq!(change["log_action"], "create");
}

#[test]
fn a_categorization_has_neither_length_nor_revision() {
    let change = change("wikipedia/categorize.json");
    assert_eq!(change["type"], "categorize");
    assert_eq!(change["namespace"], 14);
    assert_eq!(change["title"], "Categorie:Zwaluwen");
    for absent in ["length_old", "length_new", "revision_old", "revision_new", "minor", "patrolled"] {
        assert_eq!(change.get(absent), None, "{absent}");
    }
}

#[test]
fn an_external_change_is_a_change() {
    let change = change("wikipedia/external.json");
    assert_eq!(change["type"], "external");
    assert_eq!(change["bot"], true);
    assert_eq!(change["parsed_comment"], "", "an empty text is a value");
    assert_eq!(change.get("title_url"), None);
}

#[test]
fn a_canary_is_a_sign_of_life_and_no_change() {
    assert_eq!(event(&text("wikipedia/canary.json")), Ok(Event::Canary));
}

#[test]
fn a_redacted_user_is_absent() {
    let change = change("wikipedia/redacted_user.json");
    assert_eq!(change.get("user"), None);
    assert_eq!(change["title"], "Zwaluw");
}

#[test]
fn a_change_without_meta_id_is_identified_by_its_place_in_the_upstreams_log() {
    let change = change("wikipedia/no_meta_id.json");
    assert_eq!(change["id"], "2efb8b7a-2bf4-5c67-8cd8-0b11bdeefc1f");
    let elsewhere = text("wikipedia/no_meta_id.json").replace("1990000042", "1990000043");
    let Ok(Event::Change { message, .. }) = event(&elsewhere) else { panic!("no change") };
    assert_ne!(change["id"], message.key.as_str());
}

#[test]
fn a_change_without_any_identity_is_malformed() {
    let error = event(&text("wikipedia/no_identity.json")).expect_err("no identity");
    assert_eq!(error.to_string(), "malformed meta: neither a UUID in id, nor topic, partition and offset");
}

#[test]
fn a_time_in_whole_seconds_is_published_in_milliseconds_like_any_other() {
    let change = change("wikipedia/dt_in_seconds.json");
    assert_eq!(change["dt"], "2021-08-27T13:20:18.000Z");
    assert_eq!(change["changed_at"], "2021-08-27T13:20:18Z");
}

#[test]
fn ids_that_are_null_are_left_out() {
    let change = change("wikipedia/null_ids.json");
    let absent = [
        "recent_change_id",
        "log_id",
        "log_type",
        "log_action_comment",
        "log_params",
        "length_old",
        "length_new",
        "revision_old",
        "revision_new",
        "notify_url",
    ];
    for absent in absent {
        assert_eq!(change.get(absent), None, "{absent}");
    }
    assert_eq!(change["log_action"], "hit");
}

#[test]
fn unknown_fields_are_ignored() {
    let mut known = change("wikipedia/edit.json");
    known["id"] = json!("61d6b6a0-9f10-4f5e-a0a4-c1d2e3f40506");
    assert_eq!(change("wikipedia/unknown_fields.json"), known);
}

#[test]
fn a_change_of_no_wiki_belongs_to_its_domain_and_else_to_unknown() {
    assert_eq!(change("wikipedia/no_wiki.json")["wiki"], "nl.wikipedia.org");
    let change = change("wikipedia/no_wiki_and_no_domain.json");
    assert_eq!(change["wiki"], "unknown");
    assert_eq!(change.get("domain"), None);
}

#[test]
fn odd_strings_survive_unchanged() {
    let change = change("wikipedia/odd_strings.json");
    assert_eq!(change["title"], "<script>alert(1)</script> \u{202e}evitan 🐦");
    assert_eq!(change["user"], "NUL\0 \"quoted\" \\");
    assert_eq!(change["comment"], format!("line\none\u{2028}two {}", "é".repeat(2000)));
}

#[test]
fn every_event_of_a_recorded_stream_is_a_change_or_a_canary() {
    let stream = text("wikipedia/stream.sse");
    let events: Vec<Event> = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| event(data).expect("a good event"))
        .collect();
    assert_eq!(events.len(), 5);
    let canaries = events.iter().filter(|event| **event == Event::Canary).count();
    assert_eq!(canaries, 1);
}

#[test]
fn a_time_that_is_none_is_malformed_and_names_its_field() {
    for (good, bad, place) in [
        ("2026-01-02T12:00:00.122Z", "yesterday", "meta.dt"),
        ("2026-01-02T12:00:00.122Z", "1926-01-02T12:00:00.122Z", "meta.dt"),
        ("1767355199", "-1767355199", "timestamp"),
    ] {
        let error = event(&text("wikipedia/edit.json").replace(good, bad)).expect_err("no time");
        let ParseError::Malformed { place: found, .. } = &error else { panic!("{error:?}") };
        assert_eq!(found, place, "{error}");
    }
}

#[test]
fn an_event_cut_short_is_malformed() {
    let whole = text("wikipedia/edit.json");
    for end in [0, 1, 100, whole.trim_end().len() - 1] {
        let error = event(&whole[..end]).expect_err("half an event");
        assert!(matches!(error, ParseError::Malformed { .. }), "{error:?}");
    }
}
