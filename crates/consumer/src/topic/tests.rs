use rdkafka::config::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer, FutureRecord};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;

// A broker whose topic `t` has three messages in partition 0 and none in partition 1.
async fn three_messages() -> (MockCluster<'static, DefaultProducerContext>, kafka::Settings) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 2, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", &brokers).create().unwrap();
    for _ in 0..3 {
        let record = FutureRecord::<str, str>::to("t").partition(0).payload("{}");
        producer.send(record, Duration::from_secs(10)).await.unwrap();
    }
    (cluster, kafka::Settings { brokers, ..kafka::Settings::default() })
}

fn read(topics: &Topics, range: Range<i64>) -> (Vec<i64>, Result<(), Unread>) {
    let mut offsets = Vec::new();
    let read = topics.read("t", &[(0, range)].into(), |message| {
        offsets.push(message.offset());
        ControlFlow::Continue(())
    });
    (offsets, read)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_ends_before_what_it_had_is_unread_and_not_over() {
    let (_cluster, settings) = three_messages().await;
    let topics = Topics::connect(&settings, "test").unwrap();
    assert_eq!(topics.ranges("t").unwrap(), [(0, 0..3), (1, 0..0)].into());
    assert_eq!(read(&topics, 1..3), (vec![1, 2], Ok(())));
    let (_, unread) = read(&topics, 0..7);
    let why = unread.unwrap_err().to_string();
    assert!(why.contains(&format!("topic t on {}: partition 0 is at offset 3", settings.brokers)), "{why}");
    assert!(why.contains("was at 7") && why.contains("run it again"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_question_is_an_error_that_names_the_brokers_and_what_to_do() {
    let (cluster, settings) = three_messages().await;
    let topics = Topics::connect(&settings, "test").unwrap();
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::ListOffsets, &[refused]);
    let why = topics.offsets_at("t", 1).unwrap_err().to_string();
    assert!(why.contains(&settings.brokers) && why.contains("run it again"), "{why}");
}
