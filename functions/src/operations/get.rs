//! Reads a conversation without its messages.

use conversation_core::{ConversationStore, Read};

use crate::http::{ApiRequest, ApiResponse, Failure};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (key, min_version) = (request.key()?, request.min_version()?);
    let read = store.get(&key, min_version).await;
    if let Ok(Read { found: Some(conversation), source }) = &read
        && request.knows(conversation.version)
    {
        return Ok(ApiResponse::unchanged(conversation.version).read_from(*source));
    }
    ApiResponse::found(read, &key.id, |conversation| ApiResponse::conversation(&conversation))
}
