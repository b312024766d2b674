//! A real browser.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};

/// A Chromium, driven through the WebDriver protocol.
pub(crate) struct Browser {
    driver: Child,
    client: Client,
    session: String,
}

impl Browser {
    pub(crate) async fn start(chromedriver: &Path) -> Self {
        Self::start_with(chromedriver, &[]).await
    }

    /// With further arguments for the browser.
    pub(crate) async fn start_with(chromedriver: &Path, more: &[&str]) -> Self {
        let mut driver = Command::new(chromedriver).arg("--port=0").stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("started successfully on port ")).unwrap();
        let port = line.rsplit(' ').next().unwrap().trim_end_matches('.');
        let mut browser =
            Self { driver, client: Client::new(), session: format!("http://127.0.0.1:{port}/session") };
        let usual = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1180,760"];
        let arguments = [&usual[..], more].concat();
        let options = json!({ "goog:chromeOptions": { "args": arguments } });
        let started =
            browser.ask(Method::POST, "", json!({ "capabilities": { "alwaysMatch": options } })).await;
        browser.session +=
            &format!("/{}", started["sessionId"].as_str().unwrap_or_else(|| panic!("{started}")));
        browser
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: Value) -> Value {
        let mut request = self.client.request(method, format!("{}{path}", self.session));
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.unwrap().text().await.unwrap();
        serde_json::from_str::<Value>(&answer).unwrap()["value"].take()
    }

    pub(crate) async fn run(&self, script: &str) -> Value {
        self.ask(Method::POST, "/execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// What the body of an asynchronous function returns.
    pub(crate) async fn run_async(&self, body: &str) -> Value {
        let script = format!(
            "const done = arguments[0]; (async () => {{ {body} }})().then(done, error => done(String(error)))"
        );
        self.ask(Method::POST, "/execute/async", json!({ "script": script, "args": [] })).await
    }

    /// Goes to an address; what the driver says of it, null if it has been loaded.
    pub(crate) async fn open(&self, url: &str) -> Value {
        self.ask(Method::POST, "/url", json!({ "url": url })).await
    }

    /// Waits for an expression to be true.
    pub(crate) async fn wait_for(&self, expression: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.run(&format!("return Boolean({expression})")).await != true {
            let text = self.run("return document.body.innerText").await;
            assert!(Instant::now() < deadline, "{expression}: {text}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Clicks what a person would; once more where the page has just put another in its place.
    pub(crate) async fn click(&self, selector: &str) {
        for _ in 0..20 {
            let found = self
                .ask(Method::POST, "/element", json!({ "using": "css selector", "value": selector }))
                .await;
            let id = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str);
            let path = format!("/element/{}/click", id.unwrap_or_else(|| panic!("{selector}: {found}")));
            let answer = self.ask(Method::POST, &path, json!({})).await;
            if answer["error"] != "stale element reference" {
                assert_eq!(answer, Value::Null, "{selector}");
                return;
            }
        }
        panic!("{selector} never stays");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It takes its browser with it when it is asked to stop, not when it is killed.
        let pid = rustix::process::Pid::from_child(&self.driver);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.driver.wait();
    }
}
