//! The dashboard without Kafka, with one producer: what the page does while nobody answers, and with a token.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use dashboard::{Dashboard, Sources, Tables};
use serde_json::{Value, json};
use service::{Health, http, kafka, telemetry};
use testbed::{Port, wait_for};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::page::{LIGHT, Page, SOON};

const TOKEN: &str = "0123456789abcdef";
/// How a request for the stream of snapshots begins.
const STREAM: &[u8; 15] = b"GET /api/events";
/// How long a connection of the browser's may say nothing before it is none that asks.
const FIRST_BYTES_WITHIN: Duration = Duration::from_secs(1);

/// A dashboard that ends with its runtime, and with it all connections.
struct Alone {
    runtime: Runtime,
    /// Whether the producer `weather` is paused.
    paused: watch::Receiver<bool>,
}

impl Alone {
    fn start(port: &Port) -> Self {
        let runtime = Runtime::new().unwrap();
        let (pause, paused) = watch::channel(false);
        let address = port.address();
        let bound = address.clone();
        runtime.spawn(async move {
            let settings = http::Settings { bind: ([127, 0, 0, 1], 0).into() };
            let (health, metrics) = (Health::default(), telemetry::metrics());
            let weather = http::serve(&settings, health, metrics, pause, Default::default()).await.unwrap();
            let listener = tokio::net::TcpListener::bind(bound).await.unwrap();
            dashboard::serve(listener, sources(&format!("weather={weather}")), Default::default()).await
        });
        wait_for("the dashboard", SOON, || TcpStream::connect(&address).ok());
        Self { runtime, paused }
    }

    fn end(self) {
        self.runtime.shutdown_background();
    }
}

// A dashboard, and its page.
fn opened() -> (Port, Alone, Page) {
    let port = Port::claim().unwrap();
    let alone = Alone::start(&port);
    let page = Page::open(&format!("http://{}", port.address()), LIGHT);
    (port, alone, page)
}

fn sources(services: &str) -> Sources {
    let settings = json!({ "services": services, "token": TOKEN });
    let dashboard: Dashboard = serde_json::from_value(settings).unwrap();
    // No broker listens there.
    let kafka = kafka::Settings { brokers: "127.0.0.1:1".to_owned(), ..kafka::Settings::default() };
    Sources {
        dashboard,
        kafka,
        group: "tributary".to_owned(),
        tables: Tables::Files(PathBuf::from("/nowhere")),
    }
}

// Takes connections and says nothing, until one of them asks for the stream of snapshots.
fn silence(port: &Port) -> Vec<TcpStream> {
    let listener = wait_for("the port", SOON, || TcpListener::bind(port.address()).ok());
    listener.set_nonblocking(true).unwrap();
    let mut held = Vec::new();
    loop {
        let (mut stream, _) = wait_for("the page", SOON, || listener.accept().ok());
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(FIRST_BYTES_WITHIN)).unwrap();
        let mut first = [0; STREAM.len()];
        let asked = stream.read_exact(&mut first).is_ok() && first == *STREAM;
        held.push(stream);
        if asked {
            return held;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn page_gives_up_a_connection_that_says_nothing() {
    let (port, alone, mut page) = opened();
    page.expect("net::ERR_");
    alone.end();
    let held = silence(&port);
    let outage = "return document.querySelector('#banner .outage').hidden";
    wait_for("the outage", SOON, || (page.run(outage) == Value::Bool(false)).then_some(()));
    let alone = Alone::start(&port);
    page.shows("a page that is connected again", outage);
    page.shows("a snapshot", "return document.querySelector('#heard').dataset.heard === 'yes'");
    drop(held);
    drop(page);
    alone.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_read_is_asked_again() {
    let (_port, alone, mut page) = opened();
    page.expect("the server responded with a status of 503");
    page.go("/topics/faker", "faker");
    let asked = "return performance.getEntriesByType('resource').filter((one) => one.name.includes('/records')).length >= 3";
    page.shows("a question that is asked again and again", asked);
    assert!(page.text("#content").contains("It is asked again."));
    drop(page);
    alone.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn page_keeps_a_token_that_works_and_no_other() {
    let (_port, alone, mut page) = opened();
    page.expect("the server responded with a status of 403");
    page.go("/services", "Services");
    let press = |name: &str| {
        let button = format!(
            "[...document.querySelectorAll('.service button')].find((one) => one.innerText === '{name}')"
        );
        page.shows(name, &format!("return {button} !== undefined && !{button}.hidden && !{button}.disabled"));
        page.run(&format!("{button}.click()"));
    };
    let told = |words: &str| {
        page.shows(
            words,
            &format!(
                "return document.querySelector('dialog[open] .failed')?.innerText.startsWith('{words}')"
            ),
        );
    };
    let enter = |token: &str| {
        let script = "const input = document.querySelector('dialog[open] input'); input.value = arguments[0]; input.form.requestSubmit()";
        page.chromium.run(script, vec![token.into()]);
    };
    press("Pause");
    for unsendable in [format!("\u{201c}{TOKEN}\u{201d}"), format!("{TOKEN}\u{200b}")] {
        enter(&unsendable);
        told("Not sent");
    }
    enter("fedcba9876543210");
    told("Refused: this is not the token");
    assert!(!*alone.paused.borrow());
    enter(TOKEN);
    wait_for("a pause", SOON, || alone.paused.borrow().then_some(()));
    // It is not asked for again.
    press("Resume");
    wait_for("the end of the pause", SOON, || (!*alone.paused.borrow()).then_some(()));
    drop(page);
    alone.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_that_stays_keeps_the_focus() {
    let (_port, alone, page) = opened();
    let script = "const done = arguments[arguments.length - 1]; import('/assets/dom.js').then(({ follow, element }) => { \
        const list = document.body.appendChild(element('div')); \
        const show = (keys) => follow(list, keys, (key) => key, (key) => ({ node: element('button', {}, key) })); \
        show(['a', 'b', 'c']); list.children[1].focus(); show(['b', 'c', 'd']); \
        done([document.activeElement.textContent, list.textContent]); })";
    assert_eq!(page.chromium.run_async(script), json!(["b", "bcd"]));
    drop(page);
    alone.end();
}
