//! A real browser: headless Chromium, spoken to through its ChromeDriver, of the WebDriver protocol as
//! much as tests need.
//!
//! Which: `CLOAKROOM_TEST_BROWSER` and `CLOAKROOM_TEST_BROWSER_DRIVER`, else those on `PATH`.
//!
//! Each has a driver and an empty profile of its own, so two of them are two people. No client crate:
//! `fantoccini` stands on `webdriver`, whose licence is not among ours, and wants an async runtime;
//! `thirtyfour` brings an HTTP client. The protocol is one JSON document to and fro over what
//! [`http`](crate::http) has.

use std::env;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::child::eventually;
use crate::http::Request;
use crate::process::Program;

/// How long the browser may take for one command.
const PATIENCE: Duration = Duration::from_secs(60);

/// The name under which the protocol hands out elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

const ARGUMENTS: [&str; 10] = [
    "--headless",
    // Chromium refuses to run as root with its sandbox; what it opens here is our own.
    "--no-sandbox",
    "--disable-gpu",
    // The shared memory of containers is small.
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

/// How a browser is set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// What it sends as `Accept-Language`.
    pub languages: &'a str,
    /// Whether pages may run scripts.
    pub scripts: Scripts,
}

/// Whether pages may run scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scripts {
    /// They run.
    On,
    /// They don't, as their user has set.
    Off,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self { languages: "en-GB,en", scripts: Scripts::On }
    }
}

/// A running browser with one window. Dropping it ends it and removes its profile.
#[derive(Debug)]
pub struct Chromium {
    /// Before `profile`, so that the process is gone when its folder goes.
    driver: Program,
    addr: SocketAddr,
    session: String,
    _profile: TempDir,
}

/// # Starting and ending
impl Chromium {
    /// Starts one that is set up as most are.
    pub fn start() -> Self {
        Self::start_with(Setup::default())
    }

    /// Starts one.
    ///
    /// # Panics
    /// If there is none, or it does not start.
    pub fn start_with(setup: Setup<'_>) -> Self {
        let missing = "run `cargo xtask test`, which installs it";
        let browser = program("CLOAKROOM_TEST_BROWSER", &["chromium", "google-chrome"])
            .unwrap_or_else(|| panic!("there is no Chromium to test with: {missing}"));
        let driver = program("CLOAKROOM_TEST_BROWSER_DRIVER", &["chromedriver"])
            .unwrap_or_else(|| panic!("there is no ChromeDriver to test with: {missing}"));
        let profile = TempDir::with_prefix("testbed-").unwrap();
        // What it writes beside its profile goes along with it.
        let home = profile.path().to_str().unwrap();
        let driver = Program::start(driver, &["--port=0"], &[("HOME", home)]);
        let line = driver.wait_for_log("started successfully on port");
        let port: String = line.chars().filter(char::is_ascii_digit).collect();
        let addr = (Ipv4Addr::LOCALHOST, port.parse::<u16>().unwrap()).into();

        let mut arguments: Vec<String> = ARGUMENTS.map(str::to_owned).into();
        arguments.push(format!("--user-data-dir={home}/profile"));
        arguments.push(format!("--accept-lang={}", setup.languages));
        let scripts = if setup.scripts == Scripts::On { 1 } else { 2 };
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": {
                "binary": browser,
                "args": arguments,
                "prefs": { "profile.managed_default_content_settings.javascript": scripts },
            },
            "goog:loggingPrefs": { "browser": "ALL" },
        }}});
        let mut chromium = Self { driver, addr, session: String::new(), _profile: profile };
        let answer = chromium.ask("POST", "/session", &wanted);
        chromium.session = answer["sessionId"].as_str().unwrap().to_owned();
        chromium
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // The driver ends the browser that it started; killed, it would leave it behind.
        if !self.session.is_empty() {
            let end = Request::new(self.addr, "DELETE", &format!("/session/{}", self.session));
            let _ = end.timeout(PATIENCE).try_send();
        }
        self.driver.kill();
    }
}

/// # What its user does
impl Chromium {
    /// Opens an address, and waits until the page is there.
    pub fn open(&self, url: &str) {
        self.command("POST", "/url", &json!({ "url": url }));
    }

    /// Presses the reload button.
    pub fn reload(&self) {
        self.command("POST", "/refresh", &json!({}));
    }

    /// Presses the back button.
    pub fn back(&self) {
        self.command("POST", "/back", &json!({}));
    }

