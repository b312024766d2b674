//! Deletes a conversation, or one message of it, from both stores.

use std::process::ExitCode;
use std::sync::Arc;

use conversation_core::ConversationStore;
use conversation_functions::{Call, Failure, Operation, Reply, open_store, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve(open_store, delete).await
}

async fn delete(store: Arc<ConversationStore>, mut call: Call) -> Result<Reply, Failure> {
    let key = call.key()?;
    if call.operation == Operation::DeleteItem {
        let id = call.message_id()?;
        let changed = store.delete_message(&key, &id).await.map_err(Failure::about_message(&key.id, &id))?;
        return Ok(Reply::conversation(&changed.conversation).written(changed.told));
    }
    let told = store.delete(&key).await.map_err(Failure::about(Some(&key.id)))?;
    Ok(Reply::deleted(key.id.as_str()).written(told))
}
