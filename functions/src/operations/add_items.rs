//! Adds items to a conversation that exists.

use conversation_core::{
    Added, Conversation, ConversationKey, ConversationStore, Error, MessageId, NewMessage, Problem,
};

use super::get_item::Found;
use super::list_items::with_calls;
use crate::http::{ApiRequest, ApiResponse, Failure, ITEMS, Item, ItemId, difference, fit, list, read_body};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (key, items) = (request.key()?, request.new_items()?);
    let (mut answered, new) = put_back(store, &key, items).await?;
    let batch = ITEMS.batch_of(new, !answered.is_empty())?;
    if batch.is_empty() {
        let read = store.get(&key, None).await.map_err(Failure::about(Some(&key.id)))?;
        let conversation = read.found.ok_or_else(|| Failure::no_conversation(key.id.as_str()))?;
        return Ok(response(answered, &conversation, request.answer_bytes()).read_from(read.source));
    }
    let added = store.append(&key, &batch.under(request.idempotency_key()?)).await;
    let Added { conversation, messages, cache_update } = added.map_err(Failure::about_existing(&key.id))?;
    let items = with_calls(store, &key, &messages).await.map_err(Failure::about(Some(&key.id)))?;
    answered.extend(items);
    Ok(response(answered, &conversation, request.answer_bytes()).written(cache_update))
}

impl ApiRequest {
    /// The items to add.
    ///
    /// # Errors
    /// The body breaks a rule.
    pub fn new_items(&self) -> Result<Vec<NewMessage>, Failure> {
        let body = read_body(self.body()?, ["items"])?;
        let [items] = body.named;
        body.conversation.none()?;
        let items = items.ok_or_else(|| Problem::Missing.of("items"))?;
        ITEMS.read(Some(items))
    }
}

/// Takes out the items that are parts of records, which were read and are put back: these stay what they are.
///
/// # Errors
/// One differs from the part of that id.
async fn put_back(
    store: &ConversationStore,
    key: &ConversationKey,
    items: Vec<NewMessage>,
) -> Result<(Vec<Item>, Vec<NewMessage>), Failure> {
    let (mut known, mut new) = (Vec::new(), Vec::with_capacity(items.len()));
    for (at, item) in items.into_iter().enumerate() {
        match part(store, key, &item, at).await.map_err(Failure::about(Some(&key.id)))? {
            Some(stored) => known.push(stored),
            None => new.push(item),
        }
    }
    Ok((known, new))
}

async fn part(
    store: &ConversationStore,
    key: &ConversationKey,
    item: &NewMessage,
    at: usize,
) -> Result<Option<Item>, Error> {
    let id = item.id().as_str();
    if MessageId::record_of(id).is_none() {
        return Ok(None);
    }
    let Some(stored) = Found::read(store, key, &ItemId::new(id)?).await?.and_then(|found| found.part(id))
    else {
        return Ok(None);
    };
    match difference(item.json(), stored.json()) {
        None => Ok(Some(stored)),
        Some(path) => Err(Error::MessageConflict { id: id.to_owned(), path: format!("items[{at}].{path}") }),
    }
}

/// Items that were known, and those that were added.
fn response(items: Vec<Item>, conversation: &Conversation, answer_bytes: usize) -> ApiResponse {
    let mut items = items;
    let has_more = fit(&mut items, answer_bytes, true);
    let edges = [("has_more", has_more.into()), ("version", conversation.version.into())];
    ApiResponse::new(list(&items, &[], &edges))
}
