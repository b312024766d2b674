//! Adds items to a conversation that exists.

use conversation_core::{Added, Batch, ConversationStore, Problem};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::{ApiRequest, ApiResponse, Failure, ITEMS, Item, fit, from_json, list, of_items};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (key, batch) = (request.key()?, request.item_batch()?);
    let added = store.append(&key, &batch).await.map_err(Failure::about_existing(&key.id))?;
    Ok(response(&added, request.answer_bytes()).written(added.cache_update))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemFields<'a> {
    #[serde(borrow)]
    items: Option<&'a RawValue>,
}

impl ApiRequest {
    /// The items to add.
    ///
    /// # Errors
    /// The body breaks a rule.
    pub fn item_batch(&self) -> Result<Batch, Failure> {
        let body = self.body()?;
        let fields: ItemFields<'_> = from_json(body)?;
        let items = fields.items.ok_or_else(|| Problem::Missing.of("items"))?;
        Ok(Batch::new(ITEMS.read(Some(items))?).map_err(of_items)?.under(self.idempotency_key()?))
    }
}

/// The items of an add.
fn response(added: &Added, answer_bytes: usize) -> ApiResponse {
    let mut items: Vec<Item> = added.messages.iter().map(Item::of).collect();
    let has_more = fit(&mut items, answer_bytes, true);
    let edges = [("has_more", has_more.into()), ("version", added.conversation.version.into())];
    ApiResponse::new(list(&items, &[], &edges))
}
