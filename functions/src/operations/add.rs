//! Adds messages, and the conversation when it is new.

use conversation_core::{
    Added, Batch, Conversation, ConversationStore, JsonFields, Message, NewMessage, WrittenRecord,
};
use serde_json::Value;

use super::put_back::PutBack;

use crate::http::{
    ApiRequest, ApiResponse, Failure, MESSAGES, RECORDS, difference, fit, list, read_body, record_batch,
    written_field,
};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (key, batch) = (request.key()?, request.batch()?);
    let sent = PutBack::read(store, &key, batch).await.map_err(Failure::about_items(&key.id))?;
    if sent.batch.is_empty() {
        if !sent.batch.records().is_empty() {
            let message = "records go with messages that are stored; these are parts of messages that are.";
            return Err(Failure::bad_param(RECORDS, message));
        }
        let read = store.get(&key, None).await.map_err(Failure::about(Some(&key.id)))?;
        let conversation = read.found.ok_or_else(|| Failure::no_conversation(key.id.as_str()))?;
        let messages = whole(sent, Vec::new());
        return Ok(response(messages, &conversation, &[], request.answer_bytes()).read_from(read.source));
    }
    let added = store.add(&key, &sent.batch).await.map_err(Failure::about(Some(&key.id)))?;
    let Added { conversation, messages, records, cache_update } = added;
    let messages = whole(sent, messages);
    Ok(response(messages, &conversation, &records, request.answer_bytes()).written(cache_update))
}

fn single(message: NewMessage) -> Result<Batch, Failure> {
    Ok(Batch::new(vec![message])?.called("").compared_by(difference))
}

/// The messages that were added, and those whose parts were sent, in the order of the request.
fn whole(sent: PutBack, added: Vec<Message>) -> Vec<Message> {
    let added = added.into_iter().map(|message| vec![message]).collect();
    let mut all = sent.in_order(added, |record, _| record);
    all.dedup_by_key(|message| message.seq());
    all
}

impl ApiRequest {
    /// The messages to add: a single one, or several under `messages`.
    ///
    /// # Errors
    /// The body breaks a rule.
    pub fn batch(&self) -> Result<Batch, Failure> {
        let text = self.body()?;
        // As a rule it is one message, and read once.
        let one = JsonFields::parse(text).filter(|fields| !fields.has("messages"));
        let batch = match one {
            Some(fields) => single(NewMessage::of_fields(text, &fields)?)?,
            None => {
                let body = read_body(text, ["messages", RECORDS])?;
                let [messages, records] = body.named;
                match messages {
                    Some(_) => {
                        body.conversation.none()?;
                        MESSAGES.batch(messages, false)?.with_records(record_batch(records)?)
                    }
                    None => single(NewMessage::parse(text)?)?,
                }
            }
        };
        Ok(batch.under(self.idempotency_key()?).only_if(self.precondition()?))
    }
}

/// The messages of an add. Where they do not all fit into an answer, the first ones stay; all are stored.
fn response(
    mut messages: Vec<Message>,
    conversation: &Conversation,
    records: &[WrittenRecord],
    answer_bytes: usize,
) -> ApiResponse {
    let has_more = fit(&mut messages, answer_bytes, true);
    let head =
        [("id", Value::from(conversation.id.as_str())), ("version", Value::from(conversation.version))];
    let tail: Vec<_> = [("has_more", has_more.into())].into_iter().chain(written_field(records)).collect();
    ApiResponse::new(list(&messages, &head, &tail)).at_version(conversation.version)
}
