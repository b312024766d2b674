//! The client packages, each with its own tests against the functions.

use std::process::Command;

use conversation_local::{Wheels, workspace};
use conversation_tests::{Stack, installed, report, size};

use crate::openai_sdks::{install, runs};

/// Runs the tests of a package against an API of its own; the last line says what they came to.
async fn passes(mut tests: Command) {
    let stack = Stack::start().await;
    let api = stack.api().await;
    tests.env("BASE_URL", api.url());
    let output = tokio::task::spawn_blocking(move || tests.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    report(said.trim_end().lines().last().unwrap_or_default());
    assert!(!said.contains("BASE_URL"), "none was left out for want of a server: {said}");
}

/// A module of Python with the packages that the client is tested with, in the client's folder.
async fn python(module: &[&str]) -> Command {
    let python = tokio::task::spawn_blocking(|| Wheels::CLIENTS.python()).await.unwrap();
    let mut python = Command::new(python.unwrap_or_else(|error| panic!("{error:#}")));
    let folder = workspace().join("clients/python");
    python.arg("-m").args(module).env("PYTHONPATH", folder.join("src")).current_dir(folder);
    python
}

/// With LangGraph's own conformance suite.
#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_and_its_adapters_pass_their_tests() {
    let mut tests = python(&["pytest", "-q", "-rs", "-p", "no:cacheprovider"]).await;
    // Agents whose every turn goes through a front that loses, delays and doubles requests take minutes.
    match size("TURNS", 0) {
        0 => tests.args(["-k", "not no_turn_is_lost"]),
        turns => tests.env("TURNS", turns.to_string()),
    };
    passes(tests).await;
}

/// An agent of each framework, with a script in the place of a model.
#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_the_frameworks_run() {
    for example in ["langgraph_agent", "agents_sdk", "adk_agent", "strands_agent", "pydantic_ai_agent"] {
        let mut python = Command::new(Wheels::CLIENTS.python().unwrap());
        python.arg(workspace().join(format!("examples/{example}.py")));
        python.env("PYTHONPATH", workspace().join("clients/python/src"));
        runs(python).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_is_typed_and_tidy() {
    for module in [
        &["mypy", "--cache-dir", "/dev/null"][..],
        &["ruff", "check", "--no-cache"],
        &["ruff", "format", "--check", "--no-cache"],
    ] {
        let output = python(module).await.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// With LangGraph's own validation suite, the Agents SDK's runner and the AI SDK's chat.
#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_client_and_its_adapters_pass_their_tests() {
    let (Some(_), Some(npm)) = (installed("node"), installed("npm")) else { return };
    let folder = workspace().join("clients/typescript");
    let mut tests = Command::new(&npm);
    tests.args(["test", "--silent"]).current_dir(&folder);
    tokio::task::spawn_blocking(move || install(&npm, &folder)).await.unwrap();
    passes(tests).await;
}
