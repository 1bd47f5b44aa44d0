//! The sink without servers: chunks by hand, and a broker that nobody reaches.

use rdkafka::config::ClientConfig;
use rdkafka::mocking::MockCluster;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::receive::Delivery;

const SOON: Duration = Duration::from_secs(20);
const A: Partition = Partition { topic: 0, number: 0 };
const B: Partition = Partition { topic: 0, number: 1 };

struct Scene {
    folder: tempfile::TempDir,
    chunks: UnboundedSender<Delivery>,
    shutdown: CancellationToken,
    room: Arc<Semaphore>,
}

fn route(file: &str, topic: &str, table: &str) -> Route {
    let text = format!("topic = \"{topic}\"\ntable = \"{table}\"\n[columns]\nid = \"id\"\n");
    crate::route::parse(std::path::Path::new(file), text).unwrap()
}

// A sink of two partitions, 0 read up to offset 5 and 1 from its beginning, whose chunks the test sends. Nobody is at
// its broker unless one is given.
fn scene(brokers: Option<&str>) -> (Scene, CsvSink) {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::default();
    settings.kafka.brokers = brokers.unwrap_or("127.0.0.1:1").to_owned();
    settings.consumer.csv_dir = folder.path().to_owned();
    settings.consumer.csv_sync_every = Duration::from_millis(50);
    let pause = watch::Sender::new(false);
    let shutdown = CancellationToken::new();
    let service =
        Service { command: None, health: service::Health::default(), shutdown: shutdown.clone(), pause };
    let plans = plans(&[route("users.toml", "users", "shop.users")]).unwrap();
    let topics = vec!["users".to_owned()];
    let ranges = topics::Ranges::from([(A, (5, 5)), (B, (0, 0))]);
    let places = folder::places(folder.path(), &plans, &topics, &ranges).unwrap();
    let (files, positions) = folder::open(places).unwrap();
    let mut receiver = Receiver::start(&settings, topics, &Assignment::Fixed(Vec::new())).unwrap();
    let (chunks, delivered) = unbounded_channel();
    receiver.chunks = delivered;
    let letters = DeadLetters::new(&settings.kafka, "g", service.health.clone()).unwrap();
    let sink = CsvSink::new(settings, service, receiver, plans, files, positions, letters);
    let room = Arc::new(Semaphore::new(1_000_000));
    (Scene { folder, chunks, shutdown, room }, sink)
}

impl Scene {
    fn send(&self, partition: Partition, first: i64, values: &[&str]) {
        let now_ms = chrono::Utc::now().timestamp_millis();
        let mut chunk = Chunk::default();
        for (offset, value) in (first..).zip(values) {
            chunk.push(partition, offset, Some(now_ms), None, Some(value.as_bytes()), std::iter::empty());
        }
        let permit: OwnedSemaphorePermit =
            Arc::clone(&self.room).try_acquire_many_owned(u32::try_from(values.len()).unwrap()).unwrap();
        chunk.hold(permit);
        self.chunks.send(Delivery { epoch: 0, chunk }).unwrap();
    }

    fn next_offset(&self, partition: i32) -> i64 {
        let path = self.folder.path().join(format!("shop.users@users-{partition}.csv"));
        file::Checkpoint::read(&path).unwrap().unwrap().next_offset
    }

