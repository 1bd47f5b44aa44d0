use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::metrics::Metrics;
use crate::snapshot::Part;
use crate::watch::services::Instance;

fn address(name: &str) -> Address {
    Address { name: name.to_owned(), at: format!("{name}:8080") }
}

fn part(name: &str, state: State, reason: &str, since: DateTime<Utc>) -> Part {
    Part { name: name.to_owned(), state, reason: reason.to_owned(), since }
}

fn green() -> Vec<Part> {
    vec![part("kafka", State::Green, "", DateTime::UNIX_EPOCH)]
}

fn instance(parts: Vec<Part>, text: &str) -> Instance {
    Instance { parts, paused: Some(false), metrics: Arc::new(Metrics::read(text)) }
}

fn look(parts: Vec<Part>, text: &str) -> Look {
    looks(&[(1, instance(parts, text))])
}

fn looks(instances: &[(u8, Instance)]) -> Look {
    let instances = instances.iter().map(|(host, found)| (at(*host), Ok(found.clone()))).collect();
    Look { instances, trouble: None }
}

fn at(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 8080))
}

// The same look, but that this instance does not answer.
fn without(mut look: Look, host: u8, trouble: &str) -> Look {
    look.instances.insert(at(host), Err(trouble.to_owned()));
    look
}

fn away(trouble: &str) -> Look {
    Look { trouble: Some(trouble.to_owned()), ..Look::default() }
}

struct Scene {
    pipeline: Pipeline,
    start: (Instant, DateTime<Utc>),
}

impl Scene {
    fn new(services: &[&str]) -> Self {
        let start = (Instant::now(), DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let addresses: Vec<Address> = services.iter().map(|name| address(name)).collect();
        Self { pipeline: Pipeline::new(&addresses, "cassandra", false, start.0, start.1), start }
    }

    fn now(&self, second: u64) -> (Instant, DateTime<Utc>) {
        (self.start.0 + Duration::from_secs(second), self.start.1 + Duration::from_secs(second))
    }

    fn looked(&mut self, second: u64, name: &str, look: Look) {
        let (at, now) = self.now(second);
        self.pipeline.looked(name, look, at, now);
    }

    fn published(&mut self, second: u64, topic: &str, end: u64) {
        let (at, now) = self.now(second);
        self.pipeline.broker.answered(at, now);
        self.pipeline.published(&Ends::from([(Arc::from(topic), end)]), at);
    }

    // The servers answer.
    fn at(&mut self, second: u64) -> Snapshot {
        let (at, now) = self.now(second);
        self.pipeline.broker.answered(at, now);
        self.pipeline.store.answered(at, now);
        self.pipeline.snapshot(at, now)
    }
}

fn service<'a>(snapshot: &'a Snapshot, name: &str) -> &'a Service {
    snapshot.services.iter().find(|service| service.name == name).unwrap()
}

fn stream<'a>(snapshot: &'a Snapshot, name: &str) -> &'a Stream {
    snapshot.streams.iter().find(|stream| stream.name == name).unwrap()
}

