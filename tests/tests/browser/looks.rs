//! Every page by daylight, in the dark and on a phone: shut out nobody, fit the window, weigh little; with a picture of each.

use end_to_end::{Record, publish};
use testbed::wait_for;

use crate::audit::violations;
use crate::page::{DARK, LIGHT, Look, PHONE, Page, SOON};
use crate::stage::{SERVICES, Stage};

/// All that the browser loads for the overview.
const BYTES_MAX: u64 = 300_000;

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_and_light_in_every_look() {
    let (_kafka, mut stage) = Stage::with_a_broker("browser_looks").await;
    for name in SERVICES {
        stage.start(name);
    }
    let broken = ["{\"id\": \"of no use\"}", "no JSON at all"].map(Record::of);
    publish(&stage.world.brokers, "users_created", &broken).await;
    for look in [LIGHT, DARK, PHONE] {
        let page = Page::open(&stage.url(), look);
        all_streams_flow(&page);
        is_light(&page);
        let mut troubles = see(&page, look, "overview");
        for (name, address, title) in pages(&stage) {
            page.go(&address, &title);
            troubles.extend(see(&page, look, name));
        }
        assert!(troubles.is_empty(), "{troubles:#?}");
    }
}

// Name, address and title of each beside the overview.
fn pages(stage: &Stage) -> Vec<(&'static str, String, String)> {
    let table = stage.table("wikipedia");
    let page = |name, address: &str, title: &str| (name, address.to_owned(), title.to_owned());
    vec![
        page("stream", "/streams/random-user", "random-user"),
        page("topics", "/topics", "Topics"),
        page("topic", "/topics/wikipedia", "wikipedia"),
        page("tables", "/tables", "Tables"),
        page("table", &format!("/tables/{table}"), &table),
        page("dead-letters", "/dead-letters", "Dead letters"),
        page("data", "/data", "Data"),
        page("services", "/services", "Services"),
        page("nowhere", "/nowhere", "Not found"),
    ]
}

fn all_streams_flow(page: &Page) {
    wait_for("five streams that have stored something", SOON, || {
        let ages = page.texts("#content .dense tbody td:nth-child(7)");
        (ages.len() == 5 && ages.iter().all(|age| age != "–")).then_some(())
    });
}

// What is wrong with the page that is open.
fn see(page: &Page, look: Look, name: &str) -> Vec<String> {
    page.settles();
    // One of what can be opened shows what is inside.
    page.run("document.querySelector('#content details summary')?.click()");
    page.screenshot(name);
    let mut troubles = violations(&page.chromium);
    let overflow = page.overflow();
    if overflow > 0 {
        troubles.push(format!("{overflow} px stick out of the window"));
    }
    troubles.iter().map(|trouble| format!("{name}, {}: {trouble}", look.name)).collect()
}

fn is_light(page: &Page) {
    let script = "const loaded = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]; \
        return loaded.reduce((sum, one) => sum + one.transferSize, 0)";
    let bytes = page.run(script).as_u64().unwrap();
    let paint =
        page.run("return performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null");
    println!("{bytes} bytes loaded, first contentful paint after {paint} ms");
    assert!((1..=BYTES_MAX).contains(&bytes), "the page weighs {bytes} bytes");
}
