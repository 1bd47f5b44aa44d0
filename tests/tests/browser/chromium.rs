//! A chromedriver of the test's own -> one headless Chromium with an empty profile -> a WebDriver session.

use std::fmt::Debug;
use std::future::Future;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
// The types that fantoccini asks for, by the name that this package has for them.
use reqwest::{Method, Url};
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::{Port, Service, wait_for};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

const START_WITHIN: Duration = Duration::from_secs(60);
/// Longer than the 300 s that WebDriver gives a page to load.
const ANSWER_WITHIN: Duration = Duration::from_secs(330);

/// A browser that lives as long as this value.
pub(crate) struct Chromium {
    client: Client,
    driver: Service,
    _port: Port,
    _folder: TempDir,
}

impl Chromium {
    pub(crate) fn start() -> Self {
        let path = testbed::chromedriver().unwrap_or_else(|error| panic!("{error}"));
        let (folder, port) = (tempfile::tempdir().unwrap(), Port::claim().unwrap());
        let arguments = [format!("--port={}", port.number())];
        let log = folder.path().join("chromedriver.log");
        let driver = Service::spawn_with(path, &[arguments[0].as_str()], &[], log).unwrap();
        wait_for("chromedriver", START_WITHIN, || TcpStream::connect(port.address()).ok());
        let Value::Object(capabilities) = capabilities(&folder.path().join("profile")) else {
            unreachable!("capabilities are an object")
        };
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let builder = builder.capabilities(capabilities);
        let session = wait(builder.connect(&format!("http://{}", port.address())));
        let client = session.unwrap_or_else(|error| panic!("no Chromium: {error}\n{}", driver.log()));
        let chromium = Self { client, driver, _port: port, _folder: folder };
        // A browser begins with a page of its own, which is not judged.
        chromium.open("about:blank");
        for log in ["browser", "performance"] {
            chromium.log(log);
        }
        chromium
    }

    /// Opens an address, and returns when the page has loaded.
    pub(crate) fn open(&self, url: &str) {
        wait(self.client.goto(url)).unwrap();
    }

    /// What the body of a function returns in the page.
    pub(crate) fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        let done = wait(self.client.execute(script, arguments));
        done.unwrap_or_else(|error| panic!("{error}\n{script:.500}"))
    }

    /// The same of a body whose last argument is a function to call with the answer.
    pub(crate) fn run_async(&self, script: &str) -> Value {
        wait(self.client.execute_async(script, Vec::new())).unwrap()
    }

    /// What Chromium has noted since the last time it was asked, in the log of that name.
    pub(crate) fn log(&self, name: &str) -> Vec<Value> {
        match self.order("se/log", json!({ "type": name })) {
            Value::Array(entries) => entries,
            other => panic!("the log {name} is {other}"),
        }
    }

    /// A command of the DevTools protocol: <https://chromedevtools.github.io/devtools-protocol/>.
    pub(crate) fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.order("goog/cdp/execute", json!({ "cmd": command, "params": parameters }))
    }

    fn order(&self, path: &'static str, body: Value) -> Value {
        wait(self.client.issue_cmd(Extension { path, body })).unwrap()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Where chromedriver is gone already, so is the browser: it ends with the pipe between them.
        let _ = wait(self.client.clone().close());
        let _ = self.driver.terminate();
    }
}

fn capabilities(profile: &Path) -> Value {
    let mut arguments = vec![
        "--headless".to_owned(),
        format!("--user-data-dir={}", profile.display()),
        "--remote-debugging-pipe".to_owned(),
        // What the browser itself would like to ask the world stays unasked, too.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1".to_owned(),
        // In a container /dev/shm is too small for a page.
        "--disable-dev-shm-usage".to_owned(),
    ];
    // Chromium refuses to build its sandbox as root.
    if Path::new("/proc/self").metadata().unwrap().uid() == 0 {
        arguments.push("--no-sandbox".to_owned());
    }
    json!({
        "goog:chromeOptions": { "args": arguments, "perfLoggingPrefs": { "enableNetwork": true, "enablePage": false } },
        "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
    })
}

/// A command of chromedriver beside those of the standard.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as std::str::FromStr>::Err> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

// Tests wait by `wait_for`, which asks a plain function again and again.
fn wait<T>(answer: impl Future<Output = T>) -> T {
    let answer = async { tokio::time::timeout(ANSWER_WITHIN, answer).await };
    block_in_place(|| Handle::current().block_on(answer)).expect("chromedriver answers")
}
