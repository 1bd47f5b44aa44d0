//! `tributary explain`: one message, what became of it, and why.

use std::time::Duration;

use end_to_end::{Record, World, all_committed, delete_before, ended, publish, user};
use serde_json::{Value, json};
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(60);

async fn scene(test: &str) -> (World, String) {
    let world = World::shared(test).await;
    let topic = world.create_topic("users_created", 1);
    world.script("cassandra/tables/created_users.cql").await;
    world.route("random-user");
    (world, topic)
}

// Exit code, what a person reads, and the object of the last line.
fn explain(world: &World, topic: &str, offset: i64) -> (i32, String, Value) {
    let place = format!("{topic}:0:{offset}");
    let mut explain = world.run("tributary", &["explain", "--json", &place], &[]);
    ended(&mut explain, SOON)
}

fn cell<'a>(object: &'a Value, column: &str) -> &'a Value {
    let columns = object["routes"][0]["columns"].as_array().unwrap();
    columns.iter().find(|found| found["name"] == column).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_shown_with_its_decision_its_cells_and_the_row() {
    let (world, topic) = scene("explain_row").await;
    let id = Uuid::from_u128(7);
    let without_email = json!({"id": id, "first_name": "Nina", "last_name": "Moreau"}).to_string();
    let records =
        [Record::of(user(id, "Ines", "Moreau")), Record::of(without_email), Record::of("no json\u{1b}[2J")];
    publish(&world.brokers, &topic, &records).await;
    let (code, text, object) = explain(&world, &topic, 0);
    assert_eq!((code, &object["routes"][0]["verdict"]), (0, &json!("not_committed")), "{text}");
    let mut consumer = world.consumer(&[("CONSUMER__DURABLE_AFTER", "0s")]);
    all_committed(&world, &world.name, &topic, SOON, &consumer);
    consumer.terminate().unwrap();

    let (code, text, object) = explain(&world, &topic, 0);
    assert_eq!((code, &object["routes"][0]["verdict"]), (0, &json!("superseded")), "{text}");
    assert_eq!(cell(&object, "email")["standing"], "the same", "{text}");
    assert_eq!(
        (&cell(&object, "first_name")["cell"], &cell(&object, "first_name")["found"]),
        (&json!("'Ines'"), &json!("'Nina'"))
    );
    assert!(cell(&object, "first_name")["standing"].as_str().unwrap().starts_with("newer by "), "{text}");
    assert!(text.contains("field first_name") && text.contains("writes a row, WRITETIME "), "{text}");

    let (code, text, object) = explain(&world, &topic, 1);
    assert_eq!((code, &object["routes"][0]["verdict"]), (0, &json!("stored")), "{text}");
    assert_eq!(cell(&object, "email")["cell"], "unset", "{text}");

    let (code, text, object) = explain(&world, &topic, 2);
    assert_eq!((code, &object["routes"][0]["verdict"]), (0, &json!("dead_lettered")), "{text}");
    assert!(object["routes"][0]["dead_letter"].as_str().unwrap().starts_with("json: not JSON"), "{text}");
    assert!(
        !text.contains('\u{1b}') && text.contains(r"\u{1b}[2J"),
        "what came from outside steers no terminal: {text}"
    );

    world.cql(&format!("DELETE FROM {}.created_users WHERE id = {id}", world.name)).await;
    let (code, text, object) = explain(&world, &topic, 1);
    assert_eq!((code, &object["routes"][0]["verdict"]), (1, &json!("absent")), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_not_there_is_told_with_the_offsets_that_are() {
    let (world, topic) = scene("explain_gone").await;
    let records: Vec<Record> =
        (0..10).map(|number| Record::of(user(Uuid::from_u128(number), "a", "b"))).collect();
    publish(&world.brokers, &topic, &records).await;
    delete_before(&world.brokers, &topic, &[(0, 4)]).await;
    for offset in [3, 10] {
        let (code, text, _) = explain(&world, &topic, offset);
        assert_eq!(code, 1, "{text}");
        assert!(text.contains("holds offsets 4 to 9"), "{text}");
    }
    let mut wrong = world.run("tributary", &["explain", &format!("{topic}:7:0")], &[]);
    assert_eq!(wrong.wait(SOON), Some(1), "{}", wrong.log());
    assert!(wrong.log().contains("no partition 7; it has 0"), "{}", wrong.log());
    let mut unknown = world.run("tributary", &["explain", "nobodys:0:0"], &[]);
    assert_eq!(unknown.wait(SOON), Some(78), "{}", unknown.log());
}
