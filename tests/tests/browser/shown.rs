//! The page shows what Kafka and Cassandra hold, as this test counts it by itself.

use std::collections::BTreeSet;

use datasets::REGISTRY;
use end_to_end::{Record, all_committed, ends, messages, publish, user};
use scylla::value::CqlValue;
use testbed::wait_for;
use uuid::Uuid;

use crate::page::{LIGHT, Page, SOON};
use crate::stage::Stage;

/// What can never become a row.
const BROKEN: [&str; 3] = ["{\"id\": \"of no use\"}", "{\"id\": \"of no use\", \"n\": 2}", "no JSON at all"];

#[tokio::test(flavor = "multi_thread")]
async fn page_shows_what_the_servers_hold() {
    let (_kafka, mut stage) = Stage::with_a_broker("browser_shown").await;
    stage.start("upstreams");
    for dataset in REGISTRY {
        stage.once(dataset.name);
    }
    let known = (0..50).map(|n| Record::of(user(Uuid::from_u128(n), &format!("Name{n}"), "Moreau")));
    let known: Vec<Record> = known.chain(BROKEN.map(|text| Record::of(text).header(b"sender"))).collect();
    let places = publish(&stage.world.brokers, "users_created", &known).await;
    stage.start("consumer");
    for dataset in REGISTRY {
        all_committed(&stage.world, &stage.world.name, dataset.topic, SOON, stage.service("consumer"));
    }
    stage.start("dashboard");
    let page = Page::open(&stage.url(), LIGHT);

    totals(&page, &stage).await;
    all_records_are_listed(&page, &stage);
    all_rows_are_listed(&page, &stage).await;
    let (partition, offset) = places[49];
    record_is_found(&page, &format!("{partition}:{offset}"));
    row_is_found(&page, &stage);
    dead_letters_are_told_by_cause(&page, &places[50..]);
}

async fn totals(page: &Page, stage: &Stage) {
    for dataset in REGISTRY {
        let published = ends(&stage.world.brokers, dataset.topic).values().sum::<i64>();
        let (_, table) = dataset.table.split_once('.').unwrap();
        let stored = stage.world.count(table).await;
        let dead = if dataset.name == "random-user" { i64::try_from(BROKEN.len()).unwrap() } else { 0 };
        assert!(stored > 0 && published == stored + dead, "{}: {published}, {stored}", dataset.name);

        page.go_home();
        wait_for(&format!("{published} messages of {} on the overview", dataset.name), SOON, || {
            let names = page.texts("#content .dense tbody th");
            let totals = page.texts("#content .dense tbody td:nth-child(4)");
            let own = names.iter().position(|name| name == dataset.name)?;
            (number(&totals[own]) == published).then_some(())
        });
        page.go(&format!("/streams/{}", dataset.name), dataset.name);
        wait_for(&format!("{stored} rows on the page of {}", dataset.name), SOON, || {
            let remarks = page.texts("#content .figure-remark");
            let values = page.texts("#content .figure-value");
            let numbers =
                [&remarks[0], &remarks[1], &values[2], &values[3], &values[6]].map(|text| number(text));
            (numbers == [published, stored, 0, 0, dead]).then_some(())
        });
    }
}

// The number at the beginning of "1,234 in all"; -1 where there is none yet.
fn number(text: &str) -> i64 {
    let digits: String = text.chars().take_while(|c| c.is_ascii_digit() || *c == ',').collect();
    digits.replace(',', "").parse().unwrap_or(-1)
}

fn set(texts: Vec<String>) -> BTreeSet<String> {
    texts.into_iter().collect()
}

fn all_records_are_listed(page: &Page, stage: &Stage) {
    let held = messages(&stage.world.brokers, "companies_created");
    let held = set(held.iter().map(|message| format!("{}:{}", message.partition, message.offset)).collect());
    page.go("/topics/companies_created", "companies_created");
    wait_for("every record of the topic", SOON, || {
        (set(page.texts("#content .message-place")) == held).then_some(())
    });
    let ends = ends(&stage.world.brokers, "companies_created");
    wait_for("the end of every partition", SOON, || {
        let shown = page.texts("#content .dense tbody td:nth-child(3)");
        (shown == ends.values().map(i64::to_string).collect::<Vec<_>>()).then_some(())
    });
}

async fn all_rows_are_listed(page: &Page, stage: &Stage) {
    let table = stage.table("companies");
    let rows = stage.world.rows(&format!("SELECT id FROM {table}")).await;
    let held = set(rows
        .iter()
        .map(|row| row[0].as_ref().and_then(CqlValue::as_uuid).unwrap().to_string())
        .collect());
    page.go(&format!("/tables/{table}"), &table);
    wait_for("every row of the table", SOON, || {
        (set(page.texts("#content .rows tbody td:first-child")) == held).then_some(())
    });
}

fn record_is_found(page: &Page, place: &str) {
    page.go("/topics/users_created", "users_created");
    page.settles();
    page.search("NAME49");
    wait_for("the one record that has it", SOON, || {
        (page.texts("#content .message-place") == [place]).then_some(())
    });
    page.unfold();
    let value = page.text("#content .message-whole code");
    assert!(value.contains("\"first_name\": \"Name49\""), "{value}");
}

fn row_is_found(page: &Page, stage: &Stage) {
    let table = stage.table("random-user");
    page.go(&format!("/tables/{table}"), &table);
    page.settles();
    page.search("name49");
    let id = Uuid::from_u128(49).to_string();
    wait_for("the one row that has it", SOON, || {
        (page.texts("#content .rows tbody td:first-child") == [id.as_str()]).then_some(())
    });
    page.search("in no row at all");
    wait_for("that there is none", SOON, || {
        (page.texts("#content .empty:not([hidden])") == ["Not found in what was looked through."])
            .then_some(())
    });
}

fn dead_letters_are_told_by_cause(page: &Page, places: &[(i32, i64)]) {
    page.go("/dead-letters", "Dead letters");
    page.settles();
    let mut counts = page.texts("#content .cause-count");
    counts.sort();
    assert_eq!(counts, ["1", "2"]);
    let origins = places.iter().map(|(partition, offset)| format!("users_created:{partition}:{offset}"));
    assert_eq!(set(page.texts("#content .message-place")), origins.collect());
    page.unfold();
    let without_space = |text: &str| text.split_whitespace().collect::<String>();
    let shown =
        page.texts("#content .message-whole > pre code").iter().map(|text| without_space(text)).collect();
    assert_eq!(set(shown), BROKEN.iter().map(|text| without_space(text)).collect());
    let headers = page.texts("#content .headers th[scope=row]");
    assert_eq!(headers, ["sender"; 3]);
}
