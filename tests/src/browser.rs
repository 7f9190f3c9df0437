//! A real Chromium with a virtual authenticator, driven by WebDriver (W3C WebDriver 2, WebAuthn Level 3 §11).

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::http;
use crate::process::{Process, free_ports, wait_for};

/// The program that drives browsers.
#[derive(Debug)]
pub struct Driver {
    _process: Process,
    url: String,
}

/// One browser with its own profile.
#[derive(Debug)]
pub struct Browser<'a> {
    driver: &'a Driver,
    session: String,
    /// Where the profile lives; removed with the folder that the test owns.
    _profile: tempfile::TempDir,
}

impl Driver {
    /// Starts chromedriver on a free port.
    ///
    /// # Panics
    /// When it is missing.
    #[track_caller]
    #[must_use]
    pub fn start(folder: &Path) -> Self {
        let [port] = free_ports();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}"));
        let mut process = Process::start(&mut command, &folder.join("chromedriver.log"));
        process.wait_for_port(port);
        Self { _process: process, url: format!("http://127.0.0.1:{port}") }
    }

    /// Opens a browser with an empty profile.
    ///
    /// # Panics
    /// When Chromium does not start.
    #[track_caller]
    #[must_use]
    pub fn browser(&self) -> Browser<'_> {
        let profile = tempfile::tempdir().unwrap_or_else(|error| panic!("no profile folder: {error}"));
        let flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--lang=en",
        ];
        let mut arguments: Vec<String> = flags.iter().map(ToString::to_string).collect();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "webauthn:virtualAuthenticators": true,
            "goog:chromeOptions": {"args": arguments},
        }}});
        let answer = http::send("POST", &format!("{}/session", self.url), &[], Some(&wanted)).json();
        let session = answer.pointer("/value/sessionId").and_then(Value::as_str);
        let session = session.unwrap_or_else(|| panic!("no browser: {answer}")).to_owned();
        Browser { driver: self, session, _profile: profile }
    }
}

/// A movement of the mouse with a click at its end.
#[derive(Debug, Clone)]
pub struct Gesture {
    /// Points of the window, and the milliseconds that it takes to each.
    pub points: Vec<(i32, i32, u32)>,
    /// Milliseconds for which the button is down.
    pub held: u32,
}

