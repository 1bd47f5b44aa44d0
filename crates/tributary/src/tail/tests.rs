use clap::Parser;
use rdkafka::config::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer, FutureRecord};

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn arguments(words: &[&str]) -> Arguments {
    Line::try_parse_from([&["tail"], words].concat()).map_err(|error| error.to_string()).unwrap().arguments
}

// A broker whose topic `orders` has the values 0 to 19, every second one in the other partition, a millisecond apart.
async fn twenty() -> (MockCluster<'static, DefaultProducerContext>, kafka::Settings) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 2, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", &brokers).create().unwrap();
    for number in 0..20_i32 {
        let (key, value) = (format!("key-{number}"), format!("value-{number}"));
        let record = FutureRecord::to("orders").partition(number % 2).key(&key).payload(&value);
        let record = record.timestamp(1_795_333_327_000 + i64::from(number));
        producer.send(record, std::time::Duration::from_secs(10)).await.unwrap();
    }
    (cluster, kafka::Settings { brokers, ..kafka::Settings::default() })
}

async fn told(kafka: &kafka::Settings, words: &[&str]) -> anyhow::Result<Vec<String>> {
    let (kafka, arguments) = (kafka.clone(), arguments(words));
    let read = tokio::task::spawn_blocking(move || {
        let mut screen = Screen { out: Vec::new(), columns: None };
        show(&kafka, &arguments, &mut screen)?;
        anyhow::Ok(String::from_utf8(screen.out)?)
    });
    let text = read.await.unwrap()?;
    let values = text.lines().map(|line| line.rsplit("  ").next().unwrap_or_default().to_owned());
    Ok(values.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_of_all_partitions_are_shown_in_their_order() {
    let (_cluster, kafka) = twenty().await;
    let values = |from: usize| (from..20).map(|number| format!("value-{number}")).collect::<Vec<_>>();
    assert_eq!(told(&kafka, &["orders", "--no-follow"]).await.unwrap(), values(10));
    assert_eq!(told(&kafka, &["orders", "--no-follow", "-n", "3"]).await.unwrap(), values(17));
    assert_eq!(told(&kafka, &["orders", "--no-follow", "--last", "50"]).await.unwrap(), values(0));
    assert!(told(&kafka, &["orders", "--no-follow", "--last", "0"]).await.unwrap().is_empty());
    let found = told(&kafka, &["orders", "--no-follow", "--search", "-1"]).await.unwrap();
    assert_eq!(found.len(), 11, "1 and 10 to 19: {found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_to_begin_is_of_each_partition() {
    let (_cluster, kafka) = twenty().await;
    let of = async |from: &str| told(&kafka, &["orders", "--no-follow", "--from", from]).await.unwrap().len();
    assert_eq!([of("beginning").await, of("8").await, of("end").await, of("1000").await], [20, 4, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_is_told_with_those_that_exist_nearest_first() {
    let (cluster, kafka) = twenty().await;
    cluster.create_topic("weather", 1, 1).unwrap();
    let error = told(&kafka, &["ordrs", "--no-follow"]).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("topic ordrs does not exist on ") && text.ends_with(" orders, weather"),
        "{text}"
    );
    assert_eq!(crate::exit::code(&error), 1);
}

// As a pipe whose reader has gone.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn following_ends_when_nobody_reads() {
    let (_cluster, kafka) = twenty().await;
    let ended = tokio::task::spawn_blocking(move || {
        show(
            &kafka,
            &arguments(&["orders", "--from", "beginning"]),
            &mut Screen { out: Closed, columns: None },
        )
    });
    assert!(ended.await.unwrap().unwrap_err().is::<crate::print::Closed>());
}

#[test]
fn the_last_of_following_and_not_following_counts() {
    assert!(!arguments(&["t", "--no-follow", "-f"]).no_follow);
    assert!(arguments(&["t", "--follow", "--no-follow"]).no_follow);
    assert!(!arguments(&["t"]).no_follow);
}

#[test]
fn places_to_begin_are_read_as_they_are_written() {
    assert_eq!(start("beginning"), Ok(Start::Since(Since::Beginning)));
    assert_eq!(start("end"), Ok(Start::End));
    assert_eq!(start("17"), Ok(Start::Since(Since::Offset(17))));
    assert!(matches!(start("2h"), Ok(Start::Since(Since::Time(_)))));
    assert!(start("yesterday").unwrap_err().ends_with("or beginning, or end"));
    assert!(Line::try_parse_from(["tail", "t", "--from", "end", "--last", "1"]).is_err());
}
