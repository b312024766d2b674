//! Reads a conversation without its messages.

use conversation_core::ConversationStore;

use crate::http::{ApiRequest, ApiResponse, Failure};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (key, min_version) = (request.key()?, request.min_version()?);
    let read = store.get(&key, min_version).await;
    ApiResponse::found(read, &key.id, |conversation| ApiResponse::conversation(&conversation))
}
