//! Applies the migrations that are missing: run by a deployment before new code takes traffic, and by the local stack.
//! Never by a request.

use std::process::ExitCode;

use conversation_functions::{Unready, exit, open_directory, start_logging};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    exit(migrate().await)
}

async fn migrate() -> Result<(), Unready> {
    start_logging()?;
    open_directory()?.migrate().await?;
    tracing::info!("the schema is up to date");
    Ok(())
}
