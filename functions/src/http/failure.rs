//! The one place where what went wrong becomes a status, a code and a sentence for the caller.

mod store;

use conversation_core::{ConversationId, Error, Invalid, Problem, RECORD_KEY_BYTES};
use http::StatusCode;

use super::item::Item;
use crate::outcome::CacheStatus;

/// An error as the caller sees it.
#[derive(Debug)]
pub struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) param: Option<String>,
    pub(crate) message: String,
    /// Where a read that found nothing was answered from.
    pub(crate) cache_status: Option<CacheStatus>,
    /// What the write depended on and is another one, and which it is: the version of the conversation or the revision of the record;
    /// 0: it is not there.
    pub(crate) current: Option<(&'static str, i64)>,
    /// The methods that would be right, where the method was wrong.
    pub(crate) allow: Option<String>,
    /// The request is done once, however often it is sent.
    pub(crate) repeatable: bool,
}

impl Failure {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status,
            code,
            param: None,
            message,
            cache_status: None,
            current: None,
            allow: None,
            repeatable: false,
        }
    }

    fn of(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// No route fits; the path has these methods.
    pub(crate) fn no_route(method: &str, path: &str, methods: &[&str]) -> Self {
        if methods.is_empty() {
            return Self::new(StatusCode::NOT_FOUND, "unknown_url", format!("There is no {method} {path}."));
        }
        let allow = methods.join(", ");
        let message = format!("There is no {method} {path}, only {allow}.");
        let failure = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
        Self { allow: Some(allow), ..failure }
    }

    /// The request belongs to another function: a route leads to the wrong one.
    pub(crate) fn misrouted() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_url", "Another function answers this request.")
    }

    /// Nobody is named whose conversations are meant.
    pub(crate) fn unauthenticated(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", message)
    }

    /// The body is not declared to be JSON.
    pub(crate) fn not_json_type() -> Self {
        let message = "The body must be JSON and say so: set the header content-type: application/json.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message).of("content-type")
    }

    /// The body is larger than a request may be.
    pub(crate) fn body_too_large(max: usize) -> Self {
        let message =
            format!("The body is larger than {} MiB; send the messages in several requests.", max >> 20);
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message).of("body")
    }

    /// The body is encoded in a way that is not decoded here.
    pub(crate) fn encoded(encoding: &str) -> Self {
        let message = format!("The body must not be encoded; its content-encoding is {encoding:?}.");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_encoding", message)
            .of("content-encoding")
    }

    /// The body is no JSON.
    pub(crate) fn bad_json(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_json", message).of("body")
    }

    /// The body is JSON, but not what it should be.
    pub(crate) fn bad_body(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", message).of("body")
    }

    /// An item is a part of a record, and records are deleted as a whole.
    pub(crate) fn part_of_record(item: &str, record: &str) -> Self {
        let message = format!(
            "The item {item:?} is a part of the message {record:?}; delete that, and with it all of its items."
        );
        Self::new(StatusCode::CONFLICT, "part_of_message", message).of("item_id")
    }

    /// A record reads as several items, so that it is none of them.
    pub(crate) fn several_items(record: &str, items: &[Item]) -> Self {
        let ids: Vec<&str> = items.iter().map(Item::id).collect();
        let message = format!("The message {record:?} reads as several items: {}.", ids.join(", "));
        Self::new(StatusCode::NOT_FOUND, "item_not_found", message).of("item_id")
    }

    /// A parameter that is not known, or stands with another that excludes it.
    pub(crate) fn bad_param(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_parameter", message).of(param)
    }

    /// A deletion of many says of which.
    pub(crate) fn missing_filter() -> Self {
        let message =
            "A deletion of many conversations needs metadata[key]=value, forked_from or archived=true.";
        Self::new(StatusCode::BAD_REQUEST, "missing_filter", message).of("metadata")
    }

    /// A header that should be an entity tag.
    pub(crate) fn bad_etag(param: &str, message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_etag", message).of(param)
    }

    /// What the write depends on does not hold: the conversation is at that version, 0 where it is not there.
    pub(crate) fn version_mismatch(id: &str, version: i64) -> Self {
        let message = match version {
            0 => format!("There is no conversation {id:?}. Nothing was stored."),
            version => format!(
                "The conversation {id:?} is at version {version}. Nothing was stored; read it and decide anew."
            ),
        };
        let failure = Self::new(StatusCode::PRECONDITION_FAILED, "version_mismatch", message);
        Self { current: Some(("version", version)), ..failure }
    }

    /// What the write of a record depends on does not hold: it is at that revision, 0 where it is not there.
    pub(crate) fn revision_mismatch(param: &str, revision: i64) -> Self {
        let message = match revision {
            0 => "There is no such record. Nothing was stored.".to_owned(),
            revision => {
                format!("The record is at revision {revision}. Nothing was stored; read it and decide anew.")
            }
        };
        let failure = Self::new(StatusCode::PRECONDITION_FAILED, "revision_mismatch", message).of(param);
        Self { current: Some(("revision", revision)), ..failure }
    }

    /// There is no record of this key.
    pub(crate) fn no_record(key: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "record_not_found", format!("There is no record {key:?}.")).of("key")
    }

    /// The value is larger than the front end takes as an answer.
    pub(crate) fn value_too_large(max: usize) -> Self {
        let message =
            format!("The value does not fit into {} KiB, which is what the front end takes.", max >> 10);
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "record_too_large", message).of("key")
    }

    /// The conversation does not exist for this owner.
    pub(crate) fn no_conversation(id: &str) -> Self {
        let message = format!("There is no conversation {id:?}.");
        Self::new(StatusCode::NOT_FOUND, "conversation_not_found", message).of("conversation_id")
    }

    /// The family of errors that the envelope names beside the code.
    pub(crate) fn kind(&self) -> &'static str {
        match self.status.as_u16() {
            401 => "authentication_error",
            404 => "not_found_error",
            409 => "conflict_error",
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        }
    }

    /// After how many seconds trying again may help.
    pub(crate) fn retry_after(&self) -> Option<u32> {
        (self.status == StatusCode::SERVICE_UNAVAILABLE).then_some(1)
    }

    /// Whether sending the same again can only fail, or store it twice. The OpenAI SDKs try a 409 or 503 again by
    /// themselves, unless `x-should-retry` says otherwise.
    pub(crate) fn is_final(&self) -> bool {
        self.status == StatusCode::CONFLICT || (self.code == "outcome_unknown" && !self.repeatable)
    }

    /// What the store answered, about that conversation.
    pub fn about(id: Option<&ConversationId>) -> impl FnOnce(Error) -> Self {
        let id = id.map(ConversationId::as_str).unwrap_or_default();
        move |error| Self::from_store(error, id)
    }

    /// The same, about records of it, or of an owner where the id is empty.
    pub(crate) fn of_records(error: Error, id: &str) -> Self {
        Self::from_store(error, id)
    }

    /// The same, about one message of it.
    pub fn about_item(id: &ConversationId, item: &str) -> impl FnOnce(Error) -> Self {
        move |error| match error {
            Error::NotFound => {
                let message = format!("There is no message {item:?} in a conversation {:?}.", id.as_str());
                Self::new(StatusCode::NOT_FOUND, "message_not_found", message).of("item_id")
            }
            error => Self::from_store(error, id.as_str()),
        }
    }

    /// The same, about items of it that were sent again.
    pub fn about_items(id: &ConversationId) -> impl FnOnce(Error) -> Self {
        move |error| match error {
            Error::NotFound => Self::new(
                StatusCode::NOT_FOUND,
                "item_not_found",
                format!("An item_reference is to no item of the conversation {:?}.", id.as_str()),
            )
            .of("items"),
            error => Self::from_store(error, id.as_str()),
        }
    }

    /// The same, where the conversation must exist: one that was deleted does not.
    pub fn about_existing(id: &ConversationId) -> impl FnOnce(Error) -> Self {
        move |error| match error {
            Error::ConversationDeleted => Self::no_conversation(id.as_str()),
            error => Self::from_store(error, id.as_str()),
        }
    }
}

