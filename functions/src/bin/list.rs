//! Lists an owner's conversations. It has no way to the cache.

use std::process::ExitCode;

use conversation_functions::{list, open_index, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve(open_index, list).await
}
