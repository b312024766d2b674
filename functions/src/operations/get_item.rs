//! Reads one item.

use conversation_core::{
    ConversationKey, ConversationStore, Error, Message, MessageAtVersion, MessageId, Source,
};

use super::list_items::with_calls;
use crate::http::{ApiRequest, ApiResponse, Failure, Item, ItemId};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (key, id) = (request.key()?, request.item_id()?);
    let found = Found::read(store, &key, &id).await.and_then(|found| found.ok_or(Error::NotFound));
    let found =
        found.map_err(|error| Failure::about_item(&key.id, id.as_str())(error).read_from(Source::Bypass))?;
    let version = found.version;
    let item = found.item(&id, &key).map_err(|failure| failure.read_from(Source::Bypass))?;
    // Only what is there can be unchanged.
    if request.knows(version) {
        return Ok(ApiResponse::unchanged(version).read_from(Source::Bypass));
    }
    Ok(ApiResponse::new(item.into_json()).at_version(version).read_from(Source::Bypass))
}

/// The record that an item is, or is a part of.
pub(super) struct Found {
    pub(super) record: Message,
    /// The version of the conversation.
    pub(super) version: i64,
    pub(super) items: Vec<Item>,
    /// It was found under the record's own id.
    pub(super) by_record: bool,
}

impl Found {
    /// Looks for a record of that id, then for one that has such a part.
    pub(super) async fn read(
        store: &ConversationStore,
        key: &ConversationKey,
        id: &ItemId,
    ) -> Result<Option<Self>, Error> {
        let read = async |id: Option<&MessageId>| match id {
            Some(id) => Ok(store.message(key, id).await?.found),
            None => Ok::<_, Error>(None),
        };
        let by_record = read(id.record.as_ref()).await?;
        let (record, by_record) = match by_record {
            Some(record) => (Some(record), true),
            None => (read(id.whole.as_ref()).await?, false),
        };
        let Some(MessageAtVersion { version, message: record }) = record else { return Ok(None) };
        let items = with_calls(store, key, std::slice::from_ref(&record)).await?;
        let is_there = by_record || items.iter().any(|item| id.names(item));
        Ok(is_there.then_some(Self { record, version, items, by_record }))
    }

    /// The item: of a record that reads as one, under the record's id as well.
    fn item(mut self, id: &ItemId, key: &ConversationKey) -> Result<Item, Failure> {
        let at = self.items.iter().position(|item| id.names(item));
        match at {
            Some(at) => Ok(self.items.swap_remove(at)),
            None if self.items.len() > 1 => Err(Failure::several_items(id.as_str(), &self.items)),
            None => {
                self.items.pop().ok_or(Error::NotFound).map_err(Failure::about_item(&key.id, id.as_str()))
            }
        }
    }

    /// The record, and the part of it that is meant: the first one, where the record is.
    pub(super) fn into_part(mut self, id: &ItemId) -> (Message, Item) {
        let at = self.items.iter().position(|item| id.names(item)).unwrap_or(0);
        (self.record, self.items.swap_remove(at))
    }

    /// Whether the record has other items beside the one that was asked for.
    pub(super) fn is_part(&self) -> bool {
        !self.by_record && self.items.len() > 1
    }
}
