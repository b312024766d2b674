//! The command line, `conversation-store`, on real servers.

mod check;
mod erase;
mod from;
mod inspect;
mod records;
mod transfer;

use std::process::{Command, Output};

use conversation_tests::{Stack, functions_folder};

/// A command line for the stores of a test.
fn command(stack: &Stack, arguments: &[&str]) -> Command {
    let mut command = Command::new(functions_folder().join("conversation-store"));
    command
        .args(arguments)
        .env("DATABASE_URL", &stack.database_url)
        .env("REDIS_URL", stack.cache_url())
        .envs(stack.profile.settings().iter().copied())
        .env_remove("LOG_LEVEL");
    command
}

/// Runs it to its end.
async fn run(stack: &Stack, arguments: &[&str]) -> Output {
    let mut command = command(stack, arguments);
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

/// Runs it to its end, which must be a good one; what it said, and what it said of itself.
async fn succeeds(stack: &Stack, arguments: &[&str]) -> (String, String) {
    let output = run(stack, arguments).await;
    let (said, noted) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {said}{noted}");
    (said, noted)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn shells_can_complete_it() {
    for shell in ["bash", "zsh", "fish"] {
        let mut command = Command::new(functions_folder().join("conversation-store"));
        let output = command.args(["completions", shell]).output().unwrap();
        assert!(text(&output.stdout).contains("langchain-postgres"), "{shell}");
    }
}
