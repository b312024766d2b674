//! The examples, as a reader would run them.

use std::process::Command;

use conversation_local::workspace;
use conversation_tests::Stack;

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
