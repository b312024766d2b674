//! Applies the migrations that are missing: on Lambda when a deployment invokes it, before new code takes traffic;
//! elsewhere at once. Never for a request.

use std::process::ExitCode;

use conversation_core::{Directory, is_on_lambda};
use conversation_functions::{Unready, exit, on_event, open_directory, start_logging};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    exit(if is_on_lambda() { serve().await } else { once().await })
}

async fn serve() -> Result<(), Unready> {
    on_event("migrate", open_directory, async |directory| migrate(&directory).await, |()| None).await
}

async fn once() -> Result<(), Unready> {
    start_logging()?;
    migrate(&open_directory()?).await
}

async fn migrate(directory: &Directory) -> Result<(), Unready> {
    directory.migrate().await?;
    tracing::info!("the schema is up to date");
    Ok(())
}
