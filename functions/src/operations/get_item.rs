//! Reads one item.

use conversation_core::{ConversationId, ConversationStore, Error, Message, MessageId, Read};

use crate::http::{ApiRequest, ApiResponse, Failure, Item};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (key, id) = (request.key()?, request.message_id()?);
    response(store.message(&key, &id).await, &key.id, &id)
}

/// One message as an item, or that there is none.
///
/// # Errors
/// There is no such message or conversation, or the store failed.
fn response(
    read: Result<Read<Message>, Error>,
    id: &ConversationId,
    message_id: &MessageId,
) -> Result<ApiResponse, Failure> {
    let Read { found, source } = read.map_err(Failure::about(Some(id)))?;
    let none = || Failure::about_message(id, message_id)(Error::NotFound).read_from(source);
    found.map(|message| ApiResponse::new(Item::of(&message).into_json()).read_from(source)).ok_or_else(none)
}
