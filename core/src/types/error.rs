//! What can go wrong, in the store's own terms. Nothing here knows HTTP, and nothing here is written for a client to
//! read: the functions map each case to a status and a sentence.

use thiserror::Error;

/// The cache did not do, or may not have done, what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CacheError {
    /// It cannot be reached, did not answer in time, or answers nobody just now.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The connection was closed meanwhile. The next one may do.
    #[error("connection closed: {0}")]
    Closed(String),
    /// It answered an error: it is full, read-only, or wants another password.
    #[error("{0}")]
    Refused(String),
}

/// Why an operation was not done. Unless it says otherwise, nothing was stored.
#[derive(Debug, Error)]
pub enum Error {
    /// A value breaks its rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The owner has no such conversation, or has deleted it.
    #[error("no such conversation")]
    NotFound,
    /// A conversation was to be created under an id in use.
    #[error("the conversation exists")]
    ConversationExists {
        /// Its version.
        version: i64,
    },
    /// What the write depends on does not hold.
    #[error("the conversation is at version {version}")]
    VersionMismatch {
        /// The conversation's version; 0: it is not there.
        version: i64,
    },
    /// What the write of a record depends on does not hold.
    #[error("record {at} of the request is at revision {revision}")]
    RevisionMismatch {
        /// Which of the request's records, from 0.
        at: usize,
        /// The record's revision; 0: it is not there.
        revision: i64,
    },
    /// A record that is imported is there with the same revision and another value.
    #[error("record {key:?} is there with the same revision and another value")]
    RecordConflict {
        /// The key in question.
        key: String,
    },
    /// A copy would have too many records.
    #[error("a copy of more than {max} records, or of too many bytes of them")]
    OriginRecordsTooMany {
        /// The most records.
        max: usize,
    },
    /// There is no such conversation to begin as a copy of.
    #[error("no such conversation to begin as a copy of")]
    OriginNotFound,
    /// A copy would have too many messages.
    #[error("a copy of more than {max} messages, or of too many bytes")]
    OriginTooLong {
        /// The most messages.
        max: usize,
    },
    /// An erasure is hiding what the owner has; nothing new can be created until it is through. Trying again helps.
    #[error("the data of this owner are being erased")]
    ErasureUnderway,
    /// The id belonged to a conversation that was deleted; ids are not reused.
    #[error("the conversation was deleted")]
    ConversationDeleted,
    /// The message id was stored before, with another body.
    #[error("message {id} was stored with another body; they differ at {path:?}")]
    MessageConflict {
        /// The id in question.
        id: String,
        /// Where in the request it differs from what is stored: `messages[3].content`.
        path: String,
    },
    /// A new message has the id of one that stays: where the end of a conversation is replaced, or another one copied.
    #[error("message {id} stays")]
    MessageStays {
        /// The id in question.
        id: String,
        /// Where it stands in the request: `messages[3]`.
        path: String,
    },
    /// The message was stored before, and deleted.
    #[error("message {id} was deleted")]
    MessageDeleted {
        /// The id in question.
        id: String,
        /// Where it stands in the request: `messages[3]`.
        path: String,
    },
    /// The idempotency key stands for another request.
    #[error("the idempotency key stands for another request; they differ at {path:?}")]
    IdempotencyConflict {
        /// Where in the request it differs from the first one; empty where it is one of another kind or conversation.
        path: String,
    },
    /// The reader holds a ticket from the future: after a restore from backup, say.
    #[error("version {asked} was asked for, the conversation is at {stored}")]
    VersionAhead {
        /// The version asked for.
        asked: i64,
        /// The version that Postgres holds.
        stored: i64,
    },
    /// Postgres cannot be reached, or did not answer in time before anything was written.
    #[error("postgres is unavailable: {0}")]
    DatabaseUnavailable(String),
    /// Postgres was lost before it said whether the write is done: it may or may not be there. Trying again with the same
    /// message ids, or under the same idempotency key, settles it.
    #[error("postgres was lost before it said whether the write is done: {0}")]
    OutcomeUnknown(String),
    /// Another cache is the one in use: a deployment is moving from that to this one, or has moved on
    /// from this one. Trying again helps when it is through.
    #[error("the cache is of another generation than the one in use")]
    CacheMoving,
    /// The cache cannot be reached, and the operation must not be done without it.
    #[error("the cache is unavailable: {0}")]
    CacheUnavailable(#[from] CacheError),
    /// Postgres answered an error that it should not: a defect, or a schema that was not migrated.
    #[error("postgres: {0}")]
    Database(#[source] sqlx::Error),
}

/// A value that breaks its rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{param}: {problem}")]
pub struct Invalid {
    /// The parameter, as a path: `messages[3].role`.
    pub param: String,
    /// The rule it breaks.
    pub problem: Problem,
}

impl Invalid {
    /// The same problem, seen from outside: `role` within `messages[3]` is `messages[3].role`. An empty name means the
    /// outer value itself.
    #[must_use]
    pub fn within(mut self, outer: &str) -> Self {
        self.param = if self.param.is_empty() { outer.to_owned() } else { format!("{outer}.{}", self.param) };
        self
    }
}

/// The rules that values break.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// Not an id: see [`ConversationId`](crate::ConversationId).
    #[error("not an id")]
    NotAnId,
    /// Not an owner: see [`OwnerId`](crate::OwnerId).
    #[error("not an owner id")]
    NotAnOwner,
    /// Not an idempotency key: see [`IdempotencyKey`](crate::IdempotencyKey).
    #[error("not an idempotency key")]
    NotAnIdempotencyKey,
    /// Longer than so many characters.
    #[error("longer than {max} characters")]
    TooLong {
        /// The most characters.
        max: usize,
    },
    /// Larger than so many bytes.
    #[error("larger than {max} bytes")]
    TooLarge {
        /// The most bytes.
        max: usize,
    },
    /// Contains U+0000, which Postgres text cannot hold.
    #[error("contains U+0000")]
    HasNul,
    /// More metadata pairs than this.
    #[error("more than {max} pairs")]
    TooManyPairs {
        /// The most pairs.
        max: usize,
    },
    /// Not JSON of the kind that belongs here.
    #[error("not {expected}")]
    Type {
        /// What belongs here, with its article: `a string`.
        expected: &'static str,
    },
    /// A key stands twice in one object.
    #[error("{key} stands twice")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// Required, but not there.
    #[error("missing")]
    Missing,
    /// A key that the store itself assigns.
    #[error("assigned by the store")]
    Reserved,
    /// Not one of the roles.
    #[error("unknown role {role:?}")]
    UnknownRole {
        /// What was given.
        role: String,
    },
    /// `content` is null where nothing stands in its place.
    #[error("no content")]
    NoContent,
    /// Objects and arrays nested deeper than this.
    #[error("nested deeper than {max}")]
    TooDeep {
        /// The deepest nesting.
        max: usize,
    },
    /// A batch without a message.
    #[error("empty")]
    Empty,
    /// More messages than one call takes.
    #[error("more than {max} messages")]
    TooManyMessages {
        /// The most messages.
        max: usize,
    },
    /// A message id that an earlier message of the same call bears.
    #[error("the id of an earlier message of this call")]
    RepeatedId,
    /// Not a key of a record: see [`RecordKey`](crate::RecordKey).
    #[error("not a key of a record")]
    NotARecordKey,
    /// Not a content type: see [`ContentType`](crate::ContentType).
    #[error("not a content type")]
    NotAContentType,
    /// A record's value is larger than so many bytes.
    #[error("a value larger than {max} bytes")]
    RecordTooLarge {
        /// The most bytes.
        max: usize,
    },
    /// More records than one call takes.
    #[error("more than {max} records")]
    TooManyRecords {
        /// The most records.
        max: usize,
    },
    /// A key that an earlier record of the same call has.
    #[error("the key of an earlier record of this call")]
    RepeatedKey,
    /// Not a whole number within these bounds.
    #[error("not a whole number from {min} to {max}")]
    OutOfRange {
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// Not the id of a message of this conversation.
    #[error("no message of this conversation")]
    UnknownMessage,
    /// Not a cursor that a page of this very list answered.
    #[error("not a cursor of this list")]
    NotACursor,
}

impl Problem {
    /// This problem of that parameter.
    pub fn of(self, param: impl Into<String>) -> Invalid {
        Invalid { param: param.into(), problem: self }
    }
}
