//! A topic that is deleted and created again, cut by retention, or grown: no record is left out in silence.

use end_to_end::{admin, delete_before, tells_deleted};
use rdkafka::admin::{AdminOptions, NewPartitions};

use super::*;

async fn recreate(world: &World, topic: &str) {
    end_to_end::recreate(&world.brokers, topic, PARTITIONS).await;
}

fn people(name: &str, count: usize) -> Vec<Record> {
    let person = |number: usize| {
        let record = Record::of(user(Uuid::from_u128(number as u128), name, "Moreau"));
        record.on(i32::try_from(number).unwrap() % PARTITIONS)
    };
    (0..count).map(person).collect()
}

fn refuses(mut consumer: Service, words: &[&str]) {
    let code = consumer.wait(SOON);
    let log = consumer.log();
    assert_eq!(code, Some(1), "{log}");
    for word in words.iter().chain(&["goes to offset 10", "the topic was recreated", ".checkpoint away"]) {
        assert!(log.contains(word), "{word} is not in:\n{log}");
    }
}

// As the message says.
fn move_away(world: &World) {
    let folder = world.folder.path().join("csv");
    std::fs::rename(&folder, world.folder.path().join("csv.old")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn topic_that_is_recreated_and_outgrows_its_files_is_refused_until_they_are_moved_away() {
    let (world, topic) = scene("csv_recreated").await;
    publish(&world.brokers, &topic, &people("Old", 30)).await;
    let mut consumer = consumer(&world);
    complete(&world, &topic, &consumer);
    assert_eq!(consumer.terminate().unwrap(), 0, "{}", consumer.log());
    let before: Vec<_> = (0..PARTITIONS).map(|partition| rows(&world, partition)).collect();
    recreate(&world, &topic).await;
    publish(&world.brokers, &topic, &people("New", 60)).await;
    refuses(spawn(&world), &[&file(&world, 0).display().to_string(), "had the timestamp"]);
    let after: Vec<_> = (0..PARTITIONS).map(|partition| rows(&world, partition)).collect();
    assert_eq!(before, after);
    move_away(&world);
    let consumer = self::consumer(&world);
    complete(&world, &topic, &consumer);
    assert_eq!(files_equal_the_topic(&world, &topic), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn topic_that_is_recreated_under_the_running_sink_stops_it_with_its_old_rows_safe() {
    let (world, topic) = scene("csv_recreated_live").await;
    publish(&world.brokers, &topic, &people("Old", 30)).await;
    let consumer = consumer(&world);
    complete(&world, &topic, &consumer);
    let before: Vec<_> = (0..PARTITIONS).map(|partition| rows(&world, partition)).collect();
    recreate(&world, &topic).await;
    publish(&world.brokers, &topic, &people("New", 3)).await;
    // Any partition may be the first that begins again.
    refuses(consumer, &[&topic, "begins again at 0"]);
    let after: Vec<_> = (0..PARTITIONS).map(|partition| rows(&world, partition)).collect();
    assert_eq!(before, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn topic_whose_read_messages_are_deleted_by_retention_goes_on() {
    let (world, topic) = scene("csv_retention").await;
    publish(&world.brokers, &topic, &people("Old", 30)).await;
    let mut consumer = consumer(&world);
    complete(&world, &topic, &consumer);
    assert_eq!(consumer.terminate().unwrap(), 0, "{}", consumer.log());
    publish(&world.brokers, &topic, &people("New", 30)).await;
    let everything = messages(&world.brokers, &topic);
    // Partition 0 loses what was read, 1 loses everything, 2 nothing.
    delete_before(&world.brokers, &topic, &[(0, 10), (1, 20)]).await;
    let consumer = self::consumer(&world);
    let lost = everything.iter().filter(|message| message.partition == 1).count() / 2;
    wait_for("the rows that are left", SOON, || {
        assert!(consumer.is_running(), "ended early:\n{}", consumer.log());
        let count: usize = (0..PARTITIONS).map(|partition| rows(&world, partition).len()).sum();
        (count == everything.len() - lost).then_some(())
    });
    assert!(consumer.log().contains("offsets were deleted before they were read"), "{}", consumer.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_retention_deletes_before_the_running_sink_reads_them_are_told() {
    let (world, topic) = scene("csv_overtaken").await;
    publish(&world.brokers, &topic, &people("Old", 30)).await;
    let mut consumer = consumer(&world);
    complete(&world, &topic, &consumer);
    consumer.pause();
    // The broker answers the fetch that is on its way; nothing asks for what comes then.
    tokio::time::sleep(Duration::from_secs(1)).await;
    publish(&world.brokers, &topic, &people("New", 30)).await;
    delete_before(&world.brokers, &topic, &[(0, 18)]).await;
    consumer.resume();
    tells_deleted(&consumer, "partition=0 from=10 to=18");
    wait_for("the rows that are left", SOON, || (rows(&world, 0).len() == 12).then_some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn partition_that_is_added_under_the_running_sink_ends_it_and_is_read_by_the_next() {
    let (world, topic) = scene("csv_grown").await;
    publish(&world.brokers, &topic, &people("Old", 30)).await;
    let mut consumer = consumer(&world);
    complete(&world, &topic, &consumer);
    let more = NewPartitions::new(&topic, usize::try_from(PARTITIONS).unwrap() + 1);
    admin(&world.brokers).create_partitions([&more], &AdminOptions::new()).await.unwrap()[0]
        .as_ref()
        .unwrap();
    let code = consumer.wait(Duration::from_secs(60));
    let log = consumer.log();
    assert_eq!(code, Some(1), "{log}");
    let words = format!("topic {topic} has got partition {PARTITIONS}: a restart begins a file for it");
    assert!(log.contains(&words), "{words} is not in:\n{log}");
    let added = Record::of(user(Uuid::from_u128(99), "New", "Moreau")).on(PARTITIONS);
    publish(&world.brokers, &topic, &[added]).await;
    let _consumer = self::consumer(&world);
    wait_for("the row of the new partition", SOON, || (rows(&world, PARTITIONS).len() == 1).then_some(()));
}