    async fn reaches(&self, partition: i32, offset: i64) {
        let reached = async {
            while self.next_offset(partition) < offset {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, reached).await.unwrap_or_else(|_| panic!("at {}", self.next_offset(partition)));
    }
}

#[test]
fn two_routes_of_one_topic_into_one_table_are_refused_and_of_two_topics_are_not() {
    let routes = [
        route("a.toml", "users", "shop.users"),
        route("b.toml", "orders", "shop.users"),
        route("c.toml", "users", "shop.orders"),
        route("copy.toml", "users", "shop.users"),
    ];
    assert_eq!(plans(&routes[..3]).unwrap().len(), 3);
    let problems = plans(&routes).unwrap_err();
    assert_eq!(problems.len(), 1);
    let problem = problems[0].to_string();
    assert!(
        problem.starts_with("copy.toml:2:9: topic users into table shop.users is written by a.toml:2:9 "),
        "{problem}"
    );
}

#[tokio::test]
async fn offsets_that_come_again_stop_the_sink_after_it_has_synced_what_it_read() {
    for first in [0, 6] {
        let (scene, sink) = scene(None);
        scene.send(A, 5, &[r#"{"id":1}"#, r#"{"id":2}"#]);
        scene.send(A, first, &[r#"{"id":3}"#]);
        let error = timeout(SOON, sink.run()).await.expect("an end").unwrap_err().to_string();
        let words = format!(
            "shop.users@users-0.csv goes to offset 7 of users:0, which begins again at {first}: the topic"
        );
        assert!(error.contains(&words), "{error}");
        assert_eq!(scene.next_offset(0), 7);
    }
}

#[tokio::test]
async fn offsets_before_the_start_stop_the_sink_though_it_has_read_nothing_yet() {
    let (scene, sink) = scene(None);
    scene.send(A, 4, &[r#"{"id":1}"#]);
    let error = timeout(SOON, sink.run()).await.expect("an end").unwrap_err().to_string();
    assert!(error.contains("begins again at 4"), "{error}");
    assert_eq!(scene.next_offset(0), 5);
}

#[tokio::test]
async fn an_unsendable_letter_holds_back_its_own_file_only_and_the_end_for_three_seconds() {
    let (scene, sink) = scene(None);
    let shutdown = scene.shutdown.clone();
    let sink = tokio::spawn(sink.run());
    scene.send(A, 5, &[r#"{"id":1}"#, "no json", r#"{"id":2}"#]);
    scene.send(B, 0, &[r#"{"id":3}"#]);
    scene.reaches(1, 1).await;
    let stopped = Instant::now();
    shutdown.cancel();
    timeout(SOON, sink).await.expect("an end").unwrap().unwrap();
    assert!(stopped.elapsed() >= LETTERS_PATIENCE, "the end did not wait for the letter");
    assert!(stopped.elapsed() < LETTERS_PATIENCE + CLOSE_PATIENCE + Duration::from_secs(2));
    assert_eq!((scene.next_offset(0), scene.next_offset(1)), (5, 1));
}

#[tokio::test]
async fn letters_keep_their_chunks_in_the_budget_and_a_thousand_of_them_stop_the_reading() {
    let (scene, sink) = scene(None);
    let all = scene.room.available_permits();
    let sink = tokio::spawn(sink.run());
    scene.send(B, 0, &["no json"; 500]);
    scene.send(B, 500, &["no json"; 501]);
    scene.send(A, 5, &[r#"{"id":1}"#]);
    // A file without letters: its rows are not taken in while there are too many letters of the other.
    let looked = timeout(Duration::from_secs(2), scene.reaches(0, 6)).await;
    assert!(looked.is_err(), "the sink reads on");
    assert_eq!(all - scene.room.available_permits(), 1_002);
    sink.abort();
}

#[tokio::test]
async fn an_acknowledged_letter_frees_its_chunk_and_its_file() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("users.dlq", 1, 1).unwrap();
    let (scene, sink) = scene(Some(&cluster.bootstrap_servers()));
    let all = scene.room.available_permits();
    let shutdown = scene.shutdown.clone();
    let sink = tokio::spawn(sink.run());
    for first in [0, 600] {
        scene.send(B, first, &["no json"; 600]);
    }
    scene.send(B, 1_200, &[r#"{"id":1}"#]);
    scene.reaches(1, 1_201).await;
    assert_eq!(scene.room.available_permits(), all);
    shutdown.cancel();
    timeout(SOON, sink).await.expect("an end").unwrap().unwrap();
}

#[tokio::test]
async fn a_polling_thread_that_ends_ends_the_sink() {
    let (scene, sink) = scene(None);
    drop(scene.chunks);
    let error = timeout(SOON, sink.run()).await.expect("an end").unwrap_err().to_string();
    assert_eq!(error, POLLING_ENDED);
}

#[tokio::test]
async fn the_first_message_at_or_behind_an_offset_is_found_for_all_partitions_at_once() {
    let cluster = MockCluster::new(1).unwrap();
    for topic in ["a", "b"] {
        cluster.create_topic(topic, 2, 1).unwrap();
    }
    let producer: rdkafka::producer::FutureProducer =
        ClientConfig::new().set("bootstrap.servers", cluster.bootstrap_servers()).create().unwrap();
    for (topic, partition, timestamp_ms) in
        [("a", 0, 10), ("a", 0, 11), ("a", 0, 12), ("b", 0, 20), ("b", 1, 30)]
    {
        let record = rdkafka::producer::FutureRecord::<str, str>::to(topic);
        let record = record.partition(partition).timestamp(timestamp_ms).payload("{}");
        producer.send(record, Duration::from_secs(10)).await.unwrap();
    }
    let mut settings = Settings::default();
    settings.kafka.brokers = cluster.bootstrap_servers();
    let topics = Topics::new(&settings, &["a".to_owned(), "b".to_owned()]).unwrap();
    let pause = watch::Sender::new(false);
    let shutdown = CancellationToken::new();
    let service = Service { command: None, health: service::Health::default(), shutdown, pause };
    let at = |topic, number, offset| (Partition { topic, number }, offset);
    let asked = [at(0, 0, 0), at(0, 0, 2), at(0, 1, 0), at(1, 0, 0), at(1, 1, 0), at(1, 1, 1)];
    let asked_for = topics.first_messages(&service, asked.into_iter().collect());
    let found = timeout(SOON, asked_for).await.expect("an answer").unwrap().unwrap();
    let one = |offset, timestamp_ms| Some(topics::Found { offset, timestamp_ms });
    let expected = [one(0, 10), one(2, 12), None, one(0, 20), one(0, 30), None];
    assert_eq!(found, asked.into_iter().zip(expected).collect());
}
