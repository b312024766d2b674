//! Reads and writes records. It has no way to the cache.

use std::process::ExitCode;

use conversation_functions::{open_index, records, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve(open_index, records).await
}
