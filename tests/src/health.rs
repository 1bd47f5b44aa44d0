//! What a service tells of itself: its health, its metrics, its log.

use std::time::{Duration, Instant};

use serde_json::Value;
use testbed::{Service, get, wait_for};

/// Waits until a service's `/health` is 200.
pub fn healthy(service: &Service) {
    let found = until(Duration::from_secs(60), || {
        assert!(service.is_running(), "ended early:\n{}", service.log());
        match get(service.http(), "/health") {
            Some((200, _)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    found.unwrap_or_else(|last| panic!("no green health: {last}\n{}", service.log()));
}

/// Waits until a command that prints an object on its last line has ended: its exit code, all that it printed, and the object;
/// null where there is none.
pub fn ended(command: &mut Service, within: Duration) -> (i32, String, Value) {
    let code = command.wait(within).unwrap_or_else(|| panic!("still running:\n{}", command.log()));
    let log = command.log();
    let object = log.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    (code, log, object)
}

/// Waits until `/health` is 503 and its body has all of `words`; returns the body.
pub fn red(service: &Service, words: &[&str], within: Duration) -> String {
    let found = until(within, || {
        let answer = get(service.http(), "/health");
        match answer {
            Some((503, body)) if words.iter().all(|word| body.contains(word)) => Ok(body),
            _ if !service.is_running() => Err("it ended".to_owned()),
            other => Err(format!("{other:?}")),
        }
    });
    found.unwrap_or_else(|last| panic!("no red health with {words:?}: {last}\n{}", service.log()))
}

/// The sum of a metric's series whose labels have all of `labels`, such as `outcome="stored"`.
pub fn metric(service: &Service, name: &str, labels: &[&str]) -> f64 {
    let (status, body) = get(service.http(), "/metrics").unwrap_or_default();
    assert_eq!(status, 200, "{body}");
    let series = body.lines().filter(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    });
    series.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

// Asks again and again; the last refusal when the time is up.
pub(crate) fn until<T>(within: Duration, mut probe: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let deadline = Instant::now() + within;
    wait_for("the deadline", within * 2 + Duration::from_secs(60), || match probe() {
        Err(_) if Instant::now() < deadline => None,
        answer => Some(answer),
    })
}

/// Waits until the consumer tells of offsets that were deleted before they were read, and fails unless they are these.
pub fn tells_deleted(consumer: &Service, offsets: &str) {
    let told = wait_for("a word on deleted offsets", Duration::from_secs(60), || {
        let log = consumer.log();
        log.lines()
            .find(|line| line.contains("offsets were deleted before they were read"))
            .map(str::to_owned)
    });
    assert!(told.contains(offsets), "{told}");
}
