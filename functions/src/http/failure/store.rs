//! What the store answered, as the caller sees it.

use conversation_core::{Error, HashedId, join};
use http::StatusCode;

use super::Failure;

impl Failure {
    /// There is nothing to begin as a copy of.
    fn no_origin() -> Self {
        let message = "There is no conversation to fork of this id.";
        Self::new(StatusCode::NOT_FOUND, "conversation_not_found", message).of("fork_of")
    }

    /// A copy would be too large.
    fn origin_too_long(max: usize) -> Self {
        let message =
            format!("A fork begins with {max} messages or 16 MiB at the most; fork at an earlier position.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "fork_too_large", message).of("at")
    }

    /// The same, of records.
    fn origin_records_too_many(max: usize) -> Self {
        let message = format!(
            "A fork begins with {max} records or 64 MiB of them at the most; name fewer by records_prefix."
        );
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "fork_too_large", message).of("records_prefix")
    }

    /// The request clashes with what is stored.
    fn conflict(code: &'static str, param: impl Into<String>, message: String) -> Self {
        Self::new(StatusCode::CONFLICT, code, message).of(param)
    }

    /// Something that the request needs cannot be had just now.
    fn unavailable(code: &'static str, message: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }

    pub(super) fn from_store(error: Error, id: &str) -> Self {
        log(&error, id);
        match error {
            Error::Invalid(invalid) => invalid.into(),
            Error::NotFound => Self::no_conversation(id),
            Error::VersionMismatch { version } => Self::version_mismatch(id, version),
            Error::RevisionMismatch { at, revision } => {
                Self::revision_mismatch(&format!("records[{at}]"), revision)
            }
            Error::OriginRecordsTooMany { max } => Self::origin_records_too_many(max),
            Error::OriginNotFound => Self::no_origin(),
            Error::OriginTooLong { max } => Self::origin_too_long(max),
            Error::ConversationExists { .. } => Self::conflict(
                "conversation_exists",
                "id",
                format!("Conversation {id:?} already exists; add messages to it, or choose another id."),
            ),
            Error::ConversationDeleted => Self::conflict(
                "conversation_deleted",
                "conversation_id",
                format!("The conversation {id:?} was deleted; its id is not used again."),
            ),
            Error::MessageConflict { id, path } => {
                let message = format!(
                    "A message {id:?} is stored with another body{}; give the new one another id.",
                    differs(&path)
                );
                Self::conflict("message_conflict", or(path, "id"), message)
            }
            Error::MessageStays { id, path } => {
                let message =
                    format!("The conversation keeps a message {id:?}; give the new one another id.");
                Self::conflict("message_conflict", join(&path, "id"), message)
            }
            Error::MessageDeleted { id, path } => {
                let message = format!("The message {id:?} was deleted; give the new one another id.");
                Self::conflict("message_deleted", join(&path, "id"), message)
            }
            Error::IdempotencyConflict { path } => {
                let message = format!(
                    "The Idempotency-Key was used for another request{}; give this one another key.",
                    differs(&path)
                );
                Self::conflict("idempotency_conflict", or(path, "idempotency-key"), message)
            }
            Error::RecordConflict { key } => {
                let message = format!("A record {key:?} is stored with the same revision and another value.");
                Self::conflict("record_conflict", "key", message)
            }
            Error::VersionAhead { stored, .. } => Self::conflict(
                "version_ahead",
                "min_version",
                format!("The conversation is at version {stored}; min_version must not be above it."),
            ),
            Error::OutcomeUnknown(_) => Self::unavailable("outcome_unknown", OUTCOME_UNKNOWN),
            Error::DatabaseUnavailable(_) => {
                Self::unavailable("unavailable", "The store cannot be reached. Try again shortly.")
            }
            Error::ErasureUnderway => Self::unavailable("erasure_underway", ERASURE_UNDERWAY),
            Error::CacheMoving => Self::unavailable("cache_moving", CACHE_MOVING),
            Error::CacheUnavailable(_) => Self::unavailable("cache_unavailable", CACHE_UNAVAILABLE),
            Error::Database(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Internal server error.")
            }
        }
    }
}

const OUTCOME_UNKNOWN: &str = "The write may or may not have been stored. A request with an Idempotency-Key, and messages with an id, can be sent again: they are not stored twice. Otherwise read first.";
const ERASURE_UNDERWAY: &str = "The data of this owner are being erased, and not all of them are out of reach yet. Nothing is created until they are. Try again shortly.";
const CACHE_MOVING: &str = "The store is moving to another cache. Nothing was stored. Try again shortly.";
const CACHE_UNAVAILABLE: &str = "The cache cannot be reached, and nothing is deleted before it can be. Nothing was changed. Try again shortly.";

/// Logs what is the service's fault, with the reason that callers are not told.
fn log(error: &Error, id: &str) {
    let conversation = HashedId::of(id);
    match error {
        Error::OutcomeUnknown(reason) => {
            tracing::error!(%conversation, reason, "commit with unknown outcome");
        }
        Error::DatabaseUnavailable(reason) => {
            tracing::error!(%conversation, reason, "postgres unavailable");
        }
        Error::CacheMoving => {
            tracing::warn!(%conversation, "the cache is of another generation than the one in use");
        }
        Error::CacheUnavailable(error) => tracing::error!(%conversation, %error, "cache unavailable"),
        Error::Database(error) => tracing::error!(%conversation, %error, "postgres error"),
        _ => {}
    }
}

/// A path, or what stands for it where it is empty.
fn or(path: String, otherwise: &str) -> String {
    if path.is_empty() { otherwise.to_owned() } else { path }
}

/// What two requests differ in.
fn differs(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(", from which it differs at {path}") }
}
