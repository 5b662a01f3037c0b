//! A real Chromium, driven over the protocol of its own driver (W3C `WebDriver`, §6).
//!
//! What a supervisor sees counts when a browser showed it; our own reading of our own HTML does not.
//! Driver and browser live in the network of the thread that opens them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::patience::look_for;

/// Known to work without a display, as root and inside a network without a way out.
const FLAGS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // The browser ends when its driver does, however that ends.
    "--remote-debugging-pipe",
    "--hide-scrollbars",
    "--disable-crash-reporter",
    "--window-size=1280,900",
];

/// One window.
#[derive(Debug)]
pub(crate) struct Browser {
    driver: Child,
    at: String,
    session: String,
    /// The browser's own folder, gone with it.
    _profile: TempDir,
}

impl Browser {
    /// A window as most people have it.
    pub(crate) fn open() -> Self {
        Self::with_preferences(&json!({}))
    }

    /// A window that runs no script of any page.
    pub(crate) fn without_scripts() -> Self {
        // 2 is "block" in Chromium's content settings.
        Self::with_preferences(&json!({"profile.managed_default_content_settings.javascript": 2}))
    }

    fn with_preferences(preferences: &Value) -> Self {
        let profile = tempfile::tempdir().expect("a folder for the browser");
        let mut driver = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "chromedriver", "--port=0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program chromedriver");
        let output = BufReader::new(driver.stdout.take().expect("its output is piped"));
        let port = output
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                let port = line.split("started successfully on port ").nth(1)?;
                Some(port.trim_end_matches('.').to_owned())
            })
            .expect("chromedriver names its port");
        let mut browser = Self {
            driver,
            at: format!("127.0.0.1:{port}"),
            session: String::new(),
            _profile: profile,
        };
        let folder = browser._profile.path().display();
        let mut flags = FLAGS.map(str::to_owned).to_vec();
        flags.push(format!("--user-data-dir={folder}"));
        let wish = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": flags, "prefs": preferences},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let made = browser.ask("POST", "/session", Some(&wish));
        browser.session = made["sessionId"]
            .as_str()
            .unwrap_or_else(|| panic!("no session: {made}"))
            .to_owned();
        browser
    }

    pub(crate) fn go(&self, url: &str) {
        self.post("url", &json!({"url": url}));
    }

    /// The text of the first element that matches, as it is rendered now; empty when there is none.
    pub(crate) fn text(&self, css: &str) -> String {
        self.texts(css).into_iter().next().unwrap_or_default()
    }

    /// The texts of all elements that match.
    pub(crate) fn texts(&self, css: &str) -> Vec<String> {
        let all = self.elements(css);
        // The page replaces what changed: an element may be gone before it is read.
        all.iter()
            .filter_map(|element| {
                let text = self.get(&format!("element/{element}/text"));
                text.as_str().map(str::to_owned)
            })
            .collect()
    }

    /// Clicks the first element that matches.
    pub(crate) fn click(&self, css: &str) {
        let all = self.elements(css);
        let element = all
            .first()
            .unwrap_or_else(|| panic!("nothing on the page matches {css}"));
        let done = self.post(&format!("element/{element}/click"), &json!({}));
        assert!(done.is_null(), "a click on {css}: {done}");
    }

    /// The value of a script, for what only the browser knows.
    pub(crate) fn script(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({"script": script, "args": []}))
    }

    /// Lays the page out for a screen of this size.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            &json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}),
        );
    }

    /// The whole page as a PNG, also what has to be scrolled to.
    pub(crate) fn picture(&self) -> Vec<u8> {
        let taken = self.devtools(
            "Page.captureScreenshot",
            &json!({"format": "png", "captureBeyondViewport": true}),
        );
        let text = taken["data"].as_str().unwrap_or_default();
        let picture = from_base64(text);
        assert!(picture.starts_with(b"\x89PNG"), "no picture: {taken}");
        picture
    }

    /// What the page and the browser complained of since the last look.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.log("browser")
            .iter()
            .filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING")
            .map(|entry| entry["message"].to_string())
            .collect()
    }

    /// The address of every request that left for a network since the last look.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.log("performance")
            .iter()
            .filter_map(|entry| {
                let event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
                let message = &event["message"];
                let url = message["params"]["request"]["url"].as_str()?;
                (message["method"] == "Network.requestWillBeSent").then(|| url.to_owned())
            })
            // The browser's own first page is made of these.
            .filter(|url| !url.starts_with("chrome:") && !url.starts_with("data:"))
            .collect()
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.post("se/log", &json!({"type": kind}));
        entries
            .as_array()
            .cloned()
            .unwrap_or_else(|| panic!("no {kind} log: {entries}"))
    }

    fn elements(&self, css: &str) -> Vec<String> {
        let found = self.post("elements", &json!({"using": "css selector", "value": css}));
        let found = found.as_array().cloned().unwrap_or_default();
        found
            .iter()
            .filter_map(|one| Some(one.as_object()?.values().next()?.as_str()?.to_owned()))
            .collect()
    }

    fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.post(
            "goog/cdp/execute",
            &json!({"cmd": command, "params": parameters}),
        )
    }

    fn get(&self, what: &str) -> Value {
        self.ask("GET", &format!("/session/{}/{what}", self.session), None)
    }

    fn post(&self, what: &str, body: &Value) -> Value {
        self.ask(
            "POST",
            &format!("/session/{}/{what}", self.session),
            Some(body),
        )
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let answer = self
            .exchange(method, path, body)
            .expect("the driver answers");
        let mut answer: Value = serde_json::from_str(&answer)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}: {answer}"));
        answer["value"].take()
    }

    fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> std::io::Result<String> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(&self.at)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
            self.at,
            body.len()
        )?;
        // Not until the end of the stream: the browser inherits it from its driver and keeps it open.
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(given) = line.strip_prefix("content-length:") {
                length = given.trim().parse().map_err(std::io::Error::other)?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        String::from_utf8(body).map_err(std::io::Error::other)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser first: it has its folder open.
        let _ = self.exchange("DELETE", &format!("/session/{}", self.session), None);
        let pid = Pid::from_raw(i32::try_from(self.driver.id()).expect("a process id"));
        let _ = kill(pid, Signal::SIGTERM);
        let ended = look_for(Duration::from_secs(5), || match self.driver.try_wait() {
            Ok(None) => None,
            Ok(Some(_)) | Err(_) => Some(()),
        });
        if ended.is_none() {
            let _ = self.driver.kill();
            let _ = self.driver.wait();
        }
    }
}

/// RFC 4648 §4, for pictures alone: what is no digit of it is left out.
fn from_base64(text: &str) -> Vec<u8> {
    let digits = text.bytes().filter_map(|byte| {
        Some(u32::from(match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        }))
    });
    let digits: Vec<u32> = digits.collect();
    let mut bytes = Vec::new();
    for four in digits.chunks(4) {
        let missing = 4 - four.len();
        let number = four.iter().fold(0, |number, digit| number << 6 | digit) << (6 * missing);
        bytes.extend_from_slice(&number.to_be_bytes()[1..4 - missing]);
    }
    bytes
}
