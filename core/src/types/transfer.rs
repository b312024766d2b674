//! What leaves one store and enters another: conversations and messages with all that is kept of them.

mod cursor;
mod line;

pub use cursor::ExportCursor;
pub use line::{LineError, read_line, write_line};

use super::conversation::{ConversationFields, ConversationId, ConversationKey, OwnerId};
use super::error::{Invalid, Problem};
use super::message::{Message, MessageId, NewMessage};
use super::page::LATEST_MICROS;
use super::record::{RecordKey, RecordValue};

/// Which conversations are exported. Deleted ones never are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those of all owners.
    Everything,
    /// Those of one owner.
    Owner(OwnerId),
    /// One of them.
    Conversation(ConversationKey),
}

/// A conversation without its messages. Times are Unix microseconds, since lists are ordered by them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedConversation {
    /// Whose it is, and which of theirs.
    pub key: ConversationKey,
    /// Its title and metadata.
    pub fields: ConversationFields,
    /// How often it changed.
    pub version: i64,
    /// The highest position ever given out; higher than that of its last message where that was deleted.
    pub last_seq: i64,
    /// How many messages it holds.
    pub message_count: i64,
    /// When it was created.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
    /// When a message was last added.
    pub last_message_at: Option<i64>,
    /// The conversation that it began as a copy of.
    pub forked_from: Option<ConversationId>,
    /// The last position that was copied.
    pub forked_at: Option<i64>,
    /// The last revision given to a record of it; 0: it never had one.
    pub record_revision: i64,
    /// How many records it has.
    pub record_count: i64,
}

/// An owner who has records of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedOwner {
    /// Who it is.
    pub owner: OwnerId,
    /// The last revision given to one of these records.
    pub record_revision: i64,
    /// How many records these are.
    pub record_count: i64,
}

/// A record of the conversation, or the owner, before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedRecord {
    /// Its key.
    pub key: RecordKey,
    /// Its revision, from 1.
    pub revision: i64,
    /// When it was written, in Unix microseconds.
    pub updated_at: i64,
    /// Its value.
    pub value: RecordValue,
}

/// A message at its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedMessage {
    /// Its position, from 1.
    pub seq: i64,
    /// When it was added, in Unix microseconds.
    pub created_at: i64,
    pub(crate) message: NewMessage,
}

/// What an export goes through: owners with their own records; then each conversation, its messages in order, and its records in the
/// order of their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exported {
    /// The next conversation.
    Conversation(ExportedConversation),
    /// A message of it.
    Message(ExportedMessage),
    /// The next owner with records of their own.
    Owner(ExportedOwner),
    /// A record of that owner, or of the conversation.
    Record(ExportedRecord),
}

impl ExportedOwner {
    /// Checks what no type does.
    ///
    /// # Errors
    /// [`Problem::OutOfRange`]: the revision is negative.
    pub fn check(&self) -> Result<(), Invalid> {
        within(self.record_revision, 0, i64::MAX, "record_revision")?;
        within(self.record_count, 0, i64::MAX, "record_count")
    }
}

impl ExportedRecord {
    /// Checks what no type does. `last_revision` is the last one that was given where the record is from.
    ///
    /// # Errors
    /// [`Problem::OutOfRange`]: the revision is below 1 or above the last one, or the time not between 1970 and 9999.
    pub fn check(&self, last_revision: i64) -> Result<(), Invalid> {
        within(self.revision, 1, last_revision, "revision")?;
        within(self.updated_at, 0, LATEST_MICROS, "updated_at_us")
    }
}

impl ExportedConversation {
    /// Checks what no type does.
    ///
    /// # Errors
    /// [`Problem::OutOfRange`]: a counter is negative, or a time not between 1970 and 9999.
    pub fn check(&self) -> Result<(), Invalid> {
        for (name, number) in
            [("version", self.version), ("last_seq", self.last_seq), ("message_count", self.message_count)]
        {
            within(number, 0, i64::MAX, name)?;
        }
        within(self.forked_at.unwrap_or(0), 0, i64::MAX, "forked_at")?;
        within(self.record_revision, 0, i64::MAX, "record_revision")?;
        within(self.record_count, 0, i64::MAX, "record_count")?;
        let last_message_at = self.last_message_at.unwrap_or(self.created_at);
        for (name, at) in [
            ("created_at_us", self.created_at),
            ("updated_at_us", self.updated_at),
            ("last_message_at_us", last_message_at),
        ] {
            within(at, 0, LATEST_MICROS, name)?;
        }
        Ok(())
    }
}

impl ExportedMessage {
    /// A message as a client would send it, at a position. `id` is what the store called it, or is to call it, where the
    /// JSON has none.
    ///
    /// # Errors
    /// The first rule that it breaks, with the path to the value within the message; [`Problem::Type`] where the JSON has
    /// another id.
    pub fn new(seq: i64, id: MessageId, created_at: i64, json: &str) -> Result<Self, Invalid> {
        within(seq, 1, i64::MAX, "seq")?;
        within(created_at, 0, LATEST_MICROS, "created_at_us")?;
        let mut message = NewMessage::parse(json)?;
        if message.id_in_body && message.id != id {
            return Err(Problem::Type { expected: "the id that the message itself has" }.of("id"));
        }
        message.id = id;
        Ok(Self { seq, created_at, message })
    }

    /// The same, with an id made of the prefix that a message of its kind has here and a name, unless the JSON has one.
    ///
    /// # Errors
    /// As [`ExportedMessage::new`].
    pub fn named(seq: i64, name: &str, created_at: i64, json: &str) -> Result<Self, Invalid> {
        let NewMessage { id, id_in_body, .. } = NewMessage::parse(json)?;
        let prefix = id.as_str().split('_').next().unwrap_or_default();
        let id = if id_in_body { id } else { MessageId::new(format!("{prefix}_{name}"))? };
        Self::new(seq, id, created_at, json)
    }

    /// What the message is called.
    pub fn id(&self) -> &MessageId {
        &self.message.id
    }

    /// The client's JSON, to the byte.
    pub fn json(&self) -> &str {
        &self.message.body
    }

    /// The message as it is answered once it is stored.
    pub fn answered(&self) -> Message {
        let id = (!self.message.id_in_body).then_some(self.message.id.as_str());
        Message::assemble(self.seq, id, self.created_at.div_euclid(1_000_000), &self.message.body)
    }

    pub(crate) fn stored(seq: i64, created_at: i64, message: NewMessage) -> Self {
        Self { seq, created_at, message }
    }
}

/// How far an import has come in what it reads, kept in the database that it fills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportSource(String);

impl ImportSource {
    /// A name for what is read, which something else that is read must not have.
    ///
    /// # Errors
    /// [`Problem::NotAnId`]: the rule is that of [`ConversationId`].
    pub fn new(name: impl Into<String>) -> Result<Self, Invalid> {
        ConversationId::new(name).map(|id| Self(id.to_string()))
    }

    /// The name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn within(number: i64, min: i64, max: i64, param: &str) -> Result<(), Invalid> {
    if (min..=max).contains(&number) { Ok(()) } else { Err(Problem::OutOfRange { min, max }.of(param)) }
}
