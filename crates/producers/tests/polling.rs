//! The polling loop against upstreams that misbehave in every way that is known.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use datasets::{companies, weather};
use serde_json::{Value, json};
use service::health::State;
use support::{Kafka, Running, Upstream, answer, broken, endless, flood, settings, stays, wait_for};

const UPSTREAM: &str = "upstream";
const COMPANY: &str = r#"{"status":"OK","code":200,"locale":"en_US","seed":null,"total":1,"data":[{"id":1,
    "name":"Harbor & Finch Ltd","email":"office@harborfinch.example","vat":"0412873366","phone":"+14155550137",
    "country":"Belize","addresses":[],"website":"http://harborfinch.example","image":"http://img.example/1"}]}"#;
const OSLO: &str = r#"{"coord":{"lon":10.7,"lat":59.9},"weather":[{"id":800,"main":"Clear","description":"clear sky",
        "icon":"01d"}],"main":{"temp":271.2,"temp_min":270,"temp_max":272,"pressure":1021,"humidity":71},
        "wind":{"speed":2.1,"deg":20},"dt":1767355200,"sys":{"country":"NO"},"id":3143244,"name":"Oslo","cod":200}"#;

fn good() -> Response<Body> {
    answer(200, "application/json", COMPANY)
}

/// The upstream gives bad answers until the health says `words`, then good ones: the producer says what is wrong,
/// publishes nothing of it, and carries on.
async fn recovers(
    words: &str,
    producer: Value,
    bad: impl Fn() -> Response<Body> + Clone + Send + Sync + 'static,
) {
    let kafka = Kafka::start(&companies::DATASET);
    let healed = Arc::new(AtomicBool::new(false));
    let heal = Arc::clone(&healed);
    let upstream =
        Upstream::start(move |_, _| if healed.load(Ordering::SeqCst) { good() } else { bad() }).await;
    let section = json!({"base_url": upstream.url, "every": "20ms", "requests_per_minute": 3000});
    let producer = Running::start(
        &companies::DATASET,
        settings(&kafka.brokers(), &companies::DATASET, section, producer),
    );
    producer.wait_for_reason(UPSTREAM, words).await;
    producer.wait_for_state(UPSTREAM, State::Red).await;
    assert!(producer.reason(UPSTREAM).contains("next attempt at"), "{}", producer.reason(UPSTREAM));
    assert_eq!(kafka.written(), 0);
    heal.store(true, Ordering::SeqCst);
    producer.wait_for_state(UPSTREAM, State::Green).await;
    producer.stop().await.unwrap();
    let records = kafka.records();
    assert!(!records.is_empty());
    assert!(records.iter().all(|record| record.value["vat"] == "0412873366" && record.origin == "live"));
}

