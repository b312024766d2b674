//! Deletes a conversation from both stores.

use conversation_core::ConversationStore;
use serde_json::json;

use crate::http::{ApiRequest, ApiResponse, Failure};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (key, precondition) = (request.key()?, request.precondition()?);
    let cache_update = store.delete(&key, precondition).await.map_err(Failure::about(Some(&key.id)))?;
    let body = json!({ "id": key.id.as_str(), "object": "conversation.deleted", "deleted": true });
    Ok(ApiResponse::json(&body).written(cache_update))
}
