//! Deletes one item, which is one message, from both stores.

use conversation_core::{ConversationKey, ConversationStore, Error, MessageId};

use super::get_item::Found;
use super::put_back::was_deleted;
use crate::http::{ApiRequest, ApiResponse, Failure, ItemId};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (key, id, precondition) = (request.key()?, request.item_id()?, request.precondition()?);
    let record = record(store, &key, &id).await?;
    let deleted = store.delete_message(&key, &record, precondition).await;
    let changed = deleted.map_err(Failure::about_item(&key.id, id.as_str()))?;
    Ok(ApiResponse::conversation(&changed.conversation).written(changed.cache_update))
}

/// The record to delete.
///
/// # Errors
/// The item is a part of one that has others; or there is no such item.
async fn record(store: &ConversationStore, key: &ConversationKey, id: &ItemId) -> Result<MessageId, Failure> {
    let about = || Failure::about_item(&key.id, id.as_str());
    if let (Some(record), None) = (&id.record, &id.whole) {
        return Ok(record.clone());
    }
    match Found::read(store, key, id).await.map_err(about())? {
        Some(found) if found.is_part() => {
            Err(Failure::part_of_record(id.as_str(), found.record.id().as_str()))
        }
        Some(found) => Ok(found.record.id()),
        None => {
            // It may have been deleted before, which is answered as it was then.
            for record in [&id.record, &id.whole].into_iter().flatten() {
                if was_deleted(store, key, record).await.map_err(about())? {
                    return Ok(record.clone());
                }
            }
            Err(about()(Error::NotFound))
        }
    }
}
