//! A headless Chromium, driven through chromedriver: acts and sees as a user does.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Flags for a quiet browser without any connection but to the page.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

/// The longest a browser may take to start or to answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// One browser with one window. Ended when dropped.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    /// Kept open: a program that writes to a closed pipe is ended.
    _said: BufReader<ChildStdout>,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser; chromium and chromedriver must be on PATH.
    pub fn start() -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver runs");
        let mut said = BufReader::new(driver.stdout.take().expect("piped"));
        let lines = said.by_ref().lines().map_while(Result::ok);
        let mut port = lines.filter_map(|line| {
            line.split("successfully on port ").nth(1)?.trim_end_matches('.').parse().ok()
        });
        let port: u16 = port.next().expect("chromedriver says its port");
        let profile = tempfile::tempdir().expect("a temporary directory");
        let own = format!("--user-data-dir={}", profile.path().display());
        let flags: Vec<&str> = FLAGS.into_iter().chain([own.as_str()]).collect();
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": flags, "binary": "/usr/bin/chromium"}, "goog:loggingPrefs": {"browser": "ALL"}}}});
        let mut browser = Self { driver, port, session: String::new(), _said: said, _profile: profile };
        let answer = browser.call("POST", "/session", &wanted);
        browser.session = format!("/session/{}", answer["sessionId"].as_str().expect("a session"));
        browser
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("chromedriver listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .expect("sent");
        let mut answer = BufReader::new(stream);
        let (mut head, mut length) = (String::new(), 0);
        // The connection stays open, so the length field ends an answer.
        while !head.ends_with("\r\n\r\n") {
            let from = head.len();
            assert!(answer.read_line(&mut head).expect("answered in time") > 0, "{method} {path}: no answer");
            let line = head.get(from..).unwrap_or_default().to_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body).expect("answered in time");
        let value: Value = serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {head}"));
        assert!(head.contains(" 200 "), "{method} {path}: {value}");
        value["value"].clone()
    }

    fn within(&self, path: &str, body: &Value) -> Value {
        self.call("POST", &format!("{}{path}", self.session), body)
    }

    /// Opens a page.
    pub fn open(&self, url: &str) {
        self.within("/url", &json!({"url": url}));
    }

    /// Runs a script in the page and returns its result.
    pub fn run(&self, script: &str) -> Value {
        self.within("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// The visible text of the element that a selector finds.
    pub fn text(&self, selector: &str) -> String {
        let script =
            format!("const e = document.querySelector({}); return e ? e.innerText : ''", json!(selector));
        self.run(&script).as_str().unwrap_or_default().to_owned()
    }

    /// The path of the element that a selector finds.
    fn element(&self, selector: &str) -> String {
        let found = self.within("/element", &json!({"using": "css selector", "value": selector}));
        let id = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str);
        format!("/element/{}", id.expect("an element"))
    }

    /// Clicks the element that a selector finds.
    pub fn press(&self, selector: &str) {
        self.within(&format!("{}/click", self.element(selector)), &json!({}));
    }

    /// Types into the element that a selector finds, replacing its text.
    pub fn type_into(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.within(&format!("{element}/clear"), &json!({}));
        self.within(&format!("{element}/value"), &json!({"text": text}));
    }

    /// Sets the window's size and the preference for dark colours.
    pub fn look_like(&self, (width, height): (u32, u32), dark: bool) {
        let command = |name: &str, parameters: Value| {
            self.within("/goog/cdp/execute", &json!({"cmd": name, "params": parameters}));
        };
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        command("Emulation.setDeviceMetricsOverride", size);
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        command("Emulation.setEmulatedMedia", features);
    }

    /// Errors and policy violations that the browser reported since the last call.
    pub fn complaints(&self) -> Vec<String> {
        let entries = self.within("/se/log", &json!({"type": "browser"}));
        let texts = entries.as_array().into_iter().flatten().filter(|entry| entry["level"] == "SEVERE");
        texts.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Writes a picture of the window.
    pub fn picture(&self, path: &Path) {
        use base64::Engine;
        let encoded = self.call("GET", &format!("{}/screenshot", self.session), &Value::Null);
        let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.as_str().expect("a picture"));
        std::fs::write(path, decoded.expect("base64")).expect("written");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Also when a test fails: a driver that is only killed leaves its browser running.
        if let (false, Ok(mut stream)) =
            (self.session.is_empty(), TcpStream::connect(("127.0.0.1", self.port)))
        {
            let _ = write!(stream, "DELETE {} HTTP/1.1\r\nHost: localhost\r\n\r\n", self.session);
            let _ = stream.set_read_timeout(Some(PATIENCE));
            let _ = stream.read(&mut [0; 1]);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
