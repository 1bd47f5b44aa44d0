//! The stream loop against an event stream that breaks, stalls, floods and starts over, and its resume from the topic.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use datasets::wikipedia;
use serde_json::{Value, json};
use service::health::State;
use support::{Kafka, Running, Seen, Upstream, answer, broken, endless, flood, settings, wait_for};

const UPSTREAM: &str = "upstream";
const EVENT_STREAM: &str = "text/event-stream";
/// 2026-01-02T12:00:00Z.
const NOON_MS: i64 = 1_767_355_200_000;

fn id(number: i64) -> String {
    format!(
        r#"[{{"topic":"eqiad.mediawiki.recentchange","partition":0,"offset":-1}},{{"topic":"codfw.mediawiki.recentchange","partition":0,"timestamp":{}}}]"#,
        NOON_MS + number * 1000
    )
}

fn key(number: i64) -> String {
    format!("c2a5f6d4-91e0-4c44-9c0e-{number:012}")
}

/// The change that happens `number` seconds after noon, as the stream frames it.
fn change(number: i64) -> String {
    change_with_comment(number, "typo")
}

fn change_with_comment(number: i64, comment: &str) -> String {
    let at = chrono::DateTime::from_timestamp_millis(NOON_MS + number * 1000).unwrap();
    let data = json!({
        "$schema": "/mediawiki/recentchange/1.0.0",
        "meta": {"id": key(number), "dt": at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            "domain": "nl.wikipedia.org", "stream": "mediawiki.recentchange"},
        "type": "edit", "wiki": "nlwiki", "title": "Zwaluw", "comment": comment,
    });
    format!("event: message\nid: {}\ndata: {data}\n\n", id(number))
}

fn canary(number: i64) -> String {
    let data = json!({
        "$schema": "/mediawiki/recentchange/1.0.0",
        "meta": {"id": key(number), "dt": "2026-01-02T12:00:00Z", "domain": "canary",
            "stream": "mediawiki.recentchange"},
    });
    format!("event: message\nid: {}\ndata: {data}\n\n", id(number))
}

fn changes(numbers: std::ops::Range<i64>) -> String {
    format!(":ok\n\n{}", numbers.map(change).collect::<String>())
}

fn start(kafka: &Kafka, url: &str, producer: Value) -> Running {
    let section = json!({ "base_url": url });
    Running::start(&wikipedia::DATASET, settings(&kafka.brokers(), &wikipedia::DATASET, section, producer))
}

fn keys(kafka: &Kafka) -> Vec<String> {
    kafka.records().into_iter().map(|record| record.key).collect()
}

fn expected(numbers: std::ops::Range<i64>) -> Vec<String> {
    numbers.map(key).collect()
}

