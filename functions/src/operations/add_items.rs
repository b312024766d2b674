//! Adds items to a conversation that exists.

use conversation_core::{Added, Batch, Conversation, ConversationStore, Problem};

use super::list_items::with_calls;
use super::put_back::PutBack;
use crate::http::{ApiRequest, ApiResponse, Failure, ITEMS, Item, fit, list, read_body};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (key, batch) = (request.key()?, request.new_items()?);
    let sent = PutBack::read(store, &key, batch).await.map_err(Failure::about_items(&key.id))?;
    if sent.batch.is_empty() {
        let read = store.get(&key, None).await.map_err(Failure::about(Some(&key.id)))?;
        let conversation = read.found.ok_or_else(|| Failure::no_conversation(key.id.as_str()))?;
        let items = sent.in_order(Vec::new(), |_, item| item);
        return Ok(response(items, &conversation, request.answer_bytes()).read_from(read.source));
    }
    let added = store.append(&key, &sent.batch).await;
    let Added { conversation, messages, cache_update, .. } =
        added.map_err(Failure::about_existing(&key.id))?;
    let items = with_calls(store, &key, &messages).await.map_err(Failure::about(Some(&key.id)))?;
    let items = sent.in_order(by_record(items), |_, item| item);
    Ok(response(items, &conversation, request.answer_bytes()).written(cache_update))
}

impl ApiRequest {
    /// The items to add.
    ///
    /// # Errors
    /// The body breaks a rule.
    pub fn new_items(&self) -> Result<Batch, Failure> {
        let body = read_body(self.body()?, ["items"])?;
        let [items] = body.named;
        body.conversation.none()?;
        let items = items.ok_or_else(|| Problem::Missing.of("items"))?;
        let items = ITEMS.batch(Some(items), false)?;
        Ok(items.under(self.idempotency_key()?).only_if(self.precondition()?))
    }
}

/// The items of each record.
fn by_record(items: Vec<Item>) -> Vec<Vec<Item>> {
    let mut records: Vec<Vec<Item>> = Vec::new();
    for item in items {
        match records.last_mut().filter(|record| record[0].seq() == item.seq()) {
            Some(record) => record.push(item),
            None => records.push(vec![item]),
        }
    }
    records
}

fn response(mut items: Vec<Item>, conversation: &Conversation, answer_bytes: usize) -> ApiResponse {
    let has_more = fit(&mut items, answer_bytes, true);
    let edges = [("has_more", has_more.into()), ("version", conversation.version.into())];
    ApiResponse::new(list(&items, &[], &edges)).at_version(conversation.version)
}
