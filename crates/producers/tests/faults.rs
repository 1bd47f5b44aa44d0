//! The loops against every fault that the simulators can be told to have: what was good before and after is published,
//! whole and once.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::process::{Child, Command, Stdio};

use datasets::{Dataset, random_user, weather, wikipedia};
use serde_json::{Value, json};
use service::health::State;
use support::simulators::{PER_S, STREAM, Simulators, assert_whole, pauses, times};
use support::{Kafka, Running, Upstream, answer, settings, wait_for};

const UPSTREAM: &str = "upstream";
const USERS: &str = "/api/1.4/";
const WEATHER: &str = "/data/2.5/weather";

fn start(
    kafka: &Kafka,
    simulators: &Simulators,
    dataset: &'static Dataset,
    section: Value,
    mut producer: Value,
) -> Running {
    producer["upstreams"] = json!("simulated");
    producer["simulator"] = json!(simulators.url);
    Running::start(dataset, settings(&kafka.brokers(), dataset, section, producer))
}

/// Waits for a second's worth of changes more.
async fn flows(kafka: &Kafka, after: &str) {
    let before = kafka.written();
    wait_for(&format!("changes after {after}"), || kafka.written() >= before + i64::from(PER_S)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_answer_is_named_and_the_next_good_one_is_published() {
    let (kafka, simulators) = (Kafka::start(&random_user::DATASET), Simulators::start().await);
    let section = json!({"results": 50, "every": "20ms", "requests_per_minute": 3000});
    let producer =
        start(&kafka, &simulators, &random_user::DATASET, section, json!({"request_timeout": "500ms"}));
    for (fault, words) in [
        ("rate_limited", "429"),
        ("server_error", "500"),
        ("truncated", "decoding"),
        ("malformed", "application/json"),
        ("proxy_page", "text/html"),
        ("stalled", "timed out"),
        ("slow", "timed out"),
        ("huge_body", "more than 4194304 bytes"),
        ("redirected", "a redirect to http://169.254.169.254/, which is not followed"),
    ] {
        simulators.fault(json!({"path": USERS, "fault": fault, "count": 1_000_000})).await;
        producer.wait_for_reason(UPSTREAM, words).await;
        producer.wait_for_state(UPSTREAM, State::Red).await;
        let before = kafka.written();
        simulators.calm().await;
        producer.wait_for_state(UPSTREAM, State::Yellow).await;
        wait_for(&format!("users after {fault}"), || kafka.written() > before).await;
    }
    producer.stop().await.unwrap();
    assert!(kafka.records().iter().all(|record| record.value["id"] == record.key));
}

#[tokio::test(flavor = "multi_thread")]
async fn window_of_a_retry_after_sees_one_request_however_many_cities_there_are() {
    let (kafka, simulators) = (Kafka::start(&weather::DATASET), Simulators::start().await);
    let refusals = json!({"path": WEATHER, "fault": "rate_limited", "count": 3, "retry_after": 2});
    simulators.fault(refusals).await;
    let section = json!({"cities": "Oslo,NO;Lima,PE;Paris,FR", "every": "10ms", "requests_per_minute": 3000});
    let producer = start(&kafka, &simulators, &weather::DATASET, section, json!({}));
    wait_for("an observation of each city", || kafka.written() >= 3).await;
    producer.stop().await.unwrap();
    let asked = simulators.asked(WEATHER).await;
    let statuses: Vec<u64> = asked.iter().take(5).map(|asked| asked.status).collect();
    assert_eq!(statuses, [429, 429, 429, 200, 200]);
    // The journal's times are cut to whole milliseconds.
    assert!(pauses(&asked)[..3].iter().all(|pause| *pause >= 1.999), "{:?}", pauses(&asked));
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_goes_on_after_every_fault_without_gap_or_double() {
    let (kafka, simulators) = (Kafka::start(&wikipedia::DATASET), Simulators::start().await);
    let bounds = json!({"idle_timeout": "1s", "event_bytes_max": 262_144});
    let producer = start(&kafka, &simulators, &wikipedia::DATASET, json!({}), bounds);
    flows(&kafka, "the start").await;
    for fault in ["truncated", "mid_event_eof", "stalled", "slow", "endless_line", "retry_zero", "switched"] {
        simulators.fault(json!({"path": STREAM, "fault": fault})).await;
        simulators.wait_until_struck().await;
        flows(&kafka, fault).await;
    }
    for fault in ["rate_limited", "server_error", "proxy_page", "redirected"] {
        simulators.fault(json!({"path": STREAM, "fault": fault, "count": 2})).await;
        simulators.fault(json!({"path": STREAM, "fault": "mid_event_eof"})).await;
        simulators.wait_until_struck().await;
        flows(&kafka, fault).await;
    }
    producer.stop().await.unwrap();
    assert_whole(&kafka.records());
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_that_asks_for_no_wait_is_opened_at_most_once_a_second() {
    let (kafka, simulators) = (Kafka::start(&wikipedia::DATASET), Simulators::start().await);
    simulators.fault(json!({"path": STREAM, "fault": "retry_zero", "count": 3})).await;
    let producer = start(&kafka, &simulators, &wikipedia::DATASET, json!({}), json!({}));
    simulators.wait_until_struck().await;
    flows(&kafka, "the last clean end").await;
    producer.stop().await.unwrap();
    let pauses = pauses(&simulators.asked(STREAM).await);
    assert_eq!(pauses.len(), 3);
    assert!(pauses.iter().all(|pause| *pause >= 0.999), "{pauses:?}");
    assert_whole(&kafka.records());
}

#[tokio::test(flavor = "multi_thread")]
async fn switch_of_the_datacentre_costs_no_change_and_doubles_none_at_any_resume() {
    let (kafka, simulators) = (Kafka::start(&wikipedia::DATASET), Simulators::start().await);
    let begin = || start(&kafka, &simulators, &wikipedia::DATASET, json!({}), json!({}));
    let mut producer = begin();
    flows(&kafka, "the start").await;
    // There and back: then the older of the two times in an id is once that of either topic.
    for _ in 0..2 {
        simulators.fault(json!({"path": STREAM, "fault": "switched"})).await;
        simulators.wait_until_struck().await;
        flows(&kafka, "the switch").await;
        simulators.fault(json!({"path": STREAM, "fault": "truncated"})).await;
        simulators.wait_until_struck().await;
        flows(&kafka, "the cut").await;
        producer.stop().await.unwrap();
        producer = begin();
        flows(&kafka, "the restart").await;
    }
    producer.stop().await.unwrap();
    let records = kafka.records();
    assert_eq!((times(&records[0]).len(), times(&records[records.len() - 1]).len()), (1, 2));
    assert_whole(&records);
}

#[tokio::test(flavor = "multi_thread")]
async fn probe_of_the_real_upstream_cuts_no_retry_after_short() {
    let (kafka, simulators) = (Kafka::start(&wikipedia::DATASET), Simulators::start().await);
    let live = Upstream::start(|_, _| answer(200, "text/html", "<html>log in</html>")).await;
    simulators.fault(json!({"path": STREAM, "fault": "rate_limited", "retry_after": 2})).await;
    let auto = json!({"upstreams": "auto", "simulator": simulators.url, "probe_every": "100ms"});
    let section = json!({ "base_url": live.url });
    let producer =
        Running::start(&wikipedia::DATASET, settings(&kafka.brokers(), &wikipedia::DATASET, section, auto));
    flows(&kafka, "the refusal").await;
    producer.stop().await.unwrap();
    let asked = simulators.asked(STREAM).await;
    assert_eq!([asked[0].status, asked[1].status], [429, 200]);
    assert!(pauses(&asked)[0] >= 1.999, "{asked:?}");
    assert!(live.seen().len() > 5, "it was probed meanwhile");
}

/// A producer in a process of its own.
struct Process(Child);

impl Process {
    fn start(binary: &str, kafka: &Kafka, simulators: &Simulators, more: &[(&str, &str)]) -> Self {
        let brokers = kafka.brokers();
        let common = [
            ("TRIBUTARY__KAFKA__BROKERS", brokers.as_str()),
            ("TRIBUTARY__HTTP__BIND", "127.0.0.1:0"),
            ("TRIBUTARY__PRODUCER__UPSTREAMS", "simulated"),
            ("TRIBUTARY__PRODUCER__SIMULATOR", &simulators.url),
            ("TRIBUTARY__PRODUCER__BACKOFF_MIN", "10ms"),
            ("TRIBUTARY__PRODUCER__BACKOFF_MAX", "50ms"),
        ];
        let mut command = Command::new(binary);
        command.env_clear().env("RUST_LOG", "error").envs(common).envs(more.iter().copied());
        Self(command.stdout(Stdio::null()).spawn().unwrap())
    }

    /// The most memory that it ever had resident, in MB of 10^6 bytes.
    fn peak_rss_mb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kib: u64 = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
        kib * 1024 / 1_000_000
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_a_gigabyte_and_a_line_without_an_end_leave_the_memory_flat() {
    let simulators = Simulators::start().await;
    let users = Kafka::start(&random_user::DATASET);
    simulators.fault(json!({"path": USERS, "fault": "huge_body", "count": 20})).await;
    let often =
        [("TRIBUTARY__RANDOM_USER__EVERY", "20ms"), ("TRIBUTARY__RANDOM_USER__REQUESTS_PER_MINUTE", "3000")];
    let polled = Process::start(env!("CARGO_BIN_EXE_random-user"), &users, &simulators, &often);
    wait_for("users after the bodies", || users.written() > 0).await;

    let changes = Kafka::start(&wikipedia::DATASET);
    // 64 MiB of it come before it is given up.
    simulators.fault(json!({"path": STREAM, "fault": "endless_line"})).await;
    let streamed = Process::start(env!("CARGO_BIN_EXE_wikipedia"), &changes, &simulators, &[]);
    simulators.wait_until_struck().await;
    flows(&changes, "the line").await;

    let peaks = (polled.peak_rss_mb(), streamed.peak_rss_mb());
    println!("peak memory in MB: {peaks:?}");
    assert!(peaks.0 <= 64 && peaks.1 <= 64, "{peaks:?}");
}
