//! Deletes a conversation, or one message of it, from both stores.

use std::process::ExitCode;

use conversation_functions::{delete, open_store, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve(open_store, delete).await
}
