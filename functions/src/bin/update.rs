//! Changes a conversation's title and metadata.

use std::process::ExitCode;
use std::sync::Arc;

use conversation_core::ConversationStore;
use conversation_functions::{Call, Failure, Reply, open_store, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve(open_store, update).await
}

async fn update(store: Arc<ConversationStore>, mut call: Call) -> Result<Reply, Failure> {
    let (key, change) = (call.key()?, call.change()?);
    let changed = store.update(&key, &change).await.map_err(Failure::about(Some(&key.id)))?;
    Ok(Reply::conversation(&changed.conversation).written(changed.told))
}
