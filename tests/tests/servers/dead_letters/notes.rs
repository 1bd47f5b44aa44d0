//! The notes beside the group's offsets, of which database it has written to: those of all its topics count.

use end_to_end::{World, admin, consumed, exists, note};
use rdkafka::admin::AdminOptions;
use testbed::wait_for;

use super::{BROKEN, MENDED, SOON, route, run, scene, standing, words};

// A second topic that fills the same table.
fn second(world: &World, columns: &str) -> String {
    let topic = world.topic("more_letters");
    let text = format!("topic = \"{topic}\"\ntable = \"{}.letters\"\n[columns]\n{columns}", world.name);
    world.write_route("more_letters", &text);
    topic
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_replayed_where_another_topic_of_their_group_was_written() {
    let (world, topic) = scene("letters_notes").await;
    let more = world.create_topic("more_letters", 1);
    second(&world, BROKEN);
    consumed(&world, &topic, &[words("a"), words("b")]).await;
    consumed(&world, &more, &[words("c")]).await;
    route(&world, "", MENDED);
    second(&world, MENDED);
    let replay = |topic: &str| run(&world, &["replay", "--topic", topic, "--yes"]);
    let strange = uuid::Uuid::from_u128(7).to_string();

    // As if all nodes had been replaced, one after the other, since something of this topic was read.
    note(&world.brokers, &world.name, &topic, &strange);
    let (code, log, object) = replay(&topic);
    assert_eq!((code, object["removed"].as_u64()), (0, Some(2)), "{log}");

    note(&world.brokers, &world.name, &more, &strange);
    let (code, log, _) = replay(&more);
    assert!(code == 78 && log.contains("not the database that the group has written to"), "{code}: {log}");

    // Of a topic that is gone nothing is noted any more: the other one tells.
    let deleted = admin(&world.brokers).delete_topics(&[&more], &AdminOptions::new()).await.unwrap();
    deleted[0].as_ref().unwrap();
    wait_for("the end of the topic", SOON, || (!exists(&world.brokers, &more)).then_some(()));
    let (code, log, _) = replay(&more);
    assert!(code == 78 && log.contains("not the database that the group has written to"), "{code}: {log}");
    assert_eq!(standing(&world), 1);
}