impl Browser<'_> {
    #[track_caller]
    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let url = format!("{}/session/{}{path}", self.driver.url, self.session);
        let answer = http::send(method, &url, &[], body);
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.body);
        answer.json().get("value").cloned().unwrap_or(Value::Null)
    }

    /// Goes to an address and waits until the page is loaded.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.call("POST", "/url", Some(&json!({"url": url})));
    }

    /// The address in the address bar.
    #[track_caller]
    #[must_use]
    pub fn url(&self) -> String {
        self.call("GET", "/url", None).as_str().unwrap_or_default().to_owned()
    }

    /// The text that a person sees.
    #[track_caller]
    #[must_use]
    pub fn text(&self) -> String {
        self.script("return document.body ? document.body.innerText : ''").as_str().unwrap_or_default().to_owned()
    }

    /// Runs a script in the page and gives what it returns.
    #[track_caller]
    pub fn script(&self, script: &str) -> Value {
        self.call("POST", "/execute/sync", Some(&json!({"script": script, "args": []})))
    }

    /// Clicks the first element that a CSS selector finds.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.call("POST", &format!("/element/{element}/click"), Some(&json!({})));
    }

    #[track_caller]
    fn element(&self, selector: &str) -> String {
        let found = self.call("POST", "/element", Some(&json!({"using": "css selector", "value": selector})));
        found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// Moves the mouse along points of the window, 15 ms apart, and clicks at the last (WebDriver 2, actions).
    #[track_caller]
    pub fn sweep(&self, points: &[(i32, i32)]) {
        let moves = points.iter().map(|(x, y)| json!({"type": "pointerMove", "duration": 15, "x": x, "y": y, "origin": "viewport"}));
        let click = [
            json!({"type": "pointerDown", "button": 0}),
            json!({"type": "pause", "duration": 60}),
            json!({"type": "pointerUp", "button": 0}),
        ];
        let all: Vec<Value> = moves.chain(click).collect();
        let mouse = json!({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": all});
        self.call("POST", "/actions", Some(&json!({"actions": [mouse]})));
    }

    /// Moves the mouse along points of the window, each after as many milliseconds as it says, and clicks at
    /// the end of each movement, for as long as it says.
    #[track_caller]
    pub fn gestures(&self, movements: &[Gesture]) {
        let gesture = |Gesture { points, held }: &Gesture| {
            let moves = points
                .iter()
                .map(|(x, y, millis)| json!({"type": "pointerMove", "duration": millis, "x": x, "y": y, "origin": "viewport"}));
            let click = [
                json!({"type": "pointerDown", "button": 0}),
                json!({"type": "pause", "duration": held}),
                json!({"type": "pointerUp", "button": 0}),
            ];
            moves.chain(click).collect::<Vec<_>>()
        };
        let all: Vec<Value> = movements.iter().flat_map(gesture).collect();
        let mouse = json!({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": all});
        self.call("POST", "/actions", Some(&json!({"actions": [mouse]})));
    }

    /// Types a text into the first element that a CSS selector finds.
    #[track_caller]
    pub fn fill(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.call("POST", &format!("/element/{element}/value"), Some(&json!({"text": text})));
    }

    /// What the page's live region tells a screen reader.
    #[track_caller]
    #[must_use]
    pub fn live_text(&self) -> String {
        let script = "const live = document.querySelector('[aria-live]'); return live ? live.textContent.trim() : ''";
        self.script(script).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a condition on the page holds.
    ///
    /// # Panics
    /// When it does not in time; the message holds address and text.
    #[track_caller]
    pub fn wait_until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        assert!(wait_for(|| condition(self)), "not {what}: at {} with text: {}", self.url(), self.text());
    }

    /// Sends headers with every further request, as the network of another place would.
    #[track_caller]
    pub fn extra_headers(&self, headers: &[(&str, &str)]) {
        let headers: serde_json::Map<String, Value> = headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        self.devtools("Network.enable", &json!({}));
        self.devtools("Network.setExtraHTTPHeaders", &json!({"headers": headers}));
    }

    /// Sets a cookie for a URL, as a sign-in page of that host would.
    #[track_caller]
    pub fn set_cookie(&self, url: &str, name: &str, value: &str) {
        self.devtools("Network.setCookie", &json!({"url": url, "name": name, "value": value, "httpOnly": true, "path": "/"}));
    }

    /// All cookies of the browser, as the DevTools protocol gives them.
    #[track_caller]
    #[must_use]
    pub fn cookies(&self) -> Value {
        self.devtools("Network.getAllCookies", &json!({}))
    }

    /// A command of the DevTools protocol.
    #[track_caller]
    pub fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.call("POST", "/goog/cdp/execute", Some(&json!({"cmd": command, "params": parameters})))
    }

    /// Plugs in a platform authenticator that verifies its user; gives its name.
    #[track_caller]
    #[must_use]
    pub fn add_authenticator(&self) -> String {
        let wanted = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": true,
            "isUserConsenting": true, "isUserVerified": true,
        });
        self.call("POST", "/webauthn/authenticator", Some(&wanted)).as_str().unwrap_or_default().to_owned()
    }

    /// The credentials in an authenticator.
    #[track_caller]
    #[must_use]
    pub fn credentials(&self, authenticator: &str) -> Value {
        self.call("GET", &format!("/webauthn/authenticator/{authenticator}/credentials"), None)
    }

    /// Puts a credential into an authenticator.
    #[track_caller]
    pub fn add_credential(&self, authenticator: &str, credential: &Value) {
        self.call("POST", &format!("/webauthn/authenticator/{authenticator}/credential"), Some(credential));
    }

    /// A picture of the page, as PNG in base64.
    #[track_caller]
    #[must_use]
    pub fn screenshot(&self) -> String {
        self.call("GET", "/screenshot", None).as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        let _ = http::try_send("DELETE", &format!("{}/session/{}", self.driver.url, self.session), &[], None);
    }
}
