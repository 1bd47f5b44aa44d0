//! Several topics, each with a route of its own, some into one table.

use std::time::Instant;

use end_to_end::{Record, World, publish};
use serde_json::json;

use super::{SOON, audit, consume, now_ms};

// Topics and routes of these names, all into the table `rows`; `head` is what a route says above its columns.
async fn scene(test: &str, routes: &[(&str, &str)]) -> (World, Vec<String>) {
    let world = World::shared(test).await;
    world.cql(&format!("CREATE TABLE {}.rows (k text PRIMARY KEY, v text)", world.name)).await;
    let mut topics = Vec::new();
    for (name, head) in routes {
        let topic = world.create_topic(name, 1);
        let table = format!("table = \"{}.rows\"", world.name);
        let columns = "[columns]\nk = \"k\"\nv = \"v\"\n";
        world.write_route(name, &format!("topic = \"{topic}\"\n{table}\n{head}\n{columns}"));
        topics.push(topic);
    }
    (world, topics)
}

fn row(key: &str, value: &str) -> Record {
    Record::of(json!({"k": key, "v": value}).to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_expired_is_expired_and_explains_what_it_was_written_over() {
    let (world, topics) = scene("audit_expired", &[("lasting", ""), ("brief", "ttl = \"3h\"")]).await;
    let [lasting, brief] = &topics[..] else { panic!("two topics") };
    let now = now_ms();
    let ago = |minutes: i64| now - minutes * 60_000;
    let writetime = |at_ms: i64, (_, offset): (i32, i64)| at_ms * 1_000 + offset % 1_000;
    let (old, over, fading, alive) = (ago(300), ago(240), ago(150), ago(10));
    let records = ["over", "never", "kept"].map(|key| row(key, "lasting").at(old));
    let kept = publish(&world.brokers, lasting, &records).await;
    let records = [
        row("over", "brief").at(over),
        row("never", "brief").at(over),
        row("may be", "brief").at(fading),
        row("cannot be", "brief").at(alive),
    ];
    let gone = publish(&world.brokers, brief, &records).await;
    let plant = async |key: &str, value: &str, using: String| {
        let table = format!("{}.rows", world.name);
        world.cql(&format!("INSERT INTO {table} (k, v) VALUES ('{key}', '{value}') USING {using}")).await;
    };
    for (place, key) in kept.iter().zip(["over", "never", "kept"]) {
        plant(key, "lasting", format!("TIMESTAMP {}", writetime(old, *place))).await;
    }
    // It was written in its time, and that is over: what it was written over has gone with it. The other one was not.
    plant("over", "brief", format!("TIMESTAMP {} AND TTL 1", writetime(over, gone[0]))).await;
    let (question, began) = (format!("SELECT k FROM {}.rows WHERE k = 'over'", world.name), Instant::now());
    while !world.rows(&question).await.is_empty() {
        assert!(began.elapsed() < SOON, "it lives on");
    }

    let (code, text, object) = audit(&world, &["--until", "end"], &[]);
    let counts = ["stored", "superseded", "expired", "missing", "stale", "different"];
    let counts = counts.map(|count| object[count].as_u64().unwrap());
    assert_eq!((code, counts), (1, [2, 1, 3, 1, 0, 0]), "{text}");
    let fault = &object["faults"][0];
    assert_eq!((&fault["topic"], &fault["offset"]), (&json!(brief), &json!(gone[3].1)), "{text}");
    let mut explain = world.run("tributary", &["explain", &format!("{brief}:0:{}", gone[2].1)], &[]);
    assert_eq!(explain.wait(SOON), Some(0), "{}", explain.log());
    assert!(explain.log().contains("verdict   expired"), "{}", explain.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_nobody_has_consumed_is_no_success_beside_one_that_is_clean() {
    let (world, topics) = scene("audit_never_run", &[("consumed", ""), ("forgotten", "")]).await;
    let [consumed, forgotten] = &topics[..] else { panic!("two topics") };
    publish(&world.brokers, consumed, &[row("a", "1"), row("b", "2")]).await;
    consume(&world, consumed);
    let (code, text, object) = audit(&world, &[], &[]);
    assert_eq!((code, &object["stored"]), (0, &json!(2)), "an empty topic is no fault: {text}");
    assert!(text.contains(&format!("note: topic {forgotten}: it is empty")), "{text}");

    publish(&world.brokers, forgotten, &[row("c", "3")]).await;
    let (code, text, object) = audit(&world, &[], &[]);
    let told = (code, &object["stored"], &object["without_commits"]);
    assert_eq!(told, (69, &json!(2), &json!([forgotten])), "the other one is judged: {text}");
    assert!(text.contains(&format!("INCOMPLETE: group {} has committed nothing of {forgotten}", world.name)));
    assert!(text.contains(&format!("note: topic {forgotten}: ")), "{text}");
    let note = object["notes"][0].as_str().unwrap();
    assert!(note.contains(forgotten.as_str()) && note.contains("1 offsets"), "{text}");
    let (code, text, object) = audit(&world, &["--topic", consumed], &[]);
    assert_eq!((code, &object["without_commits"]), (0, &json!([])), "nobody has asked for it: {text}");

    world.cql(&format!("DELETE FROM {}.rows WHERE k = 'a'", world.name)).await;
    let (code, text, object) = audit(&world, &[], &[]);
    assert_eq!((code, &object["missing"]), (1, &json!(1)), "a fault comes first: {text}");
    consume(&world, forgotten);
    assert_eq!(audit(&world, &["--topic", forgotten], &[]).0, 0);
}