/// The first connection gives three changes and then `end`; the second one must continue, and gives three more.
async fn continues(
    words: &str,
    producer: Value,
    end: impl Fn() -> Response<Body> + Clone + Send + Sync + 'static,
) {
    let kafka = Kafka::start(&wikipedia::DATASET);
    let told = Arc::new(AtomicBool::new(false));
    let go_on = Arc::clone(&told);
    let upstream = Upstream::start(move |number, seen: &Seen| match number {
        0 => end(),
        _ if !told.load(Ordering::SeqCst) => answer(503, "text/plain", "not yet"),
        // From the last change on, inclusive: the upstream resumes by time.
        _ if seen.last_event_id() == Some(&id(2)) => answer(200, EVENT_STREAM, endless(&changes(2..6))),
        _ => answer(400, "text/plain", "wrong place"),
    })
    .await;
    let producer = start(&kafka, &upstream.url, producer);
    producer.wait_for_reason(UPSTREAM, words).await;
    go_on.store(true, Ordering::SeqCst);
    wait_for("six changes", || kafka.written() >= 6).await;
    producer.stop().await.unwrap();
    assert_eq!(keys(&kafka), expected(0..6), "each once and in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_cut_in_the_middle_of_an_event_continues_without_gap_or_double() {
    continues("503", json!({}), || {
        let half = change(3);
        // The canary is no place to continue from.
        answer(200, EVENT_STREAM, format!("{}{}{}", changes(0..3), canary(50), &half[..half.len() / 2]))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_that_breaks_continues_without_gap_or_double() {
    continues("503", json!({}), || answer(200, EVENT_STREAM, broken(&changes(0..3)))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_stream_is_opened_again() {
    continues("503", json!({"idle_timeout": "200ms"}), || answer(200, EVENT_STREAM, endless(&changes(0..3))))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dribble_of_single_bytes_does_not_pass_for_life() {
    continues("503", json!({"idle_timeout": "300ms"}), || {
        use futures::StreamExt;
        let start: Result<_, std::io::Error> = Ok(changes(0..3));
        let dribble = futures::stream::repeat(()).then(|()| async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok("x".to_owned())
        });
        answer(200, EVENT_STREAM, Body::from_stream(futures::stream::iter([start]).chain(dribble)))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_line_is_given_up() {
    continues("503", json!({"event_bytes_max": 20000}), || {
        use futures::StreamExt;
        let start: Result<_, std::io::Error> = Ok(format!("{}data: ", changes(0..3)));
        let line = futures::stream::repeat_with(|| Ok("x".repeat(1000)));
        answer(200, EVENT_STREAM, Body::from_stream(futures::stream::iter([start]).chain(line)))
    })
    .await;
}

/// An upstream that answers with `bad` is no event stream: the health says `words`.
async fn refuses(words: &str, bad: impl Fn() -> Response<Body> + Clone + Send + Sync + 'static) {
    let kafka = Kafka::start(&wikipedia::DATASET);
    let upstream = Upstream::start(move |_, _| bad()).await;
    let producer = start(&kafka, &upstream.url, json!({"request_timeout": "200ms", "event_bytes_max": 5000}));
    producer.wait_for_reason(UPSTREAM, words).await;
    producer.wait_for_state(UPSTREAM, State::Red).await;
    producer.stop().await.unwrap();
    assert_eq!(kafka.written(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn html_page_is_no_stream() {
    refuses("text/html, not with text/event-stream", || answer(200, "text/html", "<html>log in</html>"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flood_without_any_line_is_given_up() {
    refuses("more than 320000 bytes", || {
        answer(200, EVENT_STREAM, flood("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redirected_stream_is_not_followed() {
    let elsewhere = Upstream::start(|_, _| answer(200, EVENT_STREAM, changes(0..3))).await;
    let location = elsewhere.url.clone();
    refuses("which is not followed", move || {
        let mut response = answer(307, "text/plain", "");
        response.headers_mut().insert("location", location.parse().unwrap());
        response
    })
    .await;
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_of_a_stream_is_honoured() {
    let kafka = Kafka::start(&wikipedia::DATASET);
    let upstream = Upstream::start(|number, _| {
        if number > 0 {
            return answer(200, EVENT_STREAM, endless(&changes(0..3)));
        }
        let mut response = answer(429, "text/plain", "Too Many Requests");
        response.headers_mut().insert("retry-after", "2".parse().unwrap());
        response
    })
    .await;
    let producer = start(&kafka, &upstream.url, json!({}));
    wait_for("three changes", || kafka.written() == 3).await;
    producer.stop().await.unwrap();
    let seen = upstream.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen[1].at - seen[0].at >= Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn event_that_is_too_long_is_left_out_and_its_neighbours_arrive() {
    let kafka = Kafka::start(&wikipedia::DATASET);
    let upstream = Upstream::start(|number, _| match number {
        0 => {
            let long = change_with_comment(3, &"é".repeat(20_000));
            answer(200, EVENT_STREAM, format!("{}{long}{}{}", changes(0..3), change(4), change(5)))
        }
        _ => answer(200, EVENT_STREAM, endless(&change(6))),
    })
    .await;
    let producer = start(&kafka, &upstream.url, json!({"event_bytes_max": 5000}));
    wait_for("six changes", || kafka.written() == 6).await;
    producer.stop().await.unwrap();
    let seen: Vec<_> = upstream.seen().iter().map(|seen| seen.last_event_id().map(str::to_owned)).collect();
    assert_eq!(seen, [None, Some(id(5))], "one connection, and the place beyond it");
    assert_eq!(keys(&kafka), [0, 1, 2, 4, 5, 6].map(key));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_utf_8_and_fields_that_nobody_knows_do_not_end_the_stream() {
    let kafka = Kafka::start(&wikipedia::DATASET);
    let upstream = Upstream::start(|_, _| {
        let changes = [change(0), change_with_comment(1, "a\u{7f}b"), change(2)].concat();
        let body = format!("retry: soon\nwiki: nl\n\n{changes}").into_bytes();
        let body: Vec<u8> = body.into_iter().map(|byte| if byte == 0x7f { 0xff } else { byte }).collect();
        answer(200, EVENT_STREAM, endless(&body))
    })
    .await;
    let producer = start(&kafka, &upstream.url, json!({}));
    wait_for("three changes", || kafka.written() == 3).await;
    producer.stop().await.unwrap();
    assert_eq!(upstream.seen().len(), 1, "one connection");
    assert_eq!(keys(&kafka), expected(0..3));
    assert_eq!(kafka.records()[1].value["comment"], "a\u{fffd}b");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_at_a_reconnect_do_not_make_it_forget_its_place() {
    let kafka = Kafka::start(&wikipedia::DATASET);
    let statuses = [404, 410, 451, 404, 400, 400, 503, 400, 400, 405];
    let upstream = Upstream::start(move |number, seen: &Seen| match (number, seen.last_event_id()) {
        (0, _) => answer(200, EVENT_STREAM, changes(0..3)),
        (_, None) => answer(200, EVENT_STREAM, endless(&changes(100..103))),
        (number, Some(_)) if number <= statuses.len() => answer(statuses[number - 1], "text/plain", "no"),
        (_, Some(_)) => answer(200, EVENT_STREAM, endless(&changes(2..6))),
    })
    .await;
    let producer = start(&kafka, &upstream.url, json!({}));
    wait_for("six changes", || kafka.written() >= 6).await;
    producer.stop().await.unwrap();
    assert_eq!(keys(&kafka), expected(0..6));
}

#[tokio::test(flavor = "multi_thread")]
async fn search_for_the_place_is_told_in_the_health() {
    let kafka = Kafka::start(&wikipedia::DATASET);
    kafka.cluster.broker_round_trip_time(-1, Duration::from_millis(400)).unwrap();
    let upstream = Upstream::start(|_, _| answer(200, EVENT_STREAM, endless(&changes(0..3)))).await;
    let producer = start(&kafka, &upstream.url, json!({}));
    producer.wait_for_reason(UPSTREAM, "sought in topic wikipedia").await;
    assert_eq!((producer.state(UPSTREAM), upstream.seen().len()), (Some(State::Yellow), 0));
    kafka.cluster.broker_round_trip_time(-1, Duration::ZERO).unwrap();
    producer.wait_for_state(UPSTREAM, State::Green).await;
    producer.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn place_that_the_upstream_refuses_is_given_up_rather_than_asked_for_ever() {
    let kafka = Kafka::start(&wikipedia::DATASET);
    let upstream = Upstream::start(|number, seen: &Seen| match (number, seen.last_event_id()) {
        (0, _) => answer(200, EVENT_STREAM, changes(0..3)),
        (_, Some(_)) => answer(400, "text/plain", "bad Last-Event-ID"),
        (_, None) => answer(200, EVENT_STREAM, endless(&changes(3..6))),
    })
    .await;
    let producer = start(&kafka, &upstream.url, json!({}));
    wait_for("six changes", || kafka.written() == 6).await;
    producer.stop().await.unwrap();
    let refused = upstream.seen().iter().filter(|seen| seen.last_event_id().is_some()).count();
    assert_eq!(refused, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_closes_the_stream_and_resume_continues_it() {
    let kafka = Kafka::start(&wikipedia::DATASET);
    let upstream = Upstream::start(|number, _| {
        let body = if number == 0 { changes(0..3) } else { changes(2..6) };
        answer(200, EVENT_STREAM, endless(&body))
    })
    .await;
    let producer = start(&kafka, &upstream.url, json!({}));
    wait_for("three changes", || kafka.written() == 3).await;
    producer.paused.send(true).unwrap();
    producer.wait_for_state("producer", State::Yellow).await;
    assert_eq!(upstream.seen().len(), 1);
    producer.paused.send(false).unwrap();
    wait_for("six changes", || kafka.written() >= 6).await;
    producer.stop().await.unwrap();
    assert_eq!(upstream.seen()[1].last_event_id(), Some(id(2).as_str()));
    assert_eq!(keys(&kafka), expected(0..6));
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_changes_from_the_simulator_to_the_live_stream_once_it_answers() {
    let kafka = Kafka::start(&wikipedia::DATASET);
    let simulator = Upstream::start(|_, _| answer(200, EVENT_STREAM, endless(&changes(0..3)))).await;
    let serves = Arc::new(AtomicBool::new(false));
    let serve = Arc::clone(&serves);
    let live = Upstream::start(move |_, _| {
        if serves.load(Ordering::SeqCst) {
            answer(200, EVENT_STREAM, endless(&changes(100..103)))
        } else {
            answer(200, "text/html", "<html>log in</html>")
        }
    })
    .await;
    let auto = json!({"upstreams": "auto", "simulator": simulator.url, "probe_every": "100ms"});
    let producer = start(&kafka, &live.url, auto);
    wait_for("simulated changes", || kafka.written() == 3).await;
    producer.wait_for_state(UPSTREAM, State::Yellow).await;
    assert!(producer.reason(UPSTREAM).contains("text/html"), "{}", producer.reason(UPSTREAM));
    serve.store(true, Ordering::SeqCst);
    wait_for("live changes", || kafka.written() == 6).await;
    producer.wait_for_state(UPSTREAM, State::Green).await;
    producer.stop().await.unwrap();
    let origins: Vec<String> = kafka.records().into_iter().map(|record| record.origin).collect();
    assert_eq!(origins, ["simulated", "simulated", "simulated", "live", "live", "live"]);
    assert!(
        live.seen().iter().all(|seen| seen.last_event_id().is_none()),
        "a simulated place means nothing there"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn record_too_large_for_kafka_is_rejected_and_the_next_ones_flow() {
    let kafka = Kafka::start(&wikipedia::DATASET);
    let upstream = Upstream::start(|_, _| {
        let large = change_with_comment(0, &"x".repeat(2_100_000));
        // The largest that a topic's default of 1,048,588 allows, nearly: for the client to send, not to judge.
        let allowed = change_with_comment(1, &"x".repeat(1_046_000));
        answer(200, EVENT_STREAM, endless(&format!(":ok\n\n{large}{allowed}{}", change(2))))
    })
    .await;
    let producer = start(&kafka, &upstream.url, json!({"event_bytes_max": 3_000_000}));
    wait_for("two changes", || kafka.written() == 2).await;
    producer.stop().await.unwrap();
    assert_eq!(keys(&kafka), [key(1), key(2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn once_streams_for_a_second_and_ends() {
    let kafka = Kafka::start(&wikipedia::DATASET);
    let upstream = Upstream::start(|_, _| answer(200, EVENT_STREAM, endless(&changes(0..3)))).await;
    let section = json!({ "base_url": upstream.url });
    let settings = settings(&kafka.brokers(), &wikipedia::DATASET, section, json!({}));
    Running::once(&wikipedia::DATASET, settings).end().await.unwrap();
    assert_eq!(kafka.written(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn restarted_producer_resumes_from_the_last_change_of_its_own_origin() {
    let kafka = Kafka::start(&wikipedia::DATASET);
    let first = Upstream::start(|_, _| {
        // The canary comes last and is no place to resume from.
        answer(200, EVENT_STREAM, endless(&format!("{}{}", changes(0..3), canary(50))))
    })
    .await;
    let producer = start(&kafka, &first.url, json!({}));
    wait_for("three changes", || kafka.written() == 3).await;
    producer.stop().await.unwrap();

    // What another origin has published in between is not looked at, however much it is.
    let simulator = Upstream::start(|_, _| answer(200, EVENT_STREAM, endless(&changes(1000..4000)))).await;
    let simulated = json!({"upstreams": "simulated", "simulator": simulator.url});
    let producer = start(&kafka, &first.url, simulated);
    wait_for("simulated changes", || kafka.written() == 3003).await;
    producer.stop().await.unwrap();
    assert_eq!(simulator.seen()[0].last_event_id(), None);

    let second = Upstream::start(|_, _| answer(200, EVENT_STREAM, endless(&changes(1..5)))).await;
    let producer = start(&kafka, &second.url, json!({}));
    wait_for("two more changes", || kafka.written() >= 3005).await;
    producer.stop().await.unwrap();
    assert_eq!(second.seen()[0].last_event_id(), Some(id(2).as_str()));
    let live: Vec<String> = kafka
        .records()
        .into_iter()
        .filter(|record| record.origin == "live")
        .map(|record| record.key)
        .collect();
    assert_eq!(live, expected(0..5), "each once and in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn restarted_producer_knows_the_last_ten_thousand_changes_by_their_keys() {
    let kafka = Kafka::start(&wikipedia::DATASET);
    for (body, published) in [(changes(0..2500), 2500), (changes(10..2503), 2503)] {
        let upstream = Upstream::start(move |_, _| answer(200, EVENT_STREAM, endless(&body))).await;
        let producer = start(&kafka, &upstream.url, json!({}));
        wait_for("the changes", || kafka.written() >= published).await;
        producer.stop().await.unwrap();
    }
    assert_eq!(keys(&kafka), expected(0..2503), "each once and in order");
}
