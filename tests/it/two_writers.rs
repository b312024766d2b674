//! The loops of docs/concepts.md for writers that lose no update of each other.

use std::fs;
use std::process::Command;

use conversation_local::workspace;

use crate::openai_sdks::{runs, runs_in_node};

const FOLDER: &str = "examples/two_writers";

/// What stands between the marks in an example is what the documentation shows.
fn is_shown(file: &str, mark: &str) {
    let example = fs::read_to_string(workspace().join(FOLDER).join(file)).unwrap();
    let (begin, end) = (format!("{mark} loop\n"), format!("{mark} end\n"));
    let shown = example.split_once(&begin).and_then(|(_, rest)| rest.split_once(&end)).unwrap().0;
    let concepts = fs::read_to_string(workspace().join("docs/concepts.md")).unwrap();
    assert!(concepts.contains(shown.trim_end()), "docs/concepts.md lacks:\n{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_writers_in_python_count_together() {
    is_shown("two_writers.py", "#");
    let mut example = Command::new("python3");
    example.arg(workspace().join(FOLDER).join("two_writers.py"));
    runs(example).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_writers_in_typescript_count_together() {
    is_shown("two_writers.ts", "//");
    runs_in_node("two_writers").await;
}
