//! Replaces the messages after a position.

use conversation_core::{Batch, ConversationStore, Problem, Replaced};
use serde_json::Value;

use crate::http::{
    ApiRequest, ApiResponse, Failure, MESSAGES, RECORDS, fit, is_reference, list, read_body, record_batch,
    written_field,
};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (key, (after, batch)) = (request.key()?, request.replacement()?);
    let replaced = store.replace(&key, after, &batch).await.map_err(Failure::about(Some(&key.id)))?;
    let Replaced { conversation, mut messages, records, removed, cache_update } = replaced;
    // Where they do not all fit into an answer, the first ones stay; all are stored.
    let has_more = fit(&mut messages, request.answer_bytes(), true);
    let head = [
        ("id", Value::from(conversation.id.as_str())),
        ("version", Value::from(conversation.version)),
        ("deleted", Value::from(removed)),
    ];
    let tail: Vec<_> = [("has_more", has_more.into())].into_iter().chain(written_field(&records)).collect();
    let body = list(&messages, &head, &tail);
    Ok(ApiResponse::new(body).at_version(conversation.version).written(cache_update))
}

impl ApiRequest {
    /// After which position messages are replaced, and by which.
    ///
    /// # Errors
    /// There is no position, or the body breaks a rule.
    pub fn replacement(&self) -> Result<(i64, Batch), Failure> {
        let after = self.number("after", 0)?.ok_or_else(|| Problem::Missing.of("after"))?;
        let body = read_body(self.body()?, ["messages", RECORDS])?;
        let [messages, records] = body.named;
        body.conversation.none()?;
        let messages = messages.ok_or_else(|| Problem::Missing.of("messages"))?;
        let batch = MESSAGES.batch(Some(messages), true)?;
        // What it stands for may be what is replaced.
        if let Some(at) = batch.messages().iter().position(|message| is_reference(message.json())) {
            let path = batch.path(at);
            let message = format!("{path} must be a message, not a reference to one.");
            return Err(Failure::bad_param(path, message));
        }
        let batch = batch.with_records(record_batch(records)?);
        Ok((after, batch.under(self.idempotency_key()?).only_if(self.precondition()?)))
    }
}
