//! Sets fields of a conversation.

use std::process::ExitCode;

use conversation_functions::{open_store, serve, update};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve(open_store, update).await
}
