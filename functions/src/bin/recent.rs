//! Reads the last messages of a conversation, or pages through its history.

use std::process::ExitCode;
use std::sync::Arc;

use conversation_core::{ConversationStore, Limit, Range};
use conversation_functions::{Call, Failure, Reply, open_store, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve(open_store, recent).await
}

async fn recent(store: Arc<ConversationStore>, mut call: Call) -> Result<Reply, Failure> {
    let key = call.key()?;
    let (limit, range, min_version) = (call.limit(Limit::MAX)?, call.range()?, call.min_version()?);
    let read = match range {
        None => store.recent(&key, limit, min_version).await,
        Some(range) => store.history(&key, range, limit, min_version).await,
    };
    let forward = matches!(range, Some(Range::After(_)));
    Reply::found(read, &key.id, |page| Reply::messages(page, forward))
}