    /// Clicks what this CSS selector names first, and waits for nothing.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let path = format!("/element/{}/click", self.find(selector));
        self.command("POST", &path, &json!({}));
    }

    /// Clicks what leads to another page, or to the same page anew, and waits until that is there.
    ///
    /// # Panics
    /// If the page stays.
    #[track_caller]
    pub fn follow(&self, selector: &str) {
        let page = format!("/session/{}/element/{}/name", self.session, self.find("html"));
        self.click(selector);
        // A click is done before its navigation begins; the old page's elements end with it.
        let left = || self.try_ask("GET", &page, &Value::Null).is_err().then_some(());
        assert!(eventually(PATIENCE, left).is_some(), "{selector} leads nowhere");
        let loaded = || (self.ask_page("return document.readyState") == "complete").then_some(());
        assert!(eventually(PATIENCE, loaded).is_some(), "{} does not load", self.url());
    }

    /// Types into a field.
    #[track_caller]
    pub fn type_into(&self, selector: &str, text: &str) {
        let path = format!("/element/{}/value", self.find(selector));
        self.command("POST", &path, &json!({ "text": text }));
    }

    /// Presses the Tab key.
    pub fn press_tab(&self) {
        let keys = json!([{ "type": "keyDown", "value": "\u{e004}" },
                          { "type": "keyUp", "value": "\u{e004}" }]);
        let actions = json!({ "actions": [{ "type": "key", "id": "keys", "actions": keys }] });
        self.command("POST", "/actions", &actions);
    }
}

/// # What its user sees
impl Chromium {
    /// The address of the page.
    pub fn url(&self) -> String {
        self.command("GET", "/url", &Value::Null).as_str().unwrap().to_owned()
    }

    /// The text of what this CSS selector names first, as far as it can be seen.
    #[track_caller]
    pub fn text(&self, selector: &str) -> String {
        let path = format!("/element/{}/text", self.find(selector));
        self.command("GET", &path, &Value::Null).as_str().unwrap().to_owned()
    }

    /// What a script answers; its body, with a `return`.
    #[track_caller]
    pub fn ask_page(&self, script: &str) -> Value {
        self.command("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What the browser complained about since it was asked last: failed loads, refused scripts,
    /// errors of scripts.
    pub fn complaints(&self) -> Vec<String> {
        let entries = self.command("POST", "/se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().unwrap().iter();
        entries.map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    /// The whole page as PNG.
    pub fn photograph(&self) -> Vec<u8> {
        let size = self.ask_page(
            "const page = document.documentElement; return [page.clientWidth, page.scrollHeight]",
        );
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1 });
        let how = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let picture = self.devtools("Page.captureScreenshot", how);
        let picture = picture["data"].as_str().unwrap();
        data_encoding::BASE64.decode(picture.as_bytes()).unwrap()
    }
}

/// # What its user has set, and holds in hand
impl Chromium {
    /// Gives the page so much room, in CSS pixels.
    pub fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1,
                           "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", size);
    }

    /// Chooses `light` or `dark` for all pages.
    pub fn prefer(&self, scheme: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [feature] }));
    }

    /// The cookies for the page, those included that no script may read: names and values.
    pub fn cookies(&self) -> Vec<(String, String)> {
        let cookies = self.command("GET", "/cookie", &Value::Null);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let cookies = cookies.as_array().unwrap().iter();
        cookies.map(|cookie| (text(&cookie["name"]), text(&cookie["value"]))).collect()
    }

    fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.command("POST", "/goog/cdp/execute", &body)
    }
}

/// # The protocol
impl Chromium {
    #[track_caller]
    fn find(&self, selector: &str) -> String {
        let how = json!({ "using": "css selector", "value": selector });
        self.command("POST", "/element", &how)[ELEMENT].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        self.ask(method, &format!("/session/{}{path}", self.session), body)
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.try_ask(method, path, body);
        answer.unwrap_or_else(|error| panic!("{method} {path} {body}: {error}"))
    }

    fn try_ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let request = Request::new(self.addr, method, path).timeout(PATIENCE);
        let request = match body {
            Value::Null => request,
            body => request.header("Content-Type", "application/json").body(body.to_string()),
        };
        let response = request.send();
        let mut answer: Value = serde_json::from_slice(&response.body).unwrap();
        let value = answer["value"].take();
        match response.status {
            200 => Ok(value),
            _ => Err(format!("{}: {}", value["error"], value["message"])),
        }
    }
}

fn program(variable: &str, names: &[&str]) -> Option<PathBuf> {
    if let Some(path) = env::var_os(variable).filter(|path| !path.is_empty()) {
        return Some(path.into());
    }
    let folders: Vec<_> = env::var_os("PATH").iter().flat_map(env::split_paths).collect();
    let files = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    files.into_iter().find(|file| file.is_file())
}