impl From<Invalid> for Failure {
    fn from(Invalid { param, problem }: Invalid) -> Self {
        let (status, code, message) = explain(&param, &problem);
        let failure = Self::new(status, code, message);
        if param.is_empty() { failure.of("body") } else { failure.of(param) }
    }
}

/// What was wrong, and what would be right.
fn explain(param: &str, problem: &Problem) -> (StatusCode, &'static str, String) {
    let name = if param.is_empty() { "The body" } else { param };
    let bad = |code, message: String| (StatusCode::BAD_REQUEST, code, message);
    match problem {
        Problem::NotAnId => bad(
            "invalid_id",
            format!(
                "{name} must be 1 to 128 visible ASCII characters other than / ? # % \\ {{ }} < > \" ' & `, and not only dots."
            ),
        ),
        Problem::NotAnOwner => bad(
            "invalid_owner",
            format!("{name} must be 1 to 255 visible ASCII characters other than braces."),
        ),
        Problem::NotAnIdempotencyKey => {
            bad("invalid_idempotency_key", format!("{name} must be 1 to 255 visible ASCII characters."))
        }
        Problem::TooLong { max } => {
            bad("too_long", format!("{name} must not be longer than {max} characters."))
        }
        Problem::TooLarge { max } => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "message_too_large",
            format!("{name} must not be larger than {} KiB as JSON.", max >> 10),
        ),
        Problem::NotARecordKey => bad(
            "invalid_key",
            format!("{name} must be 1 to {RECORD_KEY_BYTES} bytes of text without U+0000."),
        ),
        Problem::NotAContentType => bad(
            "invalid_content_type",
            format!("{name} must be a content type of up to 255 characters, like application/json."),
        ),
        Problem::RecordTooLarge { max } => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "record_too_large",
            format!("{name} must not be larger than {max} bytes."),
        ),
        Problem::TooManyRecords { max } => {
            bad("too_many", format!("{name} must not hold more than {max} records."))
        }
        Problem::RepeatedKey => {
            bad("repeated_key", format!("{name} is the key of an earlier record of this request."))
        }
        Problem::HasNul => bad("invalid_value", format!("{name} must not contain U+0000.")),
        Problem::TooManyPairs { max } => {
            bad("too_many", format!("{name} must not have more than {max} pairs."))
        }
        Problem::Type { expected } => bad("invalid_type", format!("{name} must be {expected}.")),
        Problem::DuplicateKey { key } => {
            bad("duplicate_key", format!("{name} must not have the key {key:?} twice."))
        }
        Problem::Missing => bad("missing", format!("{name} is required.")),
        Problem::Reserved => bad(
            "reserved",
            format!(
                "{name} is assigned by the store; leave it out, or send it with the id beside which it was read."
            ),
        ),
        Problem::UnknownRole { role } => bad(
            "unknown_role",
            format!("{name} must be system, developer, user, assistant, tool or function; it is {role:?}."),
        ),
        Problem::NoContent => bad(
            "missing",
            format!(
                "{name} must be a string or an array of parts; only the message of an assistant or a function may be without."
            ),
        ),
        Problem::TooDeep { max } => {
            bad("too_deep", format!("{name} must not nest deeper than {max} levels."))
        }
        Problem::Empty => bad("empty", format!("{name} must hold at least one message.")),
        Problem::TooManyMessages { max } => {
            bad("too_many", format!("{name} must not hold more than {max} messages."))
        }
        Problem::RepeatedId => {
            bad("repeated_id", format!("{name} is the id of an earlier message of this request."))
        }
        Problem::OutOfRange { min, max } => {
            bad("out_of_range", format!("{name} must be a whole number from {min} to {max}."))
        }
        Problem::UnknownMessage => {
            bad("invalid_cursor", format!("{name} must be the id of an item of this conversation."))
        }
        Problem::NotACursor => bad(
            "invalid_cursor",
            format!("{name} must be the `{name}` value returned by a page of this list."),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_done_is_sent_again_only_where_it_is_done_once() {
        let unknown = || Failure::about(None)(Error::OutcomeUnknown("connection lost".into()));
        assert_eq!((unknown().status, unknown().retry_after()), (StatusCode::SERVICE_UNAVAILABLE, Some(1)));
        assert!(unknown().is_final());
        assert!(!Failure { repeatable: true, ..unknown() }.is_final());
        assert!(!Failure::about(None)(Error::DatabaseUnavailable("refused".into())).is_final());
        assert!(
            Failure {
                repeatable: true,
                ..Failure::about(None)(Error::IdempotencyConflict { path: String::new() })
            }
            .is_final()
        );
    }
}
