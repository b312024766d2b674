//! Agents of Rig whose memory is the store, held to Rig's own contract.

use std::process::Command;

use conversation_local::workspace;
use conversation_tests::{Stack, size};

use crate::faults::Faulty;

/// With agents that talk in one conversation through a server that loses, delays and doubles requests.
#[tokio::test(flavor = "multi_thread")]
async fn rigs_own_conformance_suite_passes() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let faulty = Faulty::at_random(&api.url(), 1).await;
    let turns = size("TURNS", 10);
    let cargo = |arguments: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(arguments).args(["--quiet", "--locked", "--ignore-rust-version"]);
        cargo.current_dir(workspace().join("examples/rig"));
        cargo.env("CARGO_TARGET_DIR", workspace().join("target/rig"));
        cargo.env("API_URL", api.url()).env("FAULTY_URL", faulty.url()).env("TURNS", turns.to_string());
        async { tokio::task::spawn_blocking(move || cargo.output()).await.unwrap().unwrap() }
    };

    let output = cargo(&["test"]).await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.matches(" passed").count(), 3, "of the program, the conformance and the turns: {said}");
    assert!(said.contains("2 passed") && said.contains("1 passed"), "{said}");
    assert!(turns < 200 || faulty.every_fault_came());

    // The example, and once more: it remembers.
    for read in ["has read 3 messages", "has read 7 messages"] {
        let output = cargo(&["run"]).await;
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(read), "{said}{}", String::from_utf8_lossy(&output.stderr));
    }
}
