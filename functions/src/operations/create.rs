//! Creates a conversation.

use conversation_core::{Batch, ConversationId, ConversationStore, NewConversation};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::{
    ApiRequest, ApiResponse, Failure, Fields, ITEMS, MESSAGES, called, from_json, of_items, string,
};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (owner, new) = (request.owner()?, request.new_conversation()?);
    let id = new.id.clone();
    let added = store.create(owner, new).await.map_err(Failure::about(id.as_ref()))?;
    Ok(ApiResponse::conversation(&added.conversation).written(added.cache_update))
}

#[derive(Deserialize)]
struct NewFields<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    items: Option<&'a RawValue>,
    #[serde(flatten)]
    fields: Fields,
}

impl ApiRequest {
    /// The conversation to create.
    ///
    /// # Errors
    /// The body breaks a rule.
    pub fn new_conversation(&self) -> Result<NewConversation, Failure> {
        let body = self.body()?;
        let fields: NewFields<'_> = from_json(body)?;
        Ok(NewConversation {
            id: fields
                .id
                .map(string("id"))
                .transpose()?
                .map(ConversationId::new)
                .transpose()
                .map_err(called("id"))?,
            fields: fields.fields.without_nulls().read()?,
            messages: match (fields.messages, fields.items) {
                (Some(_), Some(_)) => return Err(one_kind()),
                (messages, None) => Batch::initial(MESSAGES.read(messages)?)?,
                (None, items) => Batch::initial(ITEMS.read(items)?).map_err(of_items)?,
            }
            .under(self.idempotency_key()?),
        })
    }
}

fn one_kind() -> Failure {
    Failure::bad_param("items", "messages and items exclude each other; give one of them.")
}
