//! Deletes a conversation from both stores.

use std::process::ExitCode;
use std::sync::Arc;

use conversation_core::ConversationStore;
use conversation_functions::{Call, Failure, Reply, open_store, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve(open_store, delete).await
}

async fn delete(store: Arc<ConversationStore>, mut call: Call) -> Result<Reply, Failure> {
    let key = call.key()?;
    let cached = store.delete(&key).await.map_err(Failure::about(Some(&key.id)))?;
    Ok(Reply::deleted(key.id.as_str()).written(cached))
}
