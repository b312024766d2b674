//! Run on a schedule: drops cached copies that may be behind, removes the messages of deleted conversations, and clears
//! the fences of writers that died.

#![recursion_limit = "256"] // An optimising build sees all futures at once, one within the other.

use std::process::ExitCode;
use std::time::Duration;

use conversation_core::{Error, Swept};
use conversation_functions::{Unready, exit, on_event, open_store};
use serde::de::IgnoredAny;

/// Well within the function's time-out.
const BUDGET: Duration = Duration::from_secs(20);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    exit(sweep().await)
}

async fn sweep() -> Result<(), Unready> {
    // Whatever the event says: that it came is enough.
    on_event(open_store, async |store, _: IgnoredAny| {
        let swept = store.sweep(BUDGET).await?;
        if swept != Swept::default() {
            tracing::info!(
                swept.debts_paid,
                swept.messages_purged,
                swept.fences_cleared,
                swept.unfinished,
                "swept"
            );
        }
        Ok::<_, Error>(())
    })
    .await
}
