//! Sets fields of a conversation.

use conversation_core::{Change, ConversationStore};

use crate::http::{ApiRequest, ApiResponse, Failure, read_body};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (key, change) = (request.key()?, request.change()?);
    let changed = store.update(&key, &change).await.map_err(Failure::about(Some(&key.id)))?;
    Ok(ApiResponse::conversation(&changed.conversation).written(changed.cache_update))
}

impl ApiRequest {
    /// What is to be changed of a conversation. A null removes a title, or all metadata.
    ///
    /// # Errors
    /// The body breaks a rule, or names nothing to change.
    pub fn change(&self) -> Result<Change, Failure> {
        let body = self.body()?;
        let fields = read_body(body, [])?.conversation.read()?;
        let (idempotency_key, precondition) = (self.idempotency_key()?, self.precondition()?);
        let change = Change { fields, idempotency_key, precondition };
        if change.fields.is_empty() {
            return Err(Failure::bad_body("The body must have a field to change."));
        }
        Ok(change)
    }
}
