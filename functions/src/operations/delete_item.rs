//! Deletes one item, which is one message, from both stores.

use conversation_core::ConversationStore;

use crate::http::{ApiRequest, ApiResponse, Failure};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (key, id) = (request.key()?, request.message_id()?);
    let changed = store.delete_message(&key, &id).await.map_err(Failure::about_message(&key.id, &id))?;
    Ok(ApiResponse::conversation(&changed.conversation).written(changed.cache_update))
}
