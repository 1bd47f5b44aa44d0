//! `tributary tail`: a topic's last messages, and those that come.

use std::time::Duration;

use end_to_end::{Record, World, publish};
use serde_json::{Value, json};
use testbed::wait_for;

const SOON: Duration = Duration::from_secs(60);

// A topic with twenty messages that are told apart by their numbers, in three partitions.
async fn scene(test: &str) -> (World, String) {
    let world = World::shared(test).await;
    let topic = world.create_topic("orders", 3);
    publish(&world.brokers, &topic, &(0..20).map(order).collect::<Vec<_>>()).await;
    (world, topic)
}

fn order(number: u32) -> Record {
    Record::of(json!({"number": number, "note": format!("\u{1b}[2J order {number}.")}).to_string())
}

// Exit code and output, without those that come.
fn tail(world: &World, topic: &str, arguments: &[&str]) -> (i32, String) {
    let arguments = [&["tail", topic, "--no-follow"], arguments].concat();
    let mut tail = world.run("tributary", &arguments, &[]);
    let code = tail.wait(SOON).unwrap_or_else(|| panic!("still running:\n{}", tail.log()));
    (code, tail.log())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_messages_are_shown_and_searched() {
    let (world, topic) = scene("tail_last").await;
    let (code, text) = tail(&world, &topic, &[]);
    assert_eq!((code, text.lines().count()), (0, 10), "{text}");
    assert!(!text.contains('\u{1b}'), "what came from outside steers no terminal: {text}");
    let (code, text) = tail(&world, &topic, &["--last", "3"]);
    assert_eq!((code, text.lines().count()), (0, 3), "{text}");
    let (code, text) = tail(&world, &topic, &["--search", "order 17."]);
    assert_eq!((code, text.lines().count()), (0, 1), "{text}");
    assert!(text.contains("order 17."), "{text}");
    let (_, text) = tail(&world, &topic, &["--from", "beginning"]);
    assert_eq!(text.lines().count(), 20, "{text}");
    let (_, text) = tail(&world, &topic, &["--from", "1h"]);
    assert_eq!(text.lines().count(), 20, "{text}");
    assert_eq!(tail(&world, &topic, &["--from", "end"]), (0, String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_a_line_has_the_message_whole() {
    let (world, topic) = scene("tail_json").await;
    let (code, text) = tail(&world, &topic, &["--json", "--search", "order 7."]);
    assert_eq!(code, 0, "{text}");
    let object: Value = serde_json::from_str(text.trim()).unwrap();
    assert_eq!((&object["topic"], &object["headers"]), (&json!(topic), &json!([])), "{text}");
    let value: Value = serde_json::from_str(object["value"].as_str().unwrap()).unwrap();
    assert_eq!(value["number"], 7, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn following_shows_what_comes_until_it_is_interrupted() {
    let (world, topic) = scene("tail_follow").await;
    let mut tail = world.run("tributary", &["tail", &topic, "--last", "1"], &[]);
    wait_for("the last message", SOON, || (tail.log().lines().count() == 1).then_some(()));
    publish(&world.brokers, &topic, &[order(77)]).await;
    wait_for("the new message", SOON, || tail.log().contains("order 77.").then_some(()));
    tail.signal("INT");
    assert_eq!(tail.wait(SOON), Some(0), "{}", tail.log());
    assert_eq!(tail.log().lines().count(), 2, "{}", tail.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_is_told_with_the_nearest_that_exists() {
    let (world, topic) = scene("tail_missing").await;
    let (code, text) = tail(&world, &world.topic("ordrs"), &[]);
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains(&format!("does not exist on {}; nearest first there are {topic}", world.brokers)),
        "{text}"
    );
    let mut away = world.run("tributary", &["tail", &topic], &[("KAFKA__BROKERS", "127.0.0.1:1")]);
    assert_eq!(away.wait(SOON), Some(69), "{}", away.log());
    assert!(away.log().contains("127.0.0.1:1"), "{}", away.log());
}
