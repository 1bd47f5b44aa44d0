//! The dashboard's page in a browser of the test's own: what it shows, what it is told, what it weighs.

use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs, thread};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testbed::wait_for;

use crate::chromium::Chromium;
use crate::watch;

/// How long anything may take that the page shows by itself.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Where a network interface of this machine comes or goes, as with any container, Chromium drops what it is loading, also from
/// the loopback: the page is then loaded again.
const NETWORK_CHANGED: &str = "net::ERR_NETWORK_CHANGED";
const LOADED_WITHIN_MS: f64 = 15_000.0;

/// How a page is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Ends the names of screenshots.
    pub(crate) name: &'static str,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) dark: bool,
}

pub(crate) const LIGHT: Look = Look { name: "light", width: 1280, height: 800, dark: false };
pub(crate) const DARK: Look = Look { name: "dark", dark: true, ..LIGHT };
pub(crate) const PHONE: Look = Look { name: "phone", width: 390, height: 844, dark: false };

/// An open page. When it is dropped it must have been silent, and have asked nobody but the dashboard.
pub(crate) struct Page {
    pub(crate) chromium: Chromium,
    origin: String,
    look: Look,
    expected: Vec<&'static str>,
}

impl Page {
    /// Opens the overview of the dashboard at `origin`, as `http://127.0.0.1:9000`.
    pub(crate) fn open(origin: &str, look: Look) -> Self {
        let chromium = Chromium::start();
        let Look { width, height, dark, .. } = look;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        chromium.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
        let phone = width < 500;
        let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone });
        chromium.devtools("Emulation.setDeviceMetricsOverride", &screen);
        let page = Self { chromium, origin: origin.to_owned(), look, expected: vec![NETWORK_CHANGED] };
        page.load();
        page
    }

    fn load(&self) {
        let load = || self.chromium.open(&format!("{}/", self.origin));
        load();
        wait_for("a snapshot", SOON, || {
            let is_heard = "return document.querySelector('#heard').dataset.heard === 'yes'";
            if self.run(is_heard) == Value::Bool(true) {
                return Some(());
            }
            let waited_ms = self.run("return performance.now()").as_f64().unwrap();
            if waited_ms > LOADED_WITHIN_MS {
                load();
            }
            None
        });
    }

    /// The console may have lines with this text.
    pub(crate) fn expect(&mut self, text: &'static str) {
        self.expected.push(text);
    }

    /// Goes to a page by its address, `/topics`, and returns when it has this title.
    pub(crate) fn go(&self, address: &str, title: &str) {
        self.chromium.open(&format!("{}/#{address}", self.origin));
        let title = format!("{title} · Tributary");
        wait_for(&title, SOON, || (self.run("return document.title") == title.as_str()).then_some(()));
    }

    /// Goes to the overview.
    pub(crate) fn go_home(&self) {
        self.chromium.open(&format!("{}/#/", self.origin));
        self.shows("the overview", "return document.title === 'Tributary'");
    }

    /// What a function with this body returns in the page.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.chromium.run(script, Vec::new())
    }

    /// Waits until a function with this body returns true in the page.
    pub(crate) fn shows(&self, what: &str, script: &str) {
        wait_for(what, SOON, || (self.run(script) == Value::Bool(true)).then_some(()));
    }

    /// The texts of what a selector finds.
    pub(crate) fn texts(&self, selector: &str) -> Vec<String> {
        let script =
            "return [...document.querySelectorAll(arguments[0])].map((node) => node.innerText.trim())";
        serde_json::from_value(self.chromium.run(script, vec![selector.into()])).unwrap()
    }

    /// The text of the only one that it finds.
    pub(crate) fn text(&self, selector: &str) -> String {
        let mut texts = self.texts(selector);
        assert_eq!(texts.len(), 1, "{selector}: {texts:?}");
        texts.remove(0)
    }

    /// Waits until all that the page has asked for is there: no line says that it waits, or could not read.
    pub(crate) fn settles(&self) {
        self.shows(
            "a page without a notice",
            "return document.querySelector('#content .empty:not([hidden])') === null",
        );
    }

    /// Types a text into the page's search, and sends it.
    pub(crate) fn search(&self, text: &str) {
        let script = "const input = document.querySelector('#content input[type=search]'); \
            input.value = arguments[0]; input.form.requestSubmit()";
        self.chromium.run(script, vec![text.into()]);
    }

    /// Opens everything that can be opened.
    pub(crate) fn unfold(&self) {
        self.run("for (const closed of document.querySelectorAll('#content details:not([open])')) closed.open = true");
        let built = "return document.querySelectorAll('#content .message[open]:not(:has(.message-whole))').length === 0";
        self.shows("what is inside", built);
    }

    /// How many pixels are out of the window's right edge: what would have to be scrolled sideways.
    pub(crate) fn overflow(&self) -> i64 {
        self.run("return document.documentElement.scrollWidth - innerWidth").as_i64().unwrap()
    }

    /// Saves all of the page, also what is below the window, as `NAME-LOOK.png`.
    pub(crate) fn screenshot(&self, name: &str) {
        let height = self.run("return document.documentElement.scrollHeight");
        let clip = json!({ "x": 0, "y": 0, "width": self.look.width, "height": height, "scale": 1 });
        let wish = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let shot = self.chromium.devtools("Page.captureScreenshot", &wish);
        let bytes = STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
        let folder = screenshots();
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("{name}-{}.png", self.look.name));
        fs::write(&file, bytes).unwrap();
        println!("screenshot {}", file.display());
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let troubles = || watch::troubles(&self.chromium, &self.origin, &self.expected);
        if !thread::panicking() {
            let troubles = troubles();
            assert!(troubles.is_empty(), "the page has {troubles:#?}");
            return;
        }
        // Best effort: the browser itself may be what has failed, and a second panic would hide the first.
        let told = panic::catch_unwind(AssertUnwindSafe(|| {
            println!("the page has {:#?}", troubles());
            let test = thread::current().name().unwrap_or("test").replace("::", "-");
            self.screenshot(&format!("failed-{test}"));
        }));
        if told.is_err() {
            println!("what the page has cannot be asked");
        }
    }
}

// This executable is target/debug/deps/browser-HASH, wherever the target folder is.
fn screenshots() -> PathBuf {
    env::current_exe().unwrap().ancestors().nth(3).unwrap().join("screenshots")
}
