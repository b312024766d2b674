//! From HTTP to what the store takes.

mod body;

use std::borrow::Cow;
use std::collections::BTreeMap;

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use aws_lambda_events::query_map::QueryMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use conversation_core::{
    Batch, Change, ConversationFields, ConversationId, ConversationKey, Cursor, Direction, IdempotencyKey,
    IdentityConfig, Invalid, Limit, MessageId, Metadata, NewConversation, NewMessage, Order, OwnerId,
    Problem, Range, Title,
};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::Failure;
use crate::identity;
use crate::route::{self, Operation, Target};

use body::{
    BatchFields, ChangeFields, ITEMS, ItemFields, MESSAGES, NewFields, from_json, metadata, of_items, string,
};

/// The header in which a caller names a request, however often it is tried.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The largest body, in bytes.
const BODY_BYTES: usize = 4 * 1024 * 1024;

/// A request that fits a route.
pub struct ApiRequest {
    /// What it asks for.
    pub operation: Operation,
    target: Target,
    owner: Result<OwnerId, Failure>,
    headers: HeaderMap,
    query: QueryMap,
    body: Option<String>,
    /// Whether the body stands there as base64, as what is no text does.
    is_base64_encoded: bool,
}

impl ApiRequest {
    /// Finds the route that a request fits, and who it is from.
    ///
    /// # Errors
    /// It fits none.
    pub fn read(request: ApiGatewayV2httpRequest, identity: &IdentityConfig) -> Result<Self, Failure> {
        let (method, path) = (&request.request_context.http.method, path(&request));
        let target = route::find(method, path)
            .ok_or_else(|| Failure::no_route(method.as_str(), path, &route::methods(path)))?;
        let owner = identity::owner(&request, identity);
        // The parameters that the gateway has taken apart are joined by commas where one stands twice.
        let query = request.raw_query_string.as_deref().unwrap_or_default();
        Ok(Self {
            operation: target.operation,
            target,
            owner,
            query: query.parse().unwrap_or_default(),
            headers: request.headers,
            body: request.body,
            is_base64_encoded: request.is_base64_encoded,
        })
    }

    /// Whose conversations are meant.
    ///
    /// # Errors
    /// The caller names no owner.
    pub fn owner(&mut self) -> Result<OwnerId, Failure> {
        let taken = Err(Failure::unauthenticated("The owner was taken."));
        std::mem::replace(&mut self.owner, taken)
    }

    /// Which conversation is meant.
    ///
    /// # Errors
    /// The caller names no owner, or the path no valid id.
    pub fn key(&mut self) -> Result<ConversationKey, Failure> {
        let owner = self.owner()?;
        Ok(ConversationKey { owner, id: ConversationId::new(self.target.conversation_id.as_str())? })
    }

    /// Which message is meant.
    ///
    /// # Errors
    /// The path has no valid id.
    pub fn message_id(&self) -> Result<MessageId, Failure> {
        Ok(MessageId::new(self.target.item_id.as_str()).map_err(called("item_id"))?)
    }