#[tokio::test(flavor = "multi_thread")]
async fn server_errors_are_waited_out() {
    recovers("500", json!({}), || answer(500, "application/json", r#"{"message":"Server Error"}"#)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn html_with_status_200_is_malformed_and_named() {
    recovers("text/html", json!({}), || answer(200, "text/html", "<html>log in</html>")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_loris_ends_at_the_deadline() {
    let producer = json!({"request_timeout": "200ms"});
    recovers("timed out", producer, || answer(200, "application/json", endless("{\"status\":"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_body_is_an_error() {
    recovers("decoding", json!({}), || answer(200, "application/json", broken(&COMPANY[..100]))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_body_ends_at_the_cap() {
    let flood = || {
        answer(200, "application/json", flood("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"))
    };
    recovers("more than 65536 bytes", json!({"body_bytes_max": 65536}), flood).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gzip_bomb_ends_at_the_cap_of_decoded_bytes() {
    recovers("more than 4194304 bytes", json!({}), || {
        let bomb: &[u8] = include_bytes!("fixtures/zeros-16mb.gz");
        assert!(bomb.len() < 64 * 1024, "small on the wire");
        let mut response = answer(200, "application/json", bomb);
        response.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
        response
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redirect_is_not_followed() {
    let elsewhere = Upstream::start(|_, _| good()).await;
    let location = elsewhere.url.clone();
    recovers("which is not followed", json!({}), move || {
        let mut response = answer(302, "text/html", "");
        response.headers_mut().insert("location", location.parse().unwrap());
        response
    })
    .await;
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_leaves_the_upstream_alone_for_all_of_the_window() {
    let kafka = Kafka::start(&companies::DATASET);
    let upstream = Upstream::start(|number, _| {
        if number != 1 {
            return good();
        }
        let mut response = answer(429, "application/json", r#"{"message":"Too Many Attempts."}"#);
        response.headers_mut().insert("retry-after", "2".parse().unwrap());
        response
    })
    .await;
    let section = json!({"base_url": upstream.url, "every": "10ms", "requests_per_minute": 3000});
    let producer = Running::start(
        &companies::DATASET,
        settings(&kafka.brokers(), &companies::DATASET, section, json!({})),
    );
    wait_for("requests after the window", || upstream.seen().len() >= 4).await;
    producer.stop().await.unwrap();
    let seen = upstream.seen();
    let window = seen[2].at - seen[1].at;
    assert!(window >= Duration::from_secs(2) && window < Duration::from_secs(4), "{window:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_key_is_asked_once_and_told_without_the_key() {
    let kafka = Kafka::start(&weather::DATASET);
    let upstream = Upstream::start(|_, _| {
        answer(401, "application/json", r#"{"cod":401,"message":"Invalid API key: s3cretkey"}"#)
    })
    .await;
    let section = json!({
        "base_url": upstream.url, "api_key": "s3cretkey", "cities": "Oslo,NO;Lima,PE", "every": "10ms",
        "requests_per_minute": 3000,
    });
    let producer =
        Running::start(&weather::DATASET, settings(&kafka.brokers(), &weather::DATASET, section, json!({})));
    producer.wait_for_state(UPSTREAM, State::Red).await;
    let reason = producer.reason(UPSTREAM);
    assert!(
        reason.contains("Invalid API key: [redacted]") && reason.contains("TRIBUTARY__WEATHER__"),
        "{reason}"
    );
    assert!(!reason.contains("s3cretkey"), "{reason}");
    stays("one request", Duration::from_millis(500), || upstream.seen().len() == 1).await;
    assert!(upstream.seen()[0].uri.query().unwrap().contains("appid=s3cretkey"));
    producer.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn simulator_is_never_told_the_real_key() {
    let kafka = Kafka::start(&weather::DATASET);
    let simulator = Upstream::start(|_, _| answer(200, "application/json", OSLO)).await;
    let section = json!({"api_key": "realkey", "cities": "Oslo,NO"});
    let simulated = json!({"upstreams": "simulated", "simulator": simulator.url});
    let settings = settings(&kafka.brokers(), &weather::DATASET, section, simulated);
    Running::once(&weather::DATASET, settings).end().await.unwrap();
    let query = simulator.seen()[0].uri.query().unwrap().to_owned();
    assert!(query.contains("appid=simulated") && !query.contains("realkey"), "{query}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_city_rests_while_the_others_go_on() {
    let kafka = Kafka::start(&weather::DATASET);
    let upstream = Upstream::start(|_, seen| {
        if seen.uri.query().unwrap().contains("Nowhere") {
            answer(404, "application/json", r#"{"cod":"404","message":"city not found"}"#)
        } else {
            answer(200, "application/json", OSLO)
        }
    })
    .await;
    let section = json!({
        "base_url": upstream.url, "api_key": "k", "cities": ["Nowhere", "Oslo,NO"], "every": "20ms",
        "requests_per_minute": 3000,
    });
    let producer =
        Running::start(&weather::DATASET, settings(&kafka.brokers(), &weather::DATASET, section, json!({})));
    wait_for("several rounds", || upstream.seen().len() >= 6).await;
    producer.wait_for_state(UPSTREAM, State::Yellow).await;
    assert!(
        producer.reason(UPSTREAM).contains("Nowhere") && producer.reason(UPSTREAM).contains("city not found")
    );
    producer.stop().await.unwrap();
    let asked = upstream.seen().iter().filter(|seen| seen.uri.query().unwrap().contains("Nowhere")).count();
    assert_eq!(asked, 1);
    let records = kafka.records();
    assert!(records.len() >= 4 && records.iter().all(|record| record.key == "Oslo,NO"), "{records:?}");
}

/// The origin of the weather under `auto`, where the live upstream answers so for the first of two cities; and how it ended.
async fn origin_where_the_first_city_gets(status: u16, body: &'static str) -> (String, anyhow::Result<()>) {
    let kafka = Kafka::start(&weather::DATASET);
    let simulator = Upstream::start(|_, _| answer(200, "application/json", OSLO)).await;
    let live = Upstream::start(move |_, seen| {
        if seen.uri.query().unwrap().contains("Nowhere") {
            answer(status, "application/json", body)
        } else {
            answer(200, "application/json", OSLO)
        }
    })
    .await;
    let section = json!({"base_url": live.url, "api_key": "k", "cities": ["Nowhere", "Oslo,NO"]});
    let auto = json!({"upstreams": "auto", "simulator": simulator.url});
    let settings = settings(&kafka.brokers(), &weather::DATASET, section, auto);
    let ended = Running::once(&weather::DATASET, settings).end().await;
    (kafka.records()[0].origin.clone(), ended)
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_is_live_where_only_the_first_city_is_misspelt() {
    let not_found = r#"{"cod":"404","message":"city not found"}"#;
    let (origin, ended) = origin_where_the_first_city_gets(404, not_found).await;
    assert_eq!(origin, "live");
    let words = ended.unwrap_err().to_string();
    assert!(words.contains("not all was published: requests without an answer: 1"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_is_simulated_where_the_key_is_refused_or_something_else_answers() {
    for (status, body) in [
        (401, r#"{"cod":401,"message":"Invalid API key"}"#),
        (404, "<html>Not Found</html>"),
        (404, r#"{"message":"no such route"}"#),
        (429, r#"{"cod":429,"message":"blocked"}"#),
    ] {
        let (origin, ended) = origin_where_the_first_city_gets(status, body).await;
        assert_eq!(origin, "simulated", "{status} {body}");
        ended.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_stops_the_requests_and_resume_starts_them_again() {
    let kafka = Kafka::start(&companies::DATASET);
    let upstream = Upstream::start(|_, _| good()).await;
    let section = json!({"base_url": upstream.url, "every": "10ms", "requests_per_minute": 3000});
    let producer = Running::start(
        &companies::DATASET,
        settings(&kafka.brokers(), &companies::DATASET, section, json!({})),
    );
    wait_for("requests", || upstream.seen().len() >= 2).await;
    producer.paused.send(true).unwrap();
    producer.wait_for_state("producer", State::Yellow).await;
    let before = upstream.seen().len();
    stays("no request", Duration::from_millis(300), || upstream.seen().len() == before).await;
    producer.paused.send(false).unwrap();
    wait_for("requests again", || upstream.seen().len() > before + 1).await;
    assert_eq!(producer.state("producer"), Some(State::Green));
    producer.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_carry_an_honest_user_agent() {
    let kafka = Kafka::start(&companies::DATASET);
    let upstream = Upstream::start(|_, _| good()).await;
    let section = json!({"base_url": upstream.url});
    let settings = settings(&kafka.brokers(), &companies::DATASET, section, json!({}));
    Running::once(&companies::DATASET, settings).end().await.unwrap();
    let agent = upstream.seen()[0].headers["user-agent"].to_str().unwrap().to_owned();
    assert!(agent.starts_with("tributary/") && agent.contains("(ops@example.com)"), "{agent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn once_asks_once_and_ends_with_everything_acknowledged() {
    let kafka = Kafka::start(&companies::DATASET);
    let upstream = Upstream::start(|_, _| good()).await;
    let section = json!({"base_url": upstream.url, "every": "10ms"});
    let settings = settings(&kafka.brokers(), &companies::DATASET, section, json!({}));
    Running::once(&companies::DATASET, settings).end().await.unwrap();
    assert_eq!((upstream.seen().len(), kafka.written()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn once_fails_where_nothing_could_be_published() {
    let kafka = Kafka::start(&companies::DATASET);
    let upstream = Upstream::start(|_, _| answer(500, "text/plain", "no")).await;
    let section = json!({"base_url": upstream.url});
    let settings = settings(&kafka.brokers(), &companies::DATASET, section, json!({}));
    let error = Running::once(&companies::DATASET, settings).end().await.unwrap_err().to_string();
    assert!(error.contains("nothing was published"), "{error}");
    assert_eq!(upstream.seen().len(), 3, "three attempts a round");
}

#[tokio::test(flavor = "multi_thread")]
async fn once_waits_shortly_and_not_after_its_last_attempt() {
    let kafka = Kafka::start(&companies::DATASET);
    let upstream = Upstream::start(|_, _| answer(500, "text/plain", "no")).await;
    let section = json!({"base_url": upstream.url});
    let patient = json!({"backoff_min": "1h", "backoff_max": "1h"});
    let settings = settings(&kafka.brokers(), &companies::DATASET, section, patient);
    Running::once(&companies::DATASET, settings).end().await.unwrap_err();
    assert_eq!(upstream.seen().len(), 3, "three attempts a round");
}

#[tokio::test(flavor = "multi_thread")]
async fn once_gives_up_where_nobody_answers_or_a_long_rest_is_asked_for() {
    let kafka = Kafka::start(&weather::DATASET);
    let once = async |base_url: &str| {
        let section = json!({"base_url": base_url, "api_key": "k", "cities": ["Oslo,NO", "Rome,IT"]});
        let settings = settings(&kafka.brokers(), &weather::DATASET, section, json!({}));
        Running::once(&weather::DATASET, settings).end().await.unwrap_err()
    };
    let resting = Upstream::start(|_, _| {
        let mut answer = answer(429, "text/plain", "later");
        answer.headers_mut().insert("retry-after", "3600".parse().unwrap());
        answer
    })
    .await;
    once(&resting.url).await;
    assert_eq!(resting.seen().len(), 1, "left alone as it asks");

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        // Each is counted, and then closed at once.
        while let Ok((connection, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            drop(connection);
        }
    });
    once(&url).await;
    assert_eq!(connections.load(Ordering::SeqCst), 3, "of six attempts");
}

#[tokio::test(flavor = "multi_thread")]
async fn once_fails_where_it_is_stopped() {
    let kafka = Kafka::start(&weather::DATASET);
    let upstream = Upstream::start(|before, _| match before {
        0 => answer(200, "application/json", OSLO),
        _ => answer(200, "application/json", endless("{")),
    })
    .await;
    let section = json!({"base_url": upstream.url, "api_key": "k", "cities": ["Oslo,NO", "Rome,IT"]});
    let settings = settings(&kafka.brokers(), &weather::DATASET, section, json!({}));
    let once = Running::once(&weather::DATASET, settings);
    wait_for("the second request", || upstream.seen().len() == 2).await;
    let words = once.stop().await.unwrap_err().to_string();
    assert!(words.contains("not all was published: it was stopped"), "{words}");
}
