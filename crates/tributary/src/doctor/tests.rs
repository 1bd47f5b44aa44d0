use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::finding::State;
use super::*;

fn usable(brokers: &str, contact_points: &str, routes: PathBuf) -> Usable {
    let mut settings = Settings::default();
    brokers.clone_into(&mut settings.kafka.brokers);
    contact_points.clone_into(&mut settings.cassandra.contact_points);
    settings.consumer.routes = routes;
    Usable {
        kafka: Some(settings.kafka),
        cassandra: Some(settings.cassandra),
        consumer: Some(settings.consumer),
        dashboard: Some("http://127.0.0.1:1".to_owned()),
    }
}

fn found<'a>(findings: &'a [Finding], what: &str) -> &'a Finding {
    findings
        .iter()
        .find(|finding| finding.what.starts_with(what))
        .unwrap_or_else(|| panic!("{what}: {findings:#?}"))
}

// Takes every connection, reads, and says this or nothing at all.
async fn server(says: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut connection, _)) = listener.accept().await {
            let _ = connection.read(&mut [0; 256]).await;
            let _ = connection.write_all(says).await;
            open.push(connection);
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_away_keep_nothing_else_from_being_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.toml"), "topic = \"a\"\n").unwrap();
    let usable = usable("broker.invalid:9092", "127.0.0.1:1", folder.path().to_owned());
    let findings = examine_servers(&usable).await;
    let kafka = found(&findings, "kafka broker.invalid:9092");
    assert!(kafka.state == State::Wrong && kafka.says.contains("does not resolve"), "{kafka:?}");
    let cassandra = found(&findings, "cassandra 127.0.0.1:1");
    assert!(cassandra.state == State::Wrong && cassandra.says.contains("nobody listens"), "{cassandra:?}");
    let route = found(&findings, "route ");
    assert_eq!(route.state, State::Wrong, "it has no table: {route:?}");
    let dashboard = found(&findings, "dashboard http://127.0.0.1:1");
    assert!(dashboard.remedy.contains("docker compose up -d dashboard"), "{dashboard:?}");
    assert_eq!(found(&findings, "kafka client").state, State::NotChecked);
    assert_eq!(found(&findings, "topics of the routes").state, State::NotChecked);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_hang_or_are_others_are_told_apart_within_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let (hangs, web) = (server(b"").await, server(b"HTTP/1.0 400 Bad Request\r\n\r\n").await);
    let started = Instant::now();
    let findings = examine_servers(&usable(&web, &hangs, folder.path().to_owned())).await;
    assert!(started.elapsed() < SERVERS_LIMIT, "{:?}", started.elapsed());
    let kafka = found(&findings, &format!("kafka {web}"));
    assert!(kafka.says.contains("a web server answers there, which is not kafka"), "{kafka:?}");
    let cassandra = found(&findings, &format!("cassandra {hangs}"));
    assert!(cassandra.says.contains("does not answer within 3s"), "{cassandra:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_serves_is_told_with_its_topics_and_its_own_address() {
    let cluster = rdkafka::mocking::MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 1, 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let brokers = cluster.bootstrap_servers();
    let findings = examine_servers(&usable(&brokers, "127.0.0.1:1", folder.path().to_owned())).await;
    assert_eq!(found(&findings, &format!("kafka {brokers}")).state, State::Ok, "{findings:#?}");
    assert_eq!(found(&findings, "kafka client").says, "is let in, and sees 1 topic");
    assert_eq!(found(&findings, "kafka's advertised address").state, State::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_go_into_files_need_no_cassandra() {
    let mut usable = usable("127.0.0.1:1", "cassandra.invalid:9042", PathBuf::from("none"));
    usable.consumer.as_mut().unwrap().sink = Sink::Csv;
    let findings = examine_servers(&usable).await;
    let cassandra = found(&findings, "cassandra");
    assert!(cassandra.state == State::NotChecked && cassandra.says.contains("csv"), "{cassandra:?}");
}

#[tokio::test]
async fn what_hangs_is_given_up() {
    let (_open, never) = std::sync::mpsc::channel::<()>();
    assert_eq!(blocking(Duration::from_millis(10), move || never.recv_timeout(FILES_LIMIT)).await, None);
    assert_eq!(blocking(FILES_LIMIT, || 7).await, Some(7));
}
