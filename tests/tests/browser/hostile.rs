//! What strangers write into titles and names stays text on every page.

use chrono::{SecondsFormat, Utc};
use end_to_end::{Record, publish, user};
use serde_json::{Value, json};
use testbed::wait_for;
use uuid::Uuid;

use crate::page::{LIGHT, Page, SOON};
use crate::stage::Stage;

/// Each would set `window.hostile` if it were read as anything but text.
const SCRIPTS: [&str; 5] = [
    "<img src=x onerror=\"window.hostile=1\">",
    "<script>window.hostile=1</script>",
    "\"><svg onload=window.hostile=1>",
    "javascript:window.hostile=1",
    "</pre><iframe srcdoc='<script>top.hostile=1</script>'>",
];
/// What must not turn the text that follows, move the cursor or end a text, and how it is shown.
const UNSEEN: [(&str, &str); 3] = [
    ("user\u{202e}gpj.exe", "user\\u202egpj.exe"),
    ("a\u{0}b\u{1b}[31mc", "a\\u0000b\\u001b[31mc"),
    ("\u{2066}\u{feff}x", "\\u2066\\ufeffx"),
];

/// Brackets in brackets: as much of a value as the page is told. Indented in full they would be 134 million characters.
const DEPTH: usize = 8 << 10;
const CHARACTERS_MAX: i64 = 2_000_000;

/// A name of a header, where Kafka allows any bytes but NUL.
const HEADER: &[u8] = b"<img src=x onerror=window.hostile=1>";

fn long() -> String {
    "W".repeat(5_000)
}

fn texts() -> Vec<String> {
    let unseen = UNSEEN.iter().map(|(sent, _)| *sent);
    SCRIPTS.into_iter().chain(unseen).map(str::to_owned).chain([long()]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_titles_and_user_names_stay_text() {
    let (_kafka, mut stage) = Stage::with_a_broker("browser_hostile").await;
    let brokers = &stage.world.brokers;
    let texts = texts();
    publish(brokers, "wikipedia", &records(&texts, change)).await;
    publish(brokers, "users_created", &records(&texts, person)).await;
    // No more than the page shows of one cause.
    publish(brokers, "companies_created", &records(&texts[..SCRIPTS.len()], letter)).await;
    let deep = Record::of("[".repeat(DEPTH) + &"]".repeat(DEPTH));
    publish(brokers, "companies_created", &[deep]).await;
    stage.start("consumer");
    stage.start("dashboard");
    let mut page = Page::open(&stage.url(), LIGHT);

    let many = texts.len();
    for (dataset, topic) in [("wikipedia", "wikipedia"), ("random-user", "users_created")] {
        page.go(&format!("/streams/{dataset}"), dataset);
        wait_for("all of them stored", SOON, || {
            let stored = page.texts("#content .figure-remark");
            stored[1].starts_with(&format!("{many} ")).then_some(())
        });
        stays_text(&page, &[]);
        page.go(&format!("/topics/{topic}"), topic);
        opened(&page);
        stays_text(&page, &SCRIPTS);
        shows_unseen(&page);
        let table = stage.table(dataset);
        page.go(&format!("/tables/{table}"), &table);
        opened(&page);
        stays_text(&page, &SCRIPTS);
        shows_unseen(&page);
        page.search(SCRIPTS[0]);
        wait_for("the one row that has it", SOON, || {
            (page.texts("#content .rows tbody tr").len() == 1).then_some(())
        });
        stays_text(&page, &SCRIPTS[..1]);
    }

    page.go("/dead-letters", "Dead letters");
    opened(&page);
    stays_text(&page, &SCRIPTS);
    page.shows(
        "the brackets",
        "return document.querySelector('#content').textContent.includes('[\\n  [\\n    [\\n')",
    );
    let characters = page.run("return document.querySelector('#content').textContent.length");
    assert!(characters.as_i64().unwrap() < CHARACTERS_MAX, "{characters} characters on the page");
    page.screenshot("hostile-dead-letters");
    assert!(page.texts("#content .headers th").iter().any(|name| name.as_bytes() == HEADER));

    page.go("/data", "Data");
    page.shows("pictures", "return document.querySelectorAll('#content .bars:not([hidden])').length >= 3");
    stays_text(&page, &SCRIPTS);
    shows_unseen(&page);
    page.screenshot("hostile-data");
    let height = page.run("return document.documentElement.scrollHeight").as_i64().unwrap();
    assert!(height < 3_000, "one long name makes the page {height} px high");

    page.go_home();
    stays_text(&page, &[]);
    // An address is written by whoever makes the link.
    page.expect("the server responded with a status of 404");
    for view in ["streams", "topics", "tables"] {
        let address = format!("/{view}/{}", encoded(&page, SCRIPTS[0]));
        page.go(&address, SCRIPTS[0]);
        page.shows(
            "an answer",
            "return /there is no|has no topic|could not be read/i.test(document.body.innerText)",
        );
        stays_text(&page, &SCRIPTS[..1]);
    }
}

fn records(texts: &[String], make: impl Fn(usize, &str) -> Value) -> Vec<Record> {
    let record = |(number, text): (usize, &String)| Record {
        key: Some(text.as_bytes().to_vec()),
        ..Record::of(make(number, text).to_string()).header(HEADER)
    };
    texts.iter().enumerate().map(record).collect()
}

fn change(number: usize, text: &str) -> Value {
    let (id, now) = (Uuid::from_u128(number as u128), Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true));
    json!({
        "id": id.to_string(), "wiki": text, "dt": now,
        "title": text, "user": text, "comment": text, "title_url": text, "bot": false,
    })
}

fn person(number: usize, text: &str) -> Value {
    let mut person: Value = serde_json::from_str(&user(Uuid::from_u128(number as u128), text, text)).unwrap();
    person["address"] = format!("1 Test St, Testville, {text}").into();
    person
}

// No UUID: the reason of the refusal quotes it.
fn letter(_: usize, text: &str) -> Value {
    json!({ "id": text, "country": text })
}

fn opened(page: &Page) {
    page.settles();
    page.unfold();
}

fn stays_text(page: &Page, shown: &[&str]) {
    assert_eq!(page.run("return typeof window.hostile"), "undefined");
    let strange = "img, iframe, object, embed, base, form[action], script:not([src^='/assets/']), [onerror], [onload], \
        [href]:not([href^='#'], [href^='/assets/'], [rel=icon]), [srcdoc]";
    let found = format!("return [...document.querySelectorAll(\"{strange}\")].map((node) => node.outerHTML)");
    assert_eq!(page.run(&found), json!([]));
    let text = page.text("#content");
    for script in shown {
        assert!(text.contains(script) || text.contains(&json!(script).to_string()), "no {script} in {text}");
    }
    let raw = "return /[\\u0000\\u001b\\u202e\\u2066\\ufeff]/.test(document.documentElement.textContent)";
    assert_eq!(page.run(raw), false, "a mark that turns or ends a text");
    assert_eq!(page.overflow().max(0), 0, "pixels that stick out of the window");
}

fn shows_unseen(page: &Page) {
    let text = page.text("#content");
    for (_, shown) in UNSEEN {
        assert!(text.contains(shown), "no {shown} in {text}");
    }
}

fn encoded(page: &Page, text: &str) -> String {
    let encoded = page.chromium.run("return encodeURIComponent(arguments[0])", vec![text.into()]);
    encoded.as_str().unwrap().to_owned()
}