fn stored(topic: &str, rows: u64) -> String {
    format!(
        "tributary_messages_total{{topic=\"{topic}\",outcome=\"stored\"}} {rows}
tributary_lag_records{{topic=\"{topic}\",kind=\"written\"}} 3
tributary_route_info{{topic=\"{topic}\",table=\"shop.{topic}\"}} 1\n"
    )
}

#[test]
fn services_stand_in_the_order_of_the_flow() {
    let mut scene = Scene::new(&["consumer", "weather", "upstreams"]);
    for name in ["consumer", "weather", "upstreams"] {
        scene.looked(1, name, look(green(), ""));
    }
    let snapshot = scene.at(1);
    let names: Vec<&str> = snapshot.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["upstreams", "weather", "kafka", "consumer", "cassandra", "dashboard"]);
}

#[test]
fn a_stream_tells_rates_lag_latency_and_age() {
    let mut scene = Scene::new(&["weather", "consumer"]);
    let origins = "tributary_origin{dataset=\"weather\",origin=\"live\"} 0
tributary_origin{dataset=\"weather\",origin=\"simulated\"} 1
tributary_origin{dataset=\"faker\",origin=\"generated\"} 1";
    for second in 0..=5_u64 {
        scene.looked(second, "weather", look(green(), origins));
        let text = stored("weather", 100 + 4 * second)
            + "tributary_messages_total{topic=\"weather\",outcome=\"dead_lettered\"} 2
tributary_lag_records{topic=\"weather\",kind=\"durable\"} 40
tributary_newest_row_timestamp_seconds{topic=\"weather\"} 1800000004.5
tributary_end_to_end_seconds{topic=\"weather\",quantile=\"0.5\"} 0.0113
tributary_end_to_end_seconds{topic=\"weather\",quantile=\"0.99\"} 0";
        scene.looked(second, "consumer", look(green(), &text));
        scene.published(second, "weather", 1_000 + 10 * second);
    }
    let snapshot = scene.at(5);
    let weather = stream(&snapshot, "weather");
    assert_eq!((weather.published, weather.published_per_s), (Some(1_050), Some(10.0)));
    assert_eq!(
        (weather.stored, weather.stored_per_s, weather.dead_lettered),
        (Some(120), Some(4.0), Some(2))
    );
    assert_eq!((weather.lag_written, weather.lag_durable), (Some(3), Some(40)));
    assert_eq!(weather.newest_row_age_s, Some(0.5));
    assert_eq!((weather.latency_p50_ms, weather.latency_p99_ms), (Some(11.3), None));
    assert_eq!(weather.origin.as_deref(), Some("simulated"));
    assert_eq!(weather.upstream.as_deref(), Some("api.openweathermap.org"));
    assert_eq!(weather.tables, ["shop.weather"]);
    let faker = stream(&snapshot, "faker");
    assert_eq!((faker.published, faker.producer.as_deref(), faker.stored), (None, None, None));
}

#[test]
fn a_topic_of_the_users_own_stays_while_the_consumer_is_away_and_its_lag_grows() {
    let mut scene = Scene::new(&["consumer"]);
    scene.published(1, "orders", 100);
    scene.looked(1, "consumer", look(green(), &stored("orders", 97)));
    scene.published(2, "orders", 150);
    assert_eq!(stream(&scene.at(2), "orders").lag_written, Some(3), "the consumer tells in a moment");
    scene.looked(2, "consumer", away("consumer:8080 is not there"));
    scene.published(9, "orders", 500);
    let snapshot = scene.at(9);
    let orders = stream(&snapshot, "orders");
    assert_eq!(
        (orders.lag_written, orders.tables.as_slice()),
        (Some(403), ["shop.orders".to_owned()].as_slice())
    );
    assert_eq!((orders.producer.as_deref(), orders.upstream.as_deref()), (None, None));
    assert_eq!((orders.state, orders.stored_per_s), (State::Red, None));
    assert_eq!(snapshot.streams.len(), REGISTRY.len() + 1);
}

#[test]
fn a_consumer_that_waits_for_the_store_tells_no_route_and_its_topics_stay() {
    let mut scene = Scene::new(&["consumer"]);
    scene.published(1, "orders", 100);
    scene.looked(1, "consumer", look(green(), &stored("orders", 97)));
    for second in 2..9 {
        let waits = vec![part("cassandra", State::Red, "connection refused", scene.now(2).1)];
        scene.looked(second, "consumer", look(waits, "tributary_up 1"));
        scene.published(second, "orders", 500);
    }
    let snapshot = scene.at(8);
    let orders = stream(&snapshot, "orders");
    assert_eq!((orders.lag_written, orders.stored, orders.tables.len()), (Some(403), Some(97), 1));
}

#[test]
fn a_lag_that_the_consumer_does_not_know_goes_on_from_the_last_that_it_knew() {
    let mut scene = Scene::new(&["consumer"]);
    scene.published(1, "orders", 100);
    scene.looked(1, "consumer", look(green(), &stored("orders", 97)));
    let unknown = stored("orders", 97).replace("\"written\"} 3", "\"written\"} NaN");
    for (second, lag) in [(2, 3), (5, 403)] {
        scene.looked(second, "consumer", look(green(), &unknown));
        scene.published(second, "orders", 500);
        let snapshot = scene.at(second);
        assert_eq!(stream(&snapshot, "orders").lag_written, Some(lag));
    }
    // It does not know it, and goes on storing.
    let busy = unknown.replace("} 97", "} 400");
    scene.looked(6, "consumer", look(green(), &busy));
    assert_eq!(stream(&scene.at(6), "orders").lag_written, Some(100));
    scene.looked(7, "consumer", look(green(), &stored("orders", 500)));
    assert_eq!(stream(&scene.at(7), "orders").lag_written, Some(3));
}

#[test]
fn a_lag_that_one_instance_does_not_know_is_not_the_sum_of_the_others() {
    let unknown = stored("orders", 9).replace("\"written\"} 3", "\"written\"} NaN");
    let lag = |other: &str| {
        let mut scene = Scene::new(&["consumer"]);
        scene.published(1, "orders", 100);
        let both = [(1, instance(green(), &stored("orders", 97))), (2, instance(green(), other))];
        scene.looked(1, "consumer", looks(&both));
        stream(&scene.at(1), "orders").lag_written
    };
    let knows_another = "tributary_lag_records{topic=\"users\",kind=\"written\"} 0\n";
    assert_eq!(lag(&format!("{unknown}{knows_another}")), None);
    assert_eq!(lag(&unknown), Some(3), "it has no partition of any topic");
}

#[test]
fn an_instance_that_misses_one_look_is_no_burst() {
    let mut scene = Scene::new(&["consumer"]);
    let one = |second: u64| (1, instance(green(), &stored("orders", 1_000_000 + 5 * second)));
    let two = |second: u64| (2, instance(green(), &stored("orders", 2_000_000 + 7 * second)));
    for second in 0..4 {
        scene.looked(second, "consumer", looks(&[one(second), two(second)]));
    }
    assert_eq!(stream(&scene.at(3), "orders").stored_per_s, Some(12.0));
    scene.looked(4, "consumer", without(looks(&[one(4)]), 2, "no answer within 2 s"));
    let snapshot = scene.at(4);
    let orders = stream(&snapshot, "orders");
    assert_eq!(
        (orders.stored_per_s, orders.stored, orders.lag_written),
        (Some(12.0), Some(3_000_041), Some(6))
    );
    for second in 5..7 {
        scene.looked(second, "consumer", looks(&[one(second), two(second)]));
    }
    assert_eq!(stream(&scene.at(6), "orders").stored_per_s, Some(12.0));
}

#[test]
fn a_broker_that_was_away_is_no_burst() {
    let mut scene = Scene::new(&[]);
    scene.published(0, "weather", 0);
    scene.published(1, "weather", 5_000);
    assert_eq!(stream(&scene.at(20), "weather").published_per_s, None);
    scene.published(30, "weather", 150_000);
    assert_eq!(stream(&scene.at(30), "weather").published_per_s, None);
    scene.published(31, "weather", 155_000);
    assert_eq!(stream(&scene.at(31), "weather").published_per_s, Some(5_000.0));
}

#[test]
fn a_stream_is_as_red_as_the_worst_that_it_passes() {
    let mut scene = Scene::new(&["weather", "faker", "consumer"]);
    let since = scene.now(0).1;
    scene.looked(1, "weather", look(vec![part("upstream", State::Red, "answers 429", since)], ""));
    scene.looked(1, "faker", look(green(), ""));
    scene.looked(1, "consumer", look(green(), ""));
    let snapshot = scene.at(1);
    assert_eq!(stream(&snapshot, "weather").reason, "weather: upstream: answers 429");
    assert_eq!(stream(&snapshot, "faker").state, State::Green);
    for name in ["faker", "consumer"] {
        scene.looked(6, name, look(green(), ""));
    }
    let (at, now) = scene.now(6);
    scene.pipeline.broker.answered(at, now);
    scene.pipeline.store.failed("connection refused".to_owned());
    let snapshot = scene.pipeline.snapshot(at, now);
    let faker = stream(&snapshot, "faker");
    assert_eq!((faker.state, faker.reason.as_str()), (State::Red, "cassandra: connection refused"));
}

#[test]
fn a_service_that_is_gone_is_red_since_it_answered_last() {
    let mut scene = Scene::new(&["consumer"]);
    scene.looked(1, "consumer", look(green(), ""));
    assert_eq!(service(&scene.at(1), "consumer").since, DateTime::UNIX_EPOCH);
    for second in [3, 5, 6] {
        scene.looked(second, "consumer", away("consumer:8080 does not answer: connection refused"));
    }
    for second in [6, 7] {
        let snapshot = scene.at(second);
        let consumer = service(&snapshot, "consumer");
        assert_eq!((consumer.state, consumer.since, consumer.instances), (State::Red, scene.now(1).1, 0));
        assert!(consumer.reason.contains("refused"));
    }
}

#[test]
fn one_of_two_instances_that_is_gone_is_told_with_its_address() {
    let mut scene = Scene::new(&["consumer"]);
    let both = [(1, instance(green(), "")), (2, instance(green(), ""))];
    scene.looked(1, "consumer", looks(&both));
    assert_eq!(service(&scene.at(1), "consumer").instances, 2);
    // Its name has one address less, as Docker's name server tells it.
    scene.looked(6, "consumer", looks(&both[..1]));
    let snapshot = scene.at(6);
    let consumer = service(&snapshot, "consumer");
    assert_eq!((consumer.state, consumer.instances, consumer.since), (State::Yellow, 1, scene.now(1).1));
    assert_eq!(
        consumer.reason,
        "1 of 2 instances do not answer: 10.0.0.2:8080 (its name does not lead there any more)"
    );
    scene.looked(400, "consumer", looks(&both[..1]));
    assert_eq!(service(&scene.at(400), "consumer").state, State::Green);
}

#[test]
fn an_instance_that_never_answered_is_told_as_long_as_its_name_leads_there() {
    let mut scene = Scene::new(&["consumer"]);
    let one = || without(look(green(), ""), 2, "connection refused");
    for second in (1..1_000).step_by(2) {
        scene.looked(second, "consumer", one());
        let snapshot = scene.at(second);
        let consumer = service(&snapshot, "consumer");
        if second < 5 {
            assert_eq!(consumer.state, State::Green, "it may just have been started");
            continue;
        }
        assert_eq!((consumer.state, consumer.instances, consumer.since), (State::Yellow, 1, scene.now(1).1));
        assert_eq!(consumer.reason, "1 of 2 instances do not answer: 10.0.0.2:8080 (connection refused)");
    }
}

#[test]
fn a_container_that_is_made_anew_at_another_address_is_not_missed() {
    let mut scene = Scene::new(&["consumer"]);
    scene.looked(1, "consumer", look(green(), ""));
    scene.looked(2, "consumer", away("consumer:8080 is not there"));
    for second in [9, 20] {
        scene.looked(second, "consumer", looks(&[(3, instance(green(), ""))]));
        assert_eq!(service(&scene.at(second), "consumer").state, State::Green);
    }
}

#[test]
fn nothing_is_said_of_who_could_not_answer_yet() {
    let mut scene = Scene::new(&["consumer"]);
    let (at, now) = scene.now(1);
    let snapshot = scene.pipeline.snapshot(at, now);
    let names: Vec<&str> = snapshot.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["dashboard"]);
    let (at, now) = scene.now(5);
    assert_eq!(scene.pipeline.snapshot(at, now).services.len(), 4);
}
