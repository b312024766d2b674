//! Creates conversations and adds messages to them.

use std::process::ExitCode;
use std::sync::Arc;

use conversation_core::ConversationStore;
use conversation_functions::{ApiRequest, ApiResponse, Failure, Operation, open_store, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve(open_store, add).await
}

async fn add(store: Arc<ConversationStore>, mut request: ApiRequest) -> Result<ApiResponse, Failure> {
    match request.operation {
        Operation::Create => {
            let (owner, new) = (request.owner()?, request.new_conversation()?);
            let id = new.id.clone();
            let added = store.create(owner, new).await.map_err(Failure::about(id.as_ref()))?;
            Ok(ApiResponse::conversation(&added.conversation).written(added.cache_update))
        }
        Operation::AddItems => {
            let (key, batch) = (request.key()?, request.item_batch()?);
            let added = store.append(&key, &batch).await.map_err(Failure::about_existing(&key.id))?;
            Ok(ApiResponse::added_items(&added).written(added.cache_update))
        }
        _ => {
            let (key, batch) = (request.key()?, request.batch()?);
            let added = store.add(&key, &batch).await.map_err(Failure::about(Some(&key.id)))?;
            let cache_update = added.cache_update;
            Ok(ApiResponse::added(added).written(cache_update))
        }
    }
}
