//! Reads of what the caller has already.

use conversation_core::{ConversationKey, ConversationStore};

use crate::http::{ApiRequest, ApiResponse, Failure};

/// The answer to a caller who has the conversation as it is; none: it has changed since, or the caller did not ask. It costs a
/// look at the conversation without its messages.
pub(super) async fn unchanged(
    store: &ConversationStore,
    request: &ApiRequest,
    key: &ConversationKey,
    min_version: Option<i64>,
) -> Result<Option<ApiResponse>, Failure> {
    if !request.knows_some_version() {
        return Ok(None);
    }
    let read = store.get(key, min_version).await.map_err(Failure::about(Some(&key.id)))?;
    let same = read.found.filter(|conversation| request.knows(conversation.version));
    Ok(same.map(|conversation| ApiResponse::unchanged(conversation.version).read_from(read.source)))
}