    /// A parameter of the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.first(name)
    }

    fn number(&self, name: &str, min: i64) -> Result<Option<i64>, Failure> {
        let Some(text) = self.query(name) else { return Ok(None) };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| digits && *number >= min);
        Ok(Some(number.ok_or_else(|| Problem::OutOfRange { min, max: i64::MAX }.of(name))?))
    }

    /// How many items a page may hold.
    ///
    /// # Errors
    /// `limit` is not 1 to 100.
    pub fn limit(&self, default: Limit) -> Result<Limit, Failure> {
        let Some(text) = self.query("limit") else { return Ok(default) };
        // Whatever is no number is out of range.
        Ok(Limit::new(text.parse().unwrap_or(0))?)
    }

    /// The version that the answer must have reached.
    ///
    /// # Errors
    /// `min_version` is not a whole number.
    pub fn min_version(&self) -> Result<Option<i64>, Failure> {
        self.number("min_version", 0)
    }

    /// Which part of the history is meant; none: the last messages.
    ///
    /// # Errors
    /// `before` or `after` is no position, or both are given.
    pub fn range(&self) -> Result<Option<Range>, Failure> {
        match (self.number("before", 1)?, self.number("after", 0)?) {
            (Some(_), Some(_)) => Err(one_direction()),
            (Some(at), None) => Ok(Some(Range::Before(at))),
            (None, Some(at)) => Ok(Some(Range::After(at))),
            (None, None) => Ok(None),
        }
    }

    fn order(&self) -> Result<Order, Failure> {
        match self.query("order") {
            None | Some("desc") => Ok(Order::Descending),
            Some("asc") => Ok(Order::Ascending),
            Some(_) => Err(Failure::bad_param("order", "order must be asc or desc.")),
        }
    }

    /// In which order items are listed, and after which of them.
    ///
    /// # Errors
    /// `order` is neither `asc` nor `desc`, or `after` no id.
    pub fn items(&self) -> Result<(Order, Option<MessageId>), Failure> {
        let after = self.query("after").map(MessageId::new).transpose().map_err(called("after"))?;
        Ok((self.order()?, after))
    }

    /// In which order conversations are listed, and from where.
    ///
    /// # Errors
    /// `order` is neither `asc` nor `desc`, or a cursor is not of this list.
    pub fn cursor(&self, owner: &OwnerId) -> Result<(Order, Option<Cursor>), Failure> {
        let order = self.order()?;
        let cursor = match (self.query("before"), self.query("after")) {
            (Some(_), Some(_)) => return Err(one_direction()),
            (Some(text), None) => Some(Cursor::decode(text, owner, order, Direction::Before)?),
            (None, Some(text)) => Some(Cursor::decode(text, owner, order, Direction::After)?),
            (None, None) => None,
        };
        Ok((order, cursor))
    }

    /// The function whose operation it is.
    pub(crate) fn function(&self) -> &'static str {
        self.target.function
    }

    /// Whose conversations are meant, if that is known.
    pub(crate) fn caller(&self) -> Option<&OwnerId> {
        self.owner.as_ref().ok()
    }

    /// Whether the request may be sent again: it is done once.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.headers.contains_key(IDEMPOTENCY_KEY)
    }

    fn idempotency_key(&self) -> Result<Option<IdempotencyKey>, Failure> {
        let key = self.headers.get(IDEMPOTENCY_KEY);
        Ok(key.map(|key| IdempotencyKey::new(String::from_utf8_lossy(key.as_bytes()))).transpose()?)
    }

    /// The metadata that conversations must have to be listed: `metadata[key]=value`, all that are given.
    ///
    /// # Errors
    /// It breaks a rule of metadata, or one key is to have two values.
    pub fn metadata(&self) -> Result<Metadata, Failure> {
        let mut pairs = BTreeMap::new();
        for (name, value) in self.query.iter() {
            let Some(key) = name.strip_prefix("metadata") else { continue };
            let key = key.strip_prefix('[').and_then(|key| key.strip_suffix(']'));
            // What is nested has no meaning here, and is no key either.
            let key = key.filter(|key| !key.is_empty() && !key.contains("][")).ok_or_else(|| {
                Failure::bad_param(name, format!("{name} must name a key: metadata[key]=value."))
            })?;
            if pairs.insert(key.to_owned(), value.to_owned()).is_some_and(|other| other != value) {
                return Err(Failure::bad_param(name, format!("{name} must not have two values.")));
            }
        }
        Ok(Metadata::new(pairs)?)
    }

    /// The conversation to create.
    ///
    /// # Errors
    /// The body breaks a rule.
    pub fn new_conversation(&self) -> Result<NewConversation, Failure> {
        let body = self.body()?;
        let fields: NewFields<'_> = from_json(&body)?;
        Ok(NewConversation {
            id: fields
                .id
                .map(string("id"))
                .transpose()?
                .map(ConversationId::new)
                .transpose()
                .map_err(called("id"))?,
            fields: ConversationFields {
                title: fields.title.map(string("title")).transpose()?.map(Title::new).transpose()?.map(Some),
                metadata: fields.metadata.map(metadata).transpose()?,
            },
            messages: match (fields.messages, fields.items) {
                (Some(_), Some(_)) => return Err(one_kind()),
                (messages, None) => Batch::initial(MESSAGES.read(messages)?)?,
                (None, items) => Batch::initial(ITEMS.read(items)?).map_err(of_items)?,
            }
            .under(self.idempotency_key()?),
        })
    }

    /// What is to be changed of a conversation. A null takes a title away, or all metadata.
    ///
    /// # Errors
    /// The body breaks a rule, or names nothing to change.
    pub fn change(&self) -> Result<Change, Failure> {
        let body = self.body()?;
        let fields: ChangeFields<'_> = from_json(&body)?;
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

    /// The messages to add: a single one, or several under `messages`.
    ///
    /// # Errors
    /// The body breaks a rule.
    pub fn batch(&self) -> Result<Batch, Failure> {
        #[derive(Deserialize)]
        struct Probe<'a> {
            #[serde(borrow)]
            messages: Option<&'a RawValue>,
        }
        let body = self.body()?;
        if from_json::<Probe<'_>>(&body)?.messages.is_none() {
            return Ok(Batch::new(vec![NewMessage::parse(&body)?])?.under(self.idempotency_key()?));
        }
        let fields: BatchFields<'_> = from_json(&body)?;
        Ok(Batch::new(MESSAGES.read(fields.messages)?)?.under(self.idempotency_key()?))
    }

    /// The items to add.
    ///
    /// # Errors
    /// The body breaks a rule.
    pub fn item_batch(&self) -> Result<Batch, Failure> {
        let body = self.body()?;
        let fields: ItemFields<'_> = from_json(&body)?;
        let items = fields.items.ok_or_else(|| Problem::Missing.of("items"))?;
        Ok(Batch::new(ITEMS.read(Some(items))?).map_err(of_items)?.under(self.idempotency_key()?))
    }

    /// The body's text.
    fn body(&self) -> Result<Cow<'_, str>, Failure> {
        let json = self.headers.get(CONTENT_TYPE).is_some_and(|kind| is_json(kind.as_bytes()));
        if !json {
            return Err(Failure::not_json_type());
        }
        let text = self.body.as_deref().unwrap_or_default();
        let text = if self.is_base64_encoded { decoded(text)?.into() } else { Cow::Borrowed(text) };
        if text.len() > BODY_BYTES {
            return Err(Failure::body_too_large(BODY_BYTES));
        }
        Ok(text)
    }
}

