//! The dashboard and the operator's command, as the README shows them.

use dashboard::client::Client;
use dashboard::{ServiceState, Snapshot};
use serde_json::Value;
use service::health::State;
use tokio::runtime::Runtime;

use super::stack::{Stack, show, within};

const ADDRESS: &str = "127.0.0.1:9000";
const SERVICES: usize = 10;

/// The page has every service at work and every stream with rows, and `tributary status` says the same.
pub(crate) fn the_page_shows_the_pipeline(stack: &Stack) {
    let snapshot = within(60, "the page shows every service and every stream", || {
        let snapshot = snapshot()?;
        let all_work = snapshot.services.iter().all(|service| service.state != State::Red);
        let flow = snapshot.streams.iter().filter(|stream| stream.stored.is_some_and(|rows| rows > 0));
        (all_work && flow.count() == 5).then_some(snapshot)
    });
    let names: Vec<&str> = snapshot.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names.len(), SERVICES, "{names:?}");
    show("its tables can be looked at, and its topics", || {
        for stream in &snapshot.streams {
            let rows = get(&format!("/api/tables/{}/rows", stream.tables[0]));
            assert!(rows["rows"].as_array().is_some_and(|rows| !rows.is_empty()), "{rows}");
            let records = get(&format!("/api/topics/{}/records", stream.topic));
            assert!(records["records"].as_array().is_some_and(|records| !records.is_empty()), "{records}");
        }
        assert_eq!(get("/api/topics")["group"]["state"], "Stable");
        assert!(get("/api/dead-letters")["error"].is_null());
    });
    let operator = ["run", "--rm", "-T", "tributary"];
    show("tributary status asks it", || {
        let told = stack.compose(&[&operator[..], &["status", "--json"]].concat());
        let told: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
        assert_eq!(told["services"].as_array().unwrap().len(), SERVICES);
    });
    show("tributary doctor finds nothing wrong", || stack.compose(&[&operator[..], &["doctor"]].concat()));
    let refused = stack.try_compose(&[&operator[..], &["pause", "faker"]].concat()).unwrap_err();
    assert!(refused.contains("dashboard.token"), "{refused}");
}

/// A service that is killed is named, with the reason, and green again once it is back.
pub(crate) fn the_page_names_who_is_away(stack: &Stack) {
    stack.compose(&["kill", "-s", "KILL", "faker"]);
    let told = within(10, "the page says that faker is away", || {
        service("faker").filter(|service| service.state == State::Red)
    });
    assert!(!told.reason.is_empty());
    stack.compose(&["start", "faker"]);
    within(30, "and that it is back", || service("faker").filter(|service| service.state == State::Green));
}

fn service(name: &str) -> Option<ServiceState> {
    snapshot()?.services.into_iter().find(|service| service.name == name)
}

fn snapshot() -> Option<Snapshot> {
    Runtime::new().unwrap().block_on(Client::new(&format!("http://{ADDRESS}")).snapshot()).ok()
}

fn get(path: &str) -> Value {
    let (status, text) = testbed::get(ADDRESS, path).unwrap();
    assert_eq!(status, 200, "{path}: {text}");
    serde_json::from_str(&text).unwrap()
}
