//! The examples, as a reader would run them.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use conversation_local::workspace;
use conversation_tests::{Stack, installed};

#[tokio::test(flavor = "multi_thread")]
async fn the_example_conversation_plays() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let mut play = Command::new("python3");
    play.arg(workspace().join("examples/play.py"))
        .args(["--url", &api.url()])
        .env("REDIS_URL", stack.valkey.url());
    let output = tokio::task::spawn_blocking(move || play.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("LLEN 100") && said.contains("all promises kept"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_to_curl() {
    if installed("curl").is_none() {
        return;
    }
    let stack = Stack::start().await;
    let api = stack.api().await;
    let mut walk = Command::new("sh");
    walk.arg(workspace().join("examples/curl.sh")).arg(api.url()).env_remove("API_TOKEN");
    let output = tokio::task::spawn_blocking(move || walk.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        said.contains("200  Cache-Status: redis; hit") && said.contains("every route answered"),
        "{said}"
    );
    assert_eq!(said.matches("\n200  Cache-Status:").count(), 31, "{said}");
}

/// A model for the chat to talk to.
struct StubModel(Child, String);

impl StubModel {
    fn start() -> Self {
        let mut model = Command::new("python3");
        model.arg(workspace().join("examples/stub_model.py")).arg("0").stdout(Stdio::piped());
        let mut child = model.spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self(child, url.trim().to_owned())
    }
}

impl Drop for StubModel {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// What the chat prints for what is typed.
fn chat(store: &str, model: &StubModel, typed: &str) -> String {
    let mut chat = Command::new("python3");
    chat.arg(workspace().join("examples/chat.py")).args([
        "--conversation",
        "c",
        "--store",
        store,
        "--url",
        &model.1,
    ]);
    let mut child =
        chat.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_goes_on_where_it_was() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let url = api.url();
    let said = tokio::task::spawn_blocking(move || {
        let model = StubModel::start();
        [chat(&url, &model, "hello\nagain\n"), chat(&url, &model, "back\n\nnever read\n")]
    });
    let [first, second] = said.await.unwrap();
    assert!(first.ends_with("> You have said 2 things, first 'hello', last 'again'.\n"), "{first}");
    assert!(second.ends_with("> You have said 3 things, first 'hello', last 'back'.\n"), "{second}");
    let kept = api.get("/v1/conversations/c/messages").await;
    assert_eq!(
        (kept.is_hit(), kept.seqs(), kept.at("/data/4/content")),
        (true, (1..=6).collect(), "back".into())
    );
}
