//! From HTTP to what the store takes.

use conversation_core::{
    ContentType, ConversationId, ConversationKey, IdempotencyKey, IdentityConfig, Invalid, Limit, Order,
    OwnerId, Problem, RecordKey, RecordScope,
};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderName, Method};
use lambda_http::{Request, RequestExt as _};

use super::event::{FrontEnd, HttpEvent};
use super::failure::Failure;
use super::identity;
use super::item::ItemId;
use super::route::{self, Operation, Target};

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
    request: Request,
    front_end: FrontEnd,
}

impl ApiRequest {
    /// Finds the route that a request fits, and who it is from.
    ///
    /// # Errors
    /// It fits none, or its body is not encoded as it is said to be.
    pub fn read(event: HttpEvent, identity: &IdentityConfig) -> Result<Self, Failure> {
        let front_end = event.front_end();
        let (request, claims) = event.into_request()?;
        let (method, path) = (request.method(), request.raw_http_path());
        let target = route::find(method, path)
            .ok_or_else(|| Failure::no_route(method.as_str(), path, &route::methods(path)))?;
        let owner = identity::owner(&request, &claims, identity);
        Ok(Self { operation: target.operation, target, owner, request, front_end })
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
        Ok(ConversationKey {
            owner,
            id: ConversationId::new(self.target.names.conversation_id.as_deref().unwrap_or_default())?,
        })
    }

    /// What the records belong to: the conversation that the path names, otherwise the caller.
    ///
    /// # Errors
    /// The caller names no owner, or the path no valid id.
    pub fn record_scope(&mut self) -> Result<RecordScope, Failure> {
        if self.target.names.conversation_id.is_some() {
            return self.key().map(RecordScope::Conversation);
        }
        self.owner().map(RecordScope::Owner)
    }

    /// Which record is meant.
    ///
    /// # Errors
    /// The path has no valid key.
    pub fn record_key(&self) -> Result<RecordKey, Failure> {
        // Some front ends decode the path, and leave this where the bytes were no text: several keys would be one.
        let is_whole = |key: &String| !key.contains(char::REPLACEMENT_CHARACTER);
        let key = self.target.names.key.clone().flatten().filter(is_whole);
        Ok(RecordKey::new(key.ok_or_else(|| Problem::NotARecordKey.of("key"))?)?)
    }

    /// Which item is meant.
    ///
    /// # Errors
    /// The path has no valid id.
    pub fn item_id(&self) -> Result<ItemId, Failure> {
        Ok(ItemId::new(self.target.names.item_id.as_deref().unwrap_or_default())
            .map_err(called("item_id"))?)
    }

    /// A parameter of the query.
    ///
    /// # Errors
    /// It has two values: which one counts, front ends do not agree.
    pub fn query(&self, name: &str) -> Result<Option<&str>, Failure> {
        let mut values = self.query_pairs().filter(|(given, _)| *given == name).map(|(_, value)| value);
        let Some(first) = values.next() else { return Ok(None) };
        if values.any(|other| other != first) {
            return Err(Failure::bad_param(name, format!("{name} must not have two values.")));
        }
        Ok(Some(first))
    }

