//! A real Chromium, driven over the WebDriver protocol of its own driver (W3C WebDriver, §6).
//!
//! What a supervisor sees counts when a browser showed it; our own reading of our own HTML does not.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

pub struct Browser {
    driver: Child,
    at: String,
    session: String,
    /// The browser's own folder, gone with it.
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts the driver on a free port and one headless window, with or without scripts.
    pub async fn open(scripts: bool) -> Self {
        let profile = tempfile::tempdir().expect("a temporary folder");
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let out = BufReader::new(driver.stdout.take().expect("its output is piped"));
        let port = out
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
        let folder = browser._profile.path().display().to_string();
        let mut options = json!({
            "args": [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--window-size=1280,1600", format!("--user-data-dir={folder}"),
            ],
        });
        if !scripts {
            options["prefs"] = json!({"profile.managed_default_content_settings.javascript": 2});
        }
        let wish = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}});
        let made = browser.ask(Method::POST, "/session", Some(wish)).await;
        browser.session = made["sessionId"]
            .as_str()
            .unwrap_or_else(|| panic!("no session: {made}"))
            .to_owned();
        browser
    }

    pub async fn go(&self, url: &str) {
        self.command(Method::POST, "url", Some(json!({"url": url}))).await;
    }

    /// The text of the first element that matches, as it is rendered now.
    pub async fn text(&self, css: &str) -> String {
        let found = self
            .command(Method::POST, "element", Some(json!({"using": "css selector", "value": css})))
            .await;
        let Some(element) = found.as_object().and_then(|found| found.values().next()) else {
            return String::new();
        };
        let element = element.as_str().unwrap_or_default();
        // The page replaces what changed: an element may be gone before it is read.
        let text = self.command(Method::GET, &format!("element/{element}/text"), None).await;
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Clicks the first element that matches.
    pub async fn click(&self, css: &str) {
        let found = self
            .command(Method::POST, "element", Some(json!({"using": "css selector", "value": css})))
            .await;
        let element = found
            .as_object()
            .and_then(|found| found.values().next()?.as_str())
            .unwrap_or_else(|| panic!("nothing matches {css}: {found}"));
        self.command(Method::POST, &format!("element/{element}/click"), Some(json!({}))).await;
    }

    /// The value of a script, for what only the browser knows.
    pub async fn script(&self, script: &str) -> Value {
        self.command(Method::POST, "execute/sync", Some(json!({"script": script, "args": []})))
            .await
    }

    /// The window as a PNG.
    pub async fn screenshot(&self) -> String {
        let picture = self.command(Method::GET, "screenshot", None).await;
        picture.as_str().unwrap_or_default().to_owned()
    }

    async fn command(&self, method: Method, what: &str, body: Option<Value>) -> Value {
        let path = format!("/session/{}/{what}", self.session);
        self.ask(method, &path, body).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let stream = TcpStream::connect(&self.at).await.expect("the driver listens");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .expect("the driver speaks HTTP");
        tokio::spawn(connection);
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.at)
            .header("content-type", "application/json; charset=utf-8")
            .body(Full::new(Bytes::from(body)))
            .expect("a request");
        let reply = sender.send_request(request).await.expect("an answer");
        let bytes = reply.into_body().collect().await.expect("a body").to_bytes();
        let mut answer: Value = serde_json::from_slice(&bytes).expect("JSON");
        answer["value"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser with itself when it is asked to stop, not when it is killed.
        let pid = i32::try_from(self.driver.id()).expect("a pid");
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid),
            nix::sys::signal::Signal::SIGTERM,
        );
        let _ = self.driver.wait();
    }
}
