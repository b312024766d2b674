//! Runs on a schedule: drops cached copies that may be stale, deletes what has expired, removes the messages of deleted conversations, clears the
//! intents of dead writers, and audits some of the cache.

#![recursion_limit = "256"] // An optimising build sees all futures at once, one within the other.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use conversation_core::{ConversationStore, Swept};
use conversation_functions::{StartupError, SweepMetrics, exit, on_event, open_store};
use serde::de::IgnoredAny;

/// Well within the function's time-out.
const BUDGET: Duration = Duration::from_secs(20);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    exit(sweep().await)
}

async fn sweep() -> Result<(), StartupError> {
    // Whatever the event says: that it came is enough.
    let work = async |store: Arc<ConversationStore>, _: IgnoredAny| store.sweep(BUDGET).await;
    on_event("sweep", open_store, work, |swept| Some(report(swept)), drop).await
}

/// Logs what a sweep did, and returns what it found as metrics.
fn report(swept: &Swept) -> SweepMetrics {
    tracing::info!(
        swept.invalidations_drained,
        swept.pending_invalidations,
        swept.conversations_expired,
        swept.messages_purged,
        swept.intents_cleared,
        swept.servers_not_swept,
        swept.unfinished,
        swept.audit.samples,
        swept.audit.stale_at_1s,
        "swept"
    );
    swept.into()
}
