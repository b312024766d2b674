//! Parts of records that were read as items, and are sent again.

use conversation_core::{
    Anchor, Batch, ConversationKey, ConversationStore, Error, Limit, Message, MessageId, NewMessage, join,
};

use super::get_item::Found;
use crate::http::{Item, ItemId, difference, is_reference};

/// A batch, and which of its messages are in the store as parts of others.
pub(super) struct PutBack {
    /// What is to be stored.
    pub(super) batch: Batch,
    known: Vec<Known>,
    /// How many messages were sent.
    sent: usize,
}

/// A part of a record.
struct Known {
    place: usize,
    record: Message,
    item: Item,
}

impl PutBack {
    /// Looks for the parts of records in a batch. They stay what they are.
    ///
    /// # Errors
    /// One differs from the part of that id, or is a reference to no item.
    pub(super) async fn read(
        store: &ConversationStore,
        key: &ConversationKey,
        batch: Batch,
    ) -> Result<Self, Error> {
        if batch.messages().iter().any(may_be_known) {
            // Boxed, since it is seldom needed: every add would be as large.
            return Box::pin(Self::look(store, key, batch)).await;
        }
        Ok(Self { sent: batch.messages().len(), batch, known: Vec::new() })
    }

    async fn look(store: &ConversationStore, key: &ConversationKey, mut batch: Batch) -> Result<Self, Error> {
        let (sent, mut known) = (batch.messages().len(), Vec::new());
        for place in 0..sent {
            let message = &batch.messages()[place];
            let id = message.id().as_str();
            let Ok(id) = ItemId::new(id) else { continue };
            let is_reference = is_reference(message.json());
            let Some(whole) = id.whole.clone().or_else(|| id.record.clone().filter(|_| is_reference)) else {
                continue;
            };
            match Found::read(store, key, &id).await? {
                Some(found) if is_reference => known.push(Known::of(place, found, &id)),
                Some(found) if !found.by_record => {
                    let stored = Known::of(place, found, &id);
                    if let Some(path) = stored.differs(message, &id) {
                        let path = join(&batch.path(place), &path);
                        return Err(Error::MessageConflict { id: id.as_str().to_owned(), path });
                    }
                    known.push(stored);
                }
                Some(_) => {}
                None if is_reference => return Err(Error::NotFound),
                // The parts of a record that was deleted are not stored anew.
                None if was_deleted(store, key, &whole).await? => batch = batch.standing_for(place, whole),
                None => {}
            }
        }
        let places: Vec<_> = known.iter().map(|known| known.place).collect();
        Ok(Self { batch: batch.without(&places), known, sent })
    }

    /// What was sent, in its order: the parts that are stored, and what was made of each message that was added.
    pub(super) fn in_order<T>(self, added: Vec<Vec<T>>, of_known: impl Fn(Message, Item) -> T) -> Vec<T> {
        let mut added = added.into_iter();
        let mut known = self.known.into_iter().peekable();
        let mut all = Vec::new();
        for place in 0..self.sent {
            match known.next_if(|known| known.place == place) {
                Some(Known { record, item, .. }) => all.push(of_known(record, item)),
                None => all.extend(added.next().into_iter().flatten()),
            }
        }
        all.extend(added.flatten());
        all
    }
}

/// Whether a message has the id of a part, or is a reference.
fn may_be_known(message: &NewMessage) -> bool {
    MessageId::record_of(message.id().as_str()).is_some() || is_reference(message.json())
}

impl Known {
    fn of(place: usize, found: Found, id: &ItemId) -> Self {
        let (record, item) = found.into_part(id);
        Self { place, record, item }
    }

    /// Where what was sent differs from the part.
    fn differs(&self, sent: &NewMessage, id: &ItemId) -> Option<String> {
        let path = difference(sent.json(), self.item.json())?;
        // Of which kind a result is depends on its call, which may have been deleted since.
        (id.as_str() == self.item.id() || path != "type").then_some(path)
    }
}

/// Whether there was such a message, and is none now.
pub(super) async fn was_deleted(
    store: &ConversationStore,
    key: &ConversationKey,
    id: &MessageId,
) -> Result<bool, Error> {
    let one = Limit::new(1)?;
    // A page may begin where a message was.
    let known = match store.adjacent_to(key, &Anchor::After(id.clone()), one, None).await {
        Ok(read) => read.found.is_some(),
        Err(Error::Invalid(_)) => false,
        Err(error) => return Err(error),
    };
    Ok(known && store.message(key, id).await?.found.is_none())
}