/// The same problem, under the name that the caller used.
fn called(param: &'static str) -> impl Fn(Invalid) -> Invalid {
    move |invalid| Invalid { param: param.into(), ..invalid }
}

fn one_kind() -> Failure {
    Failure::bad_param("items", "messages and items exclude each other; give one of them.")
}

fn one_direction() -> Failure {
    Failure::bad_param("after", "before and after exclude each other; give one of them.")
}

/// `application/json`, whatever its parameters.
fn is_json(kind: &[u8]) -> bool {
    let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

/// The text of a body that the gateway took for something else.
fn decoded(base64: &str) -> Result<String, Failure> {
    let bytes = STANDARD.decode(base64).map_err(|error| {
        Failure::bad_body(format!("The body must be base64, as it is said to be; {error}."))
    })?;
    if bytes.len() > BODY_BYTES {
        return Err(Failure::body_too_large(BODY_BYTES));
    }
    String::from_utf8(bytes).map_err(|error| Failure::bad_body(format!("The body must be UTF-8; {error}.")))
}

/// The path as it was sent, without the stage that API Gateway puts before it.
fn path(request: &ApiGatewayV2httpRequest) -> &str {
    let path = request.raw_path.as_deref().unwrap_or_default();
    let stage = request.request_context.stage.as_deref();
    stage
        .and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage))
        .filter(|rest| rest.starts_with('/'))
        .unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_known_by_its_type() {
        for good in ["application/json", "Application/JSON; charset=utf-8", " application/json ;x=y"] {
            assert!(is_json(good.as_bytes()), "{good}");
        }
        for bad in ["", "text/plain", "application/jsonp", "application/x-www-form-urlencoded"] {
            assert!(!is_json(bad.as_bytes()), "{bad}");
        }
    }
}
