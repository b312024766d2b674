//! Deletes a conversation, or one message of it, from both stores.

use std::process::ExitCode;
use std::sync::Arc;

use conversation_core::ConversationStore;
use conversation_functions::{ApiRequest, ApiResponse, Failure, Operation, open_store, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve(open_store, delete).await
}

async fn delete(store: Arc<ConversationStore>, mut request: ApiRequest) -> Result<ApiResponse, Failure> {
    let key = request.key()?;
    if request.operation == Operation::DeleteItem {
        let id = request.message_id()?;
        let changed = store.delete_message(&key, &id).await.map_err(Failure::about_message(&key.id, &id))?;
        return Ok(ApiResponse::conversation(&changed.conversation).written(changed.cache_update));
    }
    let cache_update = store.delete(&key).await.map_err(Failure::about(Some(&key.id)))?;
    Ok(ApiResponse::deleted(key.id.as_str()).written(cache_update))
}
