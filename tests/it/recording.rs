//! The progress bar as a terminal shows it. `RECORDING` says where to put a picture that plays it, `MESSAGES` how many there
//! are to import.

use std::fmt::Write as _;
use std::process::Command;

use conversation_local::{Wheels, workspace};
use conversation_tests::{Stack, file, functions_folder, size};

/// An export of conversations of 50 messages.
fn lines(messages: u32) -> String {
    let mut lines = String::new();
    for conversation in 0..messages / 50 {
        let _ = writeln!(
            lines,
            r#"{{"record":"conversation","owner":"ann","id":"c{conversation}","version":1,"last_seq":50,"message_count":50,"created_at_us":1,"updated_at_us":1}}"#
        );
        for seq in 1..=50 {
            let _ = writeln!(
                lines,
                r#"{{"record":"message","conversation":"c{conversation}","seq":{seq},"id":"m{seq}","created_at_us":1,"body":{{"role":"user","content":"hello"}}}}"#
            );
        }
    }
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_shows_how_far_an_import_is() {
    let (stack, folder) = (Stack::start().await, tempfile::tempdir().unwrap());
    let (export, picture) = (folder.path().join("export.ndjson"), file("RECORDING"));
    let picture = picture.unwrap_or_else(|| folder.path().join("import.svg"));
    let messages = size("MESSAGES", 3_000);
    std::fs::write(&export, lines(messages)).unwrap();
    let python = tokio::task::spawn_blocking(|| Wheels::TESTS.python()).await.unwrap();
    let mut record = Command::new(python.unwrap_or_else(|error| panic!("{error:#}")));
    record.arg(workspace().join("docs/record.py")).arg(&picture).args(["100", "4"]);
    record.arg(functions_folder().join("conversation-store")).args(["import", "--rate"]);
    record.arg((messages / 2).to_string()).arg(&export);
    record
        .env("DATABASE_URL", &stack.database_url)
        .env("REDIS_URL", stack.valkey.url())
        .env_remove("LOG_LEVEL");
    let output = tokio::task::spawn_blocking(move || record.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let picture = std::fs::read_to_string(picture).unwrap();
    for shown in ["━", " %  ", " messages, ", "/s, ", " left</text>", "messages were new</text>"] {
        assert!(picture.contains(shown), "{shown}: {picture}");
    }
}
