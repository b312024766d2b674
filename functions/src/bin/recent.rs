//! Reads messages: the last ones, the history, or one.

use std::process::ExitCode;

use conversation_functions::{open_store, recent, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve(open_store, recent).await
}
