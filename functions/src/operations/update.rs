//! Sets fields of a conversation.

use conversation_core::{Change, ConversationFields, ConversationStore, Metadata, Title};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::{ApiRequest, ApiResponse, Failure, from_json, metadata, string};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (key, change) = (request.key()?, request.change()?);
    let changed = store.update(&key, &change).await.map_err(Failure::about(Some(&key.id)))?;
    Ok(ApiResponse::conversation(&changed.conversation).written(changed.cache_update))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeFields<'a> {
    #[serde(borrow, default, deserialize_with = "given")]
    title: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "given")]
    metadata: Option<&'a RawValue>,
}

/// Any value, null too.
fn given<'a, D: serde::Deserializer<'a>>(value: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

impl ApiRequest {
    /// What is to be changed of a conversation. A null takes a title away, or all metadata.
    ///
    /// # Errors
    /// The body breaks a rule, or names nothing to change.
    pub fn change(&self) -> Result<Change, Failure> {
        let body = self.body()?;
        let fields: ChangeFields<'_> = from_json(body)?;
        let title = |value: &RawValue| match value.get() {
            "null" => Ok(None),
            _ => string("title")(value).and_then(Title::new).map(Some),
        };
        let pairs = |value: &RawValue| match value.get() {
            "null" => Ok(Metadata::default()),
            _ => metadata(value),
        };
        let fields = ConversationFields {
            title: fields.title.map(title).transpose()?,
            metadata: fields.metadata.map(pairs).transpose()?,
        };
        let change = Change { fields, idempotency_key: self.idempotency_key()? };
        if change.fields.is_empty() {
            return Err(Failure::bad_body("The body must have title, metadata or both."));
        }
        Ok(change)
    }
}
