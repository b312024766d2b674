//! Creates a conversation.

use conversation_core::{
    ConversationId, ConversationStore, Error, Fork, NewConversation, Precondition, Problem, whole_number,
};
use serde_json::value::RawValue;

use crate::http::{
    ApiRequest, ApiResponse, Failure, ITEMS, MESSAGES, RECORDS, called, read_body, record_batch, string,
};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (owner, new) = (request.owner()?, request.new_conversation()?);
    let (id, new) = new.named(&owner);
    let conditional = request.must_be_new()?;
    let added = store.create(owner, new).await.map_err(|error| match error {
        Error::ConversationExists { version } if conditional => {
            Failure::version_mismatch(id.as_str(), version)
        }
        error => Failure::about(Some(&id))(error),
    })?;
    Ok(ApiResponse::conversation(&added.conversation).written(added.cache_update))
}

impl ApiRequest {
    /// Whether the caller says that there must be no such conversation, which holds for every creation.
    ///
    /// # Errors
    /// It asks for one that is there.
    fn must_be_new(&self) -> Result<bool, Failure> {
        match self.precondition()? {
            Precondition::None => Ok(false),
            Precondition::Absent => Ok(true),
            Precondition::Exists | Precondition::Version(_) => {
                Err(Failure::bad_param("if-match", "If-Match cannot hold of a conversation that is created."))
            }
        }
    }

    /// The conversation to create.
    ///
    /// # Errors
    /// The body breaks a rule.
    pub fn new_conversation(&self) -> Result<NewConversation, Failure> {
        // Without a body, or with null as some clients send it, it is empty.
        let body =
            self.body_if_any()?.filter(|body| !matches!(body.trim_ascii(), "" | "null")).unwrap_or("{}");
        let body = read_body(body, ["id", "messages", "items", RECORDS, "fork_of", "at", "records_prefix"])?;
        let [id, messages, items, records, fork_of, at, records_prefix] = body.named;
        let messages = match (messages, items) {
            (Some(_), Some(_)) => return Err(one_kind()),
            (messages, None) => MESSAGES.batch(messages, true)?,
            (None, items) => ITEMS.batch(items, true)?,
        };
        let fork = match (fork_of, at.or(records_prefix)) {
            (None, None) => None,
            (None, Some(_)) => return Err(Problem::Missing.of("fork_of").into()),
            (Some(of), _) => Some(fork(of, at, records_prefix)?),
        };
        let id = id.map(string("id")).transpose()?.map(ConversationId::new).transpose();
        Ok(NewConversation {
            id: id.map_err(called("id"))?,
            fork,
            fields: body.conversation.without_nulls().read()?,
            messages: messages.with_records(record_batch(records)?).under(self.idempotency_key()?),
        })
    }
}

/// What the new conversation begins as a copy of.
fn fork(of: &RawValue, at: Option<&RawValue>, records_prefix: Option<&RawValue>) -> Result<Fork, Failure> {
    let of = ConversationId::new(string("fork_of")(of)?).map_err(called("fork_of"))?;
    let range = || Problem::OutOfRange { min: 0, max: i64::MAX }.of("at");
    let position = |at: &RawValue| whole_number(at.get()).filter(|at| *at >= 0).ok_or_else(range);
    let records_prefix = records_prefix.map(string("records_prefix")).transpose()?.unwrap_or_default();
    if records_prefix.contains('\0') {
        return Err(Problem::HasNul.of("records_prefix").into());
    }
    Ok(Fork { of, at: at.map(position).transpose()?, records_prefix })
}

fn one_kind() -> Failure {
    Failure::bad_param("items", "messages and items exclude each other; give one of them.")
}
