//! Tries both stores before they are relied on: on Lambda when a deployment invokes it, before its functions take traffic;
//! elsewhere at once.

#![recursion_limit = "256"] // An optimising build sees all futures at once, one within the other.

use std::process::ExitCode;
use std::sync::Arc;

use conversation_core::{ConversationStore, ProbeError, Probed, connections_needed, is_on_lambda};
use conversation_functions::{StartupError, exit, on_event, open_store, start_logging};
use serde::de::IgnoredAny;

/// What is tried, and how many connections to Postgres may be needed.
struct Stage {
    store: ConversationStore,
    needed: Option<u32>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    exit(if is_on_lambda() { serve().await } else { once().await })
}

async fn serve() -> Result<(), StartupError> {
    // Whatever the event says: that it came is enough.
    let work = async |stage: Arc<Stage>, _: IgnoredAny| probe(&stage).await;
    on_event("probe", open, work, |_| None, |probed| probed).await
}

#[expect(clippy::print_stdout, reason = "this is what it is run for")]
async fn once() -> Result<(), StartupError> {
    start_logging()?;
    println!("{}", serde_json::to_string_pretty(&probe(&open()?).await?)?);
    Ok(())
}

fn open() -> Result<Stage, StartupError> {
    Ok(Stage { store: open_store()?, needed: connections_needed()? })
}

async fn probe(stage: &Stage) -> Result<Probed, ProbeError> {
    stage.store.probe(stage.needed).await
}
