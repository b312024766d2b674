//! Adds messages, and the conversation when it is new.

use conversation_core::{Added, Batch, ConversationStore, NewMessage};
use serde_json::Value;

use crate::http::{ApiRequest, ApiResponse, Failure, MESSAGES, difference, fit, list, read_body};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (key, batch) = (request.key()?, request.batch()?);
    let added = store.add(&key, &batch).await.map_err(Failure::about(Some(&key.id)))?;
    let cache_update = added.cache_update;
    Ok(response(added, request.answer_bytes()).written(cache_update))
}

impl ApiRequest {
    /// The messages to add: a single one, or several under `messages`.
    ///
    /// # Errors
    /// The body breaks a rule.
    pub fn batch(&self) -> Result<Batch, Failure> {
        let text = self.body()?;
        let body = read_body(text, ["messages"])?;
        let [messages] = body.named;
        let batch = if messages.is_some() {
            body.conversation.none()?;
            MESSAGES.batch(messages, false)?
        } else {
            Batch::new(vec![NewMessage::parse(text)?])?.called("").compared_by(difference)
        };
        Ok(batch.under(self.idempotency_key()?))
    }
}

/// The messages of an add. Where they do not all fit into an answer, the first ones stay; all are stored.
fn response(mut added: Added, answer_bytes: usize) -> ApiResponse {
    let has_more = fit(&mut added.messages, answer_bytes, true);
    let conversation = [
        ("id", Value::from(added.conversation.id.as_str())),
        ("version", Value::from(added.conversation.version)),
    ];
    ApiResponse::new(list(&added.messages, &conversation, &[("has_more", has_more.into())]))
}
