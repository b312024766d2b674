//! The memory of agents of Rig in the store, held to Rig's own contract.

use std::process::Command;

use conversation_local::workspace;
use conversation_tests::Stack;

#[tokio::test(flavor = "multi_thread")]
async fn rigs_own_conformance_suite_passes() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let mut suite = Command::new(env!("CARGO"));
    suite.args(["test", "--quiet", "--locked", "--ignore-rust-version"]);
    suite.current_dir(workspace().join("examples/rig"));
    suite.env("CARGO_TARGET_DIR", workspace().join("target/rig")).env("API_URL", api.url());
    let output = tokio::task::spawn_blocking(move || suite.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("2 passed"), "{said}");
}
