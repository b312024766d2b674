//! Changes a conversation's title and metadata.

use std::process::ExitCode;
use std::sync::Arc;

use conversation_core::ConversationStore;
use conversation_functions::{ApiRequest, ApiResponse, Failure, open_store, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve(open_store, update).await
}

async fn update(store: Arc<ConversationStore>, mut request: ApiRequest) -> Result<ApiResponse, Failure> {
    let (key, change) = (request.key()?, request.change()?);
    let changed = store.update(&key, &change).await.map_err(Failure::about(Some(&key.id)))?;
    Ok(ApiResponse::conversation(&changed.conversation).written(changed.cache_update))
}
