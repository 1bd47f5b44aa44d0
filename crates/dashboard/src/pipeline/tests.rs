use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::watch::services::Instance;

fn address(name: &str) -> Address {
    Address { name: name.to_owned(), at: format!("{name}:8080") }
}

fn part(name: &str, state: State, reason: &str, since: DateTime<Utc>) -> Part {
    Part { name: name.to_owned(), state, reason: reason.to_owned(), since }
}

fn look(parts: Vec<Part>, text: &str) -> Look {
    let mut metrics = Metrics::default();
    metrics.read(text);
    Look { instances: vec![Instance { parts, paused: Some(false) }], metrics, trouble: None }
}

struct Scene {
    pipeline: Pipeline,
    start: (Instant, DateTime<Utc>),
}

impl Scene {
    fn new(services: &[&str]) -> Self {
        let start = (Instant::now(), DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        let addresses: Vec<Address> = services.iter().map(|name| address(name)).collect();
        let mut pipeline = Pipeline::new(&addresses, "cassandra", false, start.0, start.1);
        pipeline.broker.answered(start.0, start.1);
        pipeline.store.answered(start.0, start.1);
        Self { pipeline, start }
    }

    fn now(&self, second: u64) -> (Instant, DateTime<Utc>) {
        (self.start.0 + Duration::from_secs(second), self.start.1 + Duration::from_secs(second))
    }

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

#[test]
fn services_stand_in_the_order_of_the_flow() {
    let mut scene = Scene::new(&["consumer", "weather", "upstreams"]);
    for name in ["consumer", "weather", "upstreams"] {
        scene.pipeline.looked(name, look(Vec::new(), ""));
    }
    let snapshot = scene.at(1);
    let names: Vec<&str> = snapshot.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["upstreams", "weather", "kafka", "consumer", "cassandra", "dashboard"]);
}

#[test]
fn a_stream_tells_rates_lag_latency_and_age() {
    let mut scene = Scene::new(&["weather", "consumer"]);
    let green = || vec![part("kafka", State::Green, "", DateTime::UNIX_EPOCH)];
    scene.pipeline.looked(
        "weather",
        look(green(), "tributary_origin{dataset=\"weather\",origin=\"live\"} 0\ntributary_origin{dataset=\"weather\",origin=\"simulated\"} 1\ntributary_origin{dataset=\"faker\",origin=\"generated\"} 1"),
    );
    for second in 0..=5_u64 {
        let text = format!(
            "tributary_messages_total{{topic=\"weather\",outcome=\"stored\"}} {}
tributary_messages_total{{topic=\"weather\",outcome=\"dead_lettered\"}} 2
tributary_lag_records{{topic=\"weather\",kind=\"written\"}} 3
tributary_lag_records{{topic=\"weather\",kind=\"durable\"}} 40
tributary_newest_row_timestamp_seconds{{topic=\"weather\"}} 1800000004.5
tributary_end_to_end_seconds{{topic=\"weather\",quantile=\"0.5\"}} 0.0113
tributary_end_to_end_seconds{{topic=\"weather\",quantile=\"0.99\"}} 0
tributary_route_info{{topic=\"weather\",table=\"kafkapipeline.weatherreport\"}} 1",
            100 + 4 * second
        );
        scene.pipeline.looked("consumer", look(green(), &text));
        scene.pipeline.ends = Ends::from([(Arc::from("weather"), 1_000 + 10 * second)]);
        scene.at(second);
    }
    let snapshot = scene.at(5);
    let weather = stream(&snapshot, "weather");
    assert_eq!((weather.published, weather.published_per_s), (Some(1_050), Some(10.0)));
    assert_eq!(
        (weather.stored, weather.stored_per_s, weather.dead_lettered),
        (Some(120), Some(4.0), Some(2))
    );
    assert_eq!((weather.lag_written, weather.lag_durable), (Some(3), Some(40)));
    assert_eq!(
        (weather.newest_row_age_s, weather.latency_p50_ms, weather.latency_p99_ms),
        (Some(0.5), Some(11.3), None)
    );
    assert_eq!(
        (weather.origin.as_deref(), weather.upstream.as_deref()),
        (Some("simulated"), Some("api.openweathermap.org"))
    );
    assert_eq!(weather.tables, ["kafkapipeline.weatherreport"]);
    let faker = stream(&snapshot, "faker");
    assert_eq!((faker.published, faker.producer.as_deref(), faker.stored), (None, None, None));
}

#[test]
fn a_topic_of_the_users_own_is_a_stream_without_a_producer() {
    let mut scene = Scene::new(&["consumer"]);
    let text = "tributary_route_info{topic=\"orders\",table=\"shop.orders\"} 1\ntributary_route_info{topic=\"orders\",table=\"shop.by_day\"} 1";
    scene.pipeline.looked("consumer", look(Vec::new(), text));
    let snapshot = scene.at(1);
    let orders = stream(&snapshot, "orders");
    assert_eq!(orders.tables, ["shop.by_day", "shop.orders"]);
    assert_eq!((orders.producer.as_deref(), orders.upstream.as_deref()), (None, None));
    assert_eq!(snapshot.streams.len(), REGISTRY.len() + 1);
}

#[test]
fn a_stream_is_as_red_as_the_worst_that_it_passes() {
    let mut scene = Scene::new(&["weather", "faker", "consumer"]);
    let since = scene.now(0).1;
    scene.pipeline.looked("weather", look(vec![part("upstream", State::Red, "answers 429", since)], ""));
    scene.pipeline.looked("faker", look(vec![part("kafka", State::Green, "", since)], ""));
    scene.pipeline.looked("consumer", look(vec![part("kafka", State::Green, "", since)], ""));
    let snapshot = scene.at(1);
    assert_eq!(stream(&snapshot, "weather").reason, "weather: upstream: answers 429");
    assert_eq!(stream(&snapshot, "faker").state, State::Green);
    let (at, now) = scene.now(2);
    scene.pipeline.store.failed("connection refused".to_owned(), now);
    scene.pipeline.broker.answered(at, now);
    let snapshot = scene.pipeline.snapshot(at, now);
    let faker = stream(&snapshot, "faker");
    assert_eq!((faker.state, faker.reason.as_str()), (State::Red, "cassandra: connection refused"));
}

#[test]
fn a_service_that_is_gone_is_red_since_it_was_missed_and_one_of_two_is_a_remark() {
    let mut scene = Scene::new(&["consumer"]);
    let began = scene.now(0).1;
    let green = vec![part("kafka", State::Green, "", began)];
    scene.pipeline.looked("consumer", look(green.clone(), ""));
    assert_eq!(service(&scene.at(1), "consumer").since, began);
    let trouble = Some("consumer:8080 does not answer: connection refused".to_owned());
    scene.pipeline.looked("consumer", Look { trouble: trouble.clone(), ..look(green, "") });
    assert_eq!(service(&scene.at(2), "consumer").state, State::Yellow);
    scene.pipeline.looked("consumer", Look { trouble, ..Look::default() });
    for second in [3, 4] {
        let snapshot = scene.at(second);
        let consumer = service(&snapshot, "consumer");
        assert_eq!((consumer.state, consumer.since, consumer.instances), (State::Red, scene.now(3).1, 0));
        assert!(consumer.reason.contains("refused"));
    }
}

#[test]
fn nothing_is_said_of_a_service_before_the_first_look() {
    let mut scene = Scene::new(&["consumer"]);
    assert!(scene.at(0).services.iter().all(|service| service.name != "consumer"));
}
