//! Reads a conversation, and says whether the function and its stores are well.

use std::process::ExitCode;

use conversation_functions::{Health, get, open_store, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve(|| Ok((open_store()?, Health::default())), get).await
}
