//! Scripted faults, the journal, health and the end.

use std::time::{Duration, Instant};

use reqwest::Client;
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use simulators::Settings;

use super::Simulator;

const COMPANIES: &str = "/api/v2/companies";

#[tokio::test]
async fn rate_limit_tells_when_to_come_back_and_strikes_as_often_as_scripted() {
    let simulator = Simulator::start(Settings::default()).await;
    let script = json!({"path": "/api/1.4/", "fault": "rate_limited", "count": 2, "retry_after": 7});
    assert_eq!(simulator.script(script.clone()).await.0, 200);
    assert_eq!(simulator.json("/faults").await.1, json!([script]));
    for _ in 0..2 {
        let response = simulator.get("/api/1.4/").await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (429, &"7".parse().unwrap())
        );
    }
    assert_eq!(simulator.text("/api/1.4/").await.0, 200);
    assert_eq!(simulator.json("/faults").await.1, json!([]));
}

#[tokio::test]
async fn every_upstream_fails_in_its_own_words() {
    let simulator = Simulator::start(Settings::default()).await;
    for (path, fault, status, words) in [
        ("/data/2.5/weather", "rate_limited", 429, "temporary blocked"),
        ("/data/2.5/weather", "server_error", 500, "\"cod\":\"500\""),
        ("/data/2.5/weather", "refused_key", 401, "Invalid API key"),
        ("/api/1.4/", "rate_limited", 429, "cowboy"),
        ("/api/1.4/", "server_error", 500, "Uh oh"),
        (COMPANIES, "rate_limited", 429, "Too Many"),
        (COMPANIES, "server_error", 500, r#"{"message":"Server Error"}"#),
        (COMPANIES, "proxy_page", 200, "<!DOCTYPE html>"),
        ("/v2/stream/recentchange", "rate_limited", 429, "Too Many"),
        ("/v2/stream/recentchange", "server_error", 502, "Bad Gateway"),
        ("/v2/stream/recentchange", "refused_key", 403, "user-agent"),
    ] {
        simulator.fault(path, fault).await;
        let (answered, body) = simulator.text(path).await;
        assert!(answered == status && body.contains(words), "{path} {fault}: {answered} {body}");
    }
}

#[tokio::test]
async fn truncated_body_is_a_lost_connection_and_malformed_one_is_cut_json() {
    let simulator = Simulator::start(Settings::default()).await;
    simulator.fault(COMPANIES, "truncated").await;
    let response = simulator.get(COMPANIES).await;
    assert_eq!(response.status(), 200);
    assert!(response.text().await.is_err());
    simulator.fault(COMPANIES, "malformed").await;
    let (status, body) = simulator.text(COMPANIES).await;
    assert!(status == 200 && body.starts_with("{\"status\":\"OK\""), "{body}");
    assert!(serde_json::from_str::<Value>(&body).unwrap_err().is_eof());
    assert_eq!(simulator.json(COMPANIES).await.0, 200);
}

#[tokio::test]
async fn slow_body_comes_byte_by_byte_under_its_whole_length() {
    let simulator = Simulator::start(Settings::default()).await;
    simulator.fault(COMPANIES, "slow").await;
    let started = Instant::now();
    let mut response = simulator.get(COMPANIES).await;
    assert!(response.content_length().unwrap() > 1000);
    let mut begun = Vec::new();
    while begun.len() < 5 {
        begun.extend(response.chunk().await.unwrap().unwrap());
    }
    assert!(started.elapsed() >= Duration::from_millis(200), "{:?}", started.elapsed());
    assert!(b"{\"status\":".starts_with(&begun), "{begun:?}");
}

#[tokio::test]
async fn huge_body_tells_no_length_and_is_blanks_beyond_every_cap() {
    let simulator = Simulator::start(Settings::default()).await;
    simulator.fault(COMPANIES, "huge_body").await;
    let mut response = simulator.get(COMPANIES).await;
    assert_eq!((response.status().as_u16(), response.content_length()), (200, None));
    let mut bytes = 0;
    while bytes < 32 << 20 {
        let chunk = response.chunk().await.unwrap().unwrap();
        assert!(chunk.iter().all(|byte| *byte == b' '));
        bytes += chunk.len();
    }
    drop(response);
    assert_eq!(simulator.json(COMPANIES).await.0, 200);
}

#[tokio::test]
async fn redirect_leads_to_the_metadata_of_the_cloud() {
    let simulator = Simulator::start(Settings::default()).await;
    let staying =
        Client::builder().user_agent("tests/0").redirect(Policy::none()).no_proxy().build().unwrap();
    for path in ["/data/2.5/weather", "/api/1.4/", COMPANIES, "/v2/stream/recentchange"] {
        simulator.fault(path, "redirected").await;
        let response = staying.get(simulator.url(path)).send().await.unwrap();
        let location = response.headers()["location"].to_str().unwrap();
        assert_eq!((response.status().as_u16(), location), (302, "http://169.254.169.254/"), "{path}");
    }
}

#[tokio::test]
async fn scripts_that_could_never_strike_are_refused() {
    let simulator = Simulator::start(Settings::default()).await;
    for (script, words) in [
        (json!({"path": "/nowhere", "fault": "stalled"}), "/nowhere"),
        (json!({"path": COMPANIES, "fault": "mid_event_eof"}), "MidEventEof"),
        (json!({"path": "/v2/stream/recentchange", "fault": "huge_body"}), "HugeBody"),
        (json!({"path": COMPANIES, "fault": "gremlins"}), "gremlins"),
        (json!({"path": COMPANIES, "fault": "stalled", "cuont": 1}), "cuont"),
    ] {
        let (status, body) = simulator.script(script.clone()).await;
        assert!((400..500).contains(&status) && body.contains(words), "{script}: {status} {body}");
    }
    assert_eq!(simulator.json("/faults").await.1, json!([]));
}

#[tokio::test]
async fn cleared_faults_strike_no_more() {
    let simulator = Simulator::start(Settings::default()).await;
    simulator.fault(COMPANIES, "server_error").await;
    simulator.client.delete(simulator.url("/faults")).send().await.unwrap();
    assert_eq!(simulator.json(COMPANIES).await.0, 200);
}

#[tokio::test]
async fn journal_counts_by_path_and_status_and_hides_the_key() {
    let simulator = Simulator::start(Settings::default()).await;
    simulator.fault("/api/1.4/", "rate_limited").await;
    simulator.text("/api/1.4/").await;
    simulator.text("/api/1.4/").await;
    simulator.text("/data/2.5/weather?q=Oslo&appid=secret").await;
    let (_, journal) = simulator.json("/requests").await;
    assert_eq!(journal["paths"]["/api/1.4/"], json!({"200": 1, "429": 1}));
    let limited = json!({
        "at": "2026-01-02T12:00:00.000Z", "path": "/api/1.4/", "query": "", "status": 429, "fault": "rate_limited",
    });
    assert_eq!(journal["recent"][0], limited);
    assert_eq!(journal["recent"][1].get("fault"), None);
    assert_eq!(journal["recent"][2]["query"], "q=Oslo&appid=***");
    simulator.client.delete(simulator.url("/requests")).send().await.unwrap();
    assert_eq!(simulator.json("/requests").await.1["recent"], json!([]));
}

#[tokio::test]
async fn health_answers_and_is_no_upstream_request() {
    let simulator = Simulator::start(Settings::default()).await;
    let (status, health) = simulator.text("/health").await;
    assert!(status == 200 && health.starts_with(r#"{"state":"green""#), "{health}");
    assert_eq!(simulator.json("/requests").await.1["paths"], json!({}));
}

#[tokio::test]
async fn shutdown_ends_an_open_stream_and_a_stalled_request() {
    let mut simulator = Simulator::start(Settings::default()).await;
    let stream = simulator.get("/v2/stream/recentchange").await;
    simulator.fault(COMPANIES, "stalled").await;
    let stalled = tokio::spawn(simulator.client.get(simulator.url(COMPANIES)).send());
    // The request has come when its fault is gone.
    while simulator.json("/faults").await.1 != json!([]) {}
    simulator.shutdown.cancel();
    assert!(stream.text().await.unwrap().starts_with(":ok"));
    assert_eq!(stalled.await.unwrap().unwrap().status(), 503);
    (&mut simulator.server).await.unwrap().unwrap();
}
