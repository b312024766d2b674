//! Creates conversations and adds messages to them.

use std::process::ExitCode;

use conversation_functions::{add, open_store, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve(open_store, add).await
}
