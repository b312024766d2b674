//! Adds messages, and the conversation when it is new.

use conversation_core::{Added, Batch, ConversationStore, NewMessage};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::http::{ApiRequest, ApiResponse, Failure, MESSAGES, fit, from_json, list};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (key, batch) = (request.key()?, request.batch()?);
    let added = store.add(&key, &batch).await.map_err(Failure::about(Some(&key.id)))?;
    let cache_update = added.cache_update;
    Ok(response(added, request.answer_bytes()).written(cache_update))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchFields<'a> {
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
}

impl ApiRequest {
    /// The messages to add: a single one, or several under `messages`.
    ///
    /// # Errors
    /// The body breaks a rule.
    pub fn batch(&self) -> Result<Batch, Failure> {
        #[derive(Deserialize)]
        struct Probe<'a> {
            #[serde(borrow)]
            messages: Option<&'a RawValue>,
        }
        let body = self.body()?;
        if from_json::<Probe<'_>>(body)?.messages.is_none() {
            return Ok(Batch::new(vec![NewMessage::parse(body)?])?.under(self.idempotency_key()?));
        }
        let fields: BatchFields<'_> = from_json(body)?;
        Ok(Batch::new(MESSAGES.read(fields.messages)?)?.under(self.idempotency_key()?))
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
