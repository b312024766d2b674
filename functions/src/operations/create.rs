//! Creates a conversation.

use conversation_core::{ConversationId, ConversationStore, NewConversation};

use crate::http::{ApiRequest, ApiResponse, Failure, ITEMS, MESSAGES, called, read_body, string};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (owner, new) = (request.owner()?, request.new_conversation()?);
    let (id, new) = new.named(&owner);
    let added = store.create(owner, new).await.map_err(Failure::about(Some(&id)))?;
    Ok(ApiResponse::conversation(&added.conversation).written(added.cache_update))
}

impl ApiRequest {
    /// The conversation to create.
    ///
    /// # Errors
    /// The body breaks a rule.
    pub fn new_conversation(&self) -> Result<NewConversation, Failure> {
        // Without a body, or with null as some clients send it, it is empty.
        let body =
            self.body_if_any()?.filter(|body| !matches!(body.trim_ascii(), "" | "null")).unwrap_or("{}");
        let body = read_body(body, ["id", "messages", "items"])?;
        let [id, messages, items] = body.named;
        let messages = match (messages, items) {
            (Some(_), Some(_)) => return Err(one_kind()),
            (messages, None) => MESSAGES.batch(messages, true)?,
            (None, items) => ITEMS.batch(items, true)?,
        };
        let id = id.map(string("id")).transpose()?.map(ConversationId::new).transpose();
        Ok(NewConversation {
            id: id.map_err(called("id"))?,
            fields: body.conversation.without_nulls().read()?,
            messages: messages.under(self.idempotency_key()?),
        })
    }
}

fn one_kind() -> Failure {
    Failure::bad_param("items", "messages and items exclude each other; give one of them.")
}
