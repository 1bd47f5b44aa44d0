//! Every service is killed once: the page names it, says why and since when, and heals by itself.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use end_to_end::World;
use serde::Deserialize;
use testbed::{Options, pair, wait_for};

use crate::audit::violations;
use crate::page::{LIGHT, Page, SOON};
use crate::stage::{SERVICES, Stage};

/// Said to take 10 s at most; what it took is printed.
const TOLD_WITHIN: Duration = Duration::from_secs(30);
/// The page says since when something does not answer: since it was heard last, up to this long before it was killed.
const HEARD_BEFORE: TimeDelta = TimeDelta::seconds(5);

/// A line at the top of the page.
#[derive(Debug, Deserialize)]
struct Trouble {
    name: String,
    reason: String,
    since: DateTime<Utc>,
}

const TROUBLES: &str = "return [...document.querySelectorAll('#banner .troubles:not([hidden]) li')].map((line) => \
    ({ name: line.querySelector('a').innerText, reason: line.querySelector('p > bdi').innerText, \
       since: line.querySelector('time').dateTime }))";

/// Something that can be killed, and when it was.
struct Victim {
    name: &'static str,
    killed: (Instant, DateTime<Utc>),
}

impl Victim {
    fn killed(name: &'static str) -> Self {
        Self { name, killed: (Instant::now(), Utc::now()) }
    }

    fn is_told(&self, page: &Page) {
        let trouble = wait_for(&format!("{} at the top of the page", self.name), TOLD_WITHIN, || {
            let troubles: Vec<Trouble> = serde_json::from_value(page.run(TROUBLES)).unwrap();
            troubles.into_iter().find(|trouble| trouble.name == self.name)
        });
        let Trouble { reason, since, .. } = &trouble;
        assert!(!reason.is_empty(), "{trouble:?}");
        assert!(
            *since > self.killed.1 - HEARD_BEFORE && *since <= Utc::now(),
            "{trouble:?}, {}",
            self.killed.1
        );
        println!("{}: told after {:.1} s: {reason}", self.name, self.killed.0.elapsed().as_secs_f64());
    }

    fn heals(&self, page: &Page, started: Instant) {
        // The services and both servers.
        let all = SERVICES.len() + 2;
        let well = format!(
            "return [...document.querySelectorAll('#banner .banner')].every((banner) => banner.hidden) \
             && document.querySelectorAll('.service:not([data-state=red])').length === {all}"
        );
        page.shows("a page without a trouble", &well);
        assert_eq!(page.run("return window.opened"), "once", "the page was loaded again");
        println!("{}: healed {:.1} s after its start", self.name, started.elapsed().as_secs_f64());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn page_names_whoever_is_killed_and_heals_without_a_reload() {
    let start = || pair(Options::default().heap_mb(256), Options::default().authentication(true)).unwrap();
    let (mut kafka, mut cassandra) = tokio::task::spawn_blocking(start).await.unwrap();
    let mut stage = Stage::on(World::on(&kafka, &cassandra, "browser_restarts").await).await;
    for name in SERVICES {
        stage.start(name);
    }
    let mut page = Page::open(&stage.url(), LIGHT);
    page.run("window.opened = 'once'");
    page.go("/services", "Services");

    for name in SERVICES.into_iter().filter(|name| *name != "dashboard") {
        let victim = Victim::killed(name);
        stage.kill(name);
        victim.is_told(&page);
        let started = Instant::now();
        stage.start(name);
        victim.heals(&page, started);
    }

    let victim = Victim::killed("kafka");
    kafka.kill();
    victim.is_told(&page);
    page.screenshot("kafka-away");
    assert_eq!(violations(&page.chromium), Vec::<String>::new());
    // Reasons count seconds, which nobody wants to hear.
    let announced = page.text("#banner [role=status]");
    assert!(announced.starts_with("Not working: ") && announced.contains("kafka"), "{announced}");
    let started = Instant::now();
    kafka.restart().unwrap();
    victim.heals(&page, started);

    let victim = Victim::killed("cassandra");
    cassandra.kill();
    victim.is_told(&page);
    let started = Instant::now();
    cassandra.restart().unwrap();
    victim.heals(&page, started);

    dashboard_itself(&mut page, &mut stage);
    flows_again(&page);
}

fn dashboard_itself(page: &mut Page, stage: &mut Stage) {
    // What Chromium notes of a connection that is lost.
    page.expect("net::ERR_");
    let victim = Victim::killed("dashboard");
    stage.kill("dashboard");
    let words = wait_for("the outage at the top of the page", TOLD_WITHIN, || {
        page.texts("#banner .outage:not([hidden])").pop()
    });
    println!("dashboard: told after {:.1} s: {words}", victim.killed.0.elapsed().as_secs_f64());
    assert!(words.starts_with("The dashboard does not answer since "), "{words}");
    page.screenshot("dashboard-away");
    assert_eq!(violations(&page.chromium), Vec::<String>::new());
    let started = Instant::now();
    stage.start("dashboard");
    victim.heals(page, started);
}

// Also what the page shows moves on, not only its marks.
fn flows_again(page: &Page) {
    page.go("/streams/wikipedia", "wikipedia");
    page.settles();
    let stored = || page.texts("#content .figure-remark").swap_remove(1);
    let before = stored();
    wait_for("another number of stored messages", SOON, || (stored() != before).then_some(()));
    assert_eq!(page.run("return window.opened"), "once", "the page was loaded again");
}
