//! The stock OpenAI SDKs, with nothing changed but their `base_url`.

use std::path::Path;
use std::process::Command;

use conversation_local::{Wheels, workspace};
use conversation_tests::{Stack, installed};

/// Runs an example against an API of its own, and holds that it ran to its end.
async fn runs(mut example: Command) {
    let stack = Stack::start().await;
    let api = stack.api().await;
    // Nothing may go to OpenAI, whatever the machine is set up with.
    example.env("API_URL", api.url()).env_remove("OPENAI_API_KEY").env_remove("OPENAI_BASE_URL");
    let output = tokio::task::spawn_blocking(move || example.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.trim_end().ends_with(": all as expected"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_and_the_agents_sdk_work_unchanged() {
    let python = tokio::task::spawn_blocking(|| Wheels::TESTS.python()).await.unwrap();
    let mut example = Command::new(python.unwrap_or_else(|error| panic!("{error:#}")));
    example.arg(workspace().join("examples/openai_python.py"));
    runs(example).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_sdk_works_unchanged() {
    let (Some(node), Some(npm)) = (installed("node"), installed("npm")) else { return };
    let folder = workspace().join("examples/openai_js");
    let ready = folder.clone();
    tokio::task::spawn_blocking(move || install(&npm, &ready)).await.unwrap();
    let mut example = Command::new(node);
    example.arg(folder.join("main.js"));
    runs(example).await;
}

/// Installs what the lock file pins, unless it is there.
fn install(npm: &Path, folder: &Path) {
    let lock = std::fs::read(folder.join("package-lock.json")).unwrap();
    let stamp = folder.join("node_modules/.installed");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return;
    }
    let mut ci = Command::new(npm);
    ci.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder);
    let output = ci.output().unwrap();
    assert!(output.status.success(), "npm ci: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::write(stamp, lock).unwrap();
}
