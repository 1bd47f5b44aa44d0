//! What Chromium has noted of a page -> what the page must not do: errors and warnings, requests to other hosts.

use serde_json::Value;

use crate::chromium::Chromium;

/// What a page of `origin` has done wrong since it was asked last. Lines of the console with one of the `expected` texts are
/// none of it.
pub(crate) fn troubles(chromium: &Chromium, origin: &str, expected: &[&str]) -> Vec<String> {
    let said = chromium.log("browser").into_iter().filter_map(|entry| complaint(&entry));
    let mut troubles: Vec<String> =
        said.filter(|line| !expected.iter().any(|text| line.contains(text))).collect();
    let asked = chromium.log("performance").into_iter().filter_map(|entry| request(&entry));
    troubles.extend(asked.filter(|url| !stays(url, origin)).map(|url| format!("request to {url}")));
    troubles
}

fn complaint(entry: &Value) -> Option<String> {
    let level = entry["level"].as_str().unwrap();
    ["WARNING", "SEVERE"].contains(&level).then(|| format!("{level}: {}", entry["message"].as_str().unwrap()))
}

// An event of the DevTools protocol, as text within the entry.
fn request(entry: &Value) -> Option<String> {
    let event: Value = serde_json::from_str(entry["message"].as_str().unwrap()).unwrap();
    let event = &event["message"];
    let url = match event["method"].as_str().unwrap() {
        "Network.requestWillBeSent" => &event["params"]["request"]["url"],
        "Network.webSocketCreated" | "Network.webTransportCreated" => &event["params"]["url"],
        _ => return None,
    };
    Some(url.as_str().unwrap().to_owned())
}

fn stays(url: &str, origin: &str) -> bool {
    url.starts_with("data:") || url.strip_prefix(origin).is_some_and(|path| path.starts_with('/'))
}

#[tokio::test(flavor = "multi_thread")]
async fn page_that_complains_or_asks_another_host_is_told() {
    let chromium = Chromium::start();
    chromium.open("data:text/html,<title>x</title><img src=http://198.51.100.1/x>");
    chromium.run("console.log('harmless'); console.warn('odd'); setTimeout(() => nothing())", Vec::new());
    let mut told = String::new();
    for expected in ["request to http://198.51.100.1/x", "odd", "nothing is not defined"] {
        testbed::wait_for(expected, std::time::Duration::from_secs(30), || {
            told += &troubles(&chromium, "http://127.0.0.1:9000", &["net::ERR_"]).join("\n");
            told.contains(expected).then_some(())
        });
    }
    assert!(!told.contains("harmless") && !told.contains("net::ERR_") && !told.contains("data:"), "{told}");
}

#[test]
fn origin_is_more_than_the_beginning_of_an_address() {
    let origin = "http://127.0.0.1:9000";
    assert!(stays("http://127.0.0.1:9000/api/events", origin) && stays("data:image/svg+xml,x", origin));
    assert!(
        !stays("http://127.0.0.1:90001/", origin) && !stays("http://127.0.0.1:9000.example.com/", origin)
    );
}