    /// All parameters of the query, one that stands there several times as often.
    pub(crate) fn query_pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.request.query_string_parameters_ref().into_iter().flat_map(|query| query.iter())
    }

    /// A whole number of the query.
    pub(crate) fn number(&self, name: &str, min: i64) -> Result<Option<i64>, Failure> {
        let Some(text) = self.query(name)? else { return Ok(None) };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| digits && *number >= min);
        Ok(Some(number.ok_or_else(|| Problem::OutOfRange { min, max: i64::MAX }.of(name))?))
    }

    /// How many items a page may hold.
    ///
    /// # Errors
    /// `limit` is not 1 to 100.
    pub fn limit(&self, default: Limit) -> Result<Limit, Failure> {
        let Some(text) = self.query("limit")? else { return Ok(default) };
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

    /// In which order a list is wanted.
    ///
    /// # Errors
    /// `order` is neither `asc` nor `desc`.
    pub(crate) fn order(&self) -> Result<Order, Failure> {
        match self.query("order")? {
            None | Some("desc") => Ok(Order::Descending),
            Some("asc") => Ok(Order::Ascending),
            Some(_) => Err(Failure::bad_param("order", "order must be asc or desc.")),
        }
    }

    /// Whether the answer is wanted without its body.
    pub(crate) fn is_head(&self) -> bool {
        self.request.method() == Method::HEAD
    }

    /// The function whose operation it is.
    pub(crate) fn function(&self) -> &'static str {
        self.operation.function()
    }

    /// Whose conversations are meant, if that is known.
    pub(crate) fn caller(&self) -> Option<&OwnerId> {
        self.owner.as_ref().ok()
    }

    /// Whether the request may be sent again: it is done once.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.request.headers().contains_key(IDEMPOTENCY_KEY)
    }

    /// The key under which it is done once.
    pub(crate) fn idempotency_key(&self) -> Result<Option<IdempotencyKey>, Failure> {
        let key = self.request.headers().get(IDEMPOTENCY_KEY);
        Ok(key.map(|key| IdempotencyKey::new(String::from_utf8_lossy(key.as_bytes()))).transpose()?)
    }

    /// The body's text; none: there is no body.
    pub(crate) fn body_if_any(&self) -> Result<Option<&str>, Failure> {
        if self.request.body().is_empty() { Ok(None) } else { self.body().map(Some) }
    }

    /// The body as it is, whatever it is.
    ///
    /// # Errors
    /// It is encoded, or too large.
    pub(crate) fn bytes(&self) -> Result<&[u8], Failure> {
        if let Some(encoding) = self.request.headers().get(CONTENT_ENCODING)
            && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
        {
            return Err(Failure::encoded(&String::from_utf8_lossy(encoding.as_bytes())));
        }
        let body: &[u8] = self.request.body();
        if body.len() > BODY_BYTES { Err(Failure::body_too_large(BODY_BYTES)) } else { Ok(body) }
    }

    /// What the body is, if that is not said any bytes.
    pub(crate) fn content_type(&self) -> Result<ContentType, Failure> {
        if !self.has_header(&CONTENT_TYPE) {
            return Ok(ContentType::bytes());
        }
        let content_type = ContentType::new(self.header(&CONTENT_TYPE).unwrap_or_default());
        Ok(content_type.map_err(called("content-type"))?)
    }

    /// The body's text.
    pub(crate) fn body(&self) -> Result<&str, Failure> {
        let body = self.bytes()?;
        let json = self.request.headers().get(CONTENT_TYPE).is_some_and(|kind| is_json(kind.as_bytes()));
        if !json {
            return Err(Failure::not_json_type());
        }
        std::str::from_utf8(body)
            .map_err(|error| Failure::bad_json(format!("The body must be UTF-8; {error}.")))
    }

    /// Whether there is such a header.
    pub(super) fn has_header(&self, name: &HeaderName) -> bool {
        self.request.headers().contains_key(name)
    }

    /// A header that is text.
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.request.headers().get(name)?.to_str().ok()
    }

    /// How many bytes an answer's body may have that is a record's value.
    pub(crate) fn value_bytes(&self) -> usize {
        self.front_end.value_bytes()
    }

    /// How many bytes the answer's body may have.
    pub(crate) fn answer_bytes(&self) -> usize {
        self.front_end.body_bytes()
    }
}

/// The same problem, under the name that the caller used.
pub(crate) fn called(param: &'static str) -> impl Fn(Invalid) -> Invalid {
    move |invalid| Invalid { param: param.into(), ..invalid }
}

/// Both directions were asked for.
pub(crate) fn one_direction() -> Failure {
    Failure::bad_param("after", "before and after exclude each other; give one of them.")
}

/// `application/json`, whatever its parameters.
fn is_json(kind: &[u8]) -> bool {
    let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
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
