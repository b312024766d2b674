//! What writes take and return.

use super::conversation::{Conversation, ConversationFields, ConversationId, OwnerId};
use super::idempotency::IdempotencyKey;
use super::message::{Batch, Message};
use super::precondition::Precondition;
use super::record::WrittenRecord;

/// How far an acknowledged write has come in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheUpdate {
    /// It was updated: the next read may hit.
    Applied,
    /// The write intent stands and sends readers to Postgres.
    Pending,
    /// Nothing: the cached copy is to be invalidated, and readers of the cache may see the write only after that.
    Deferred,
}

/// What an add answers.
#[derive(Debug)]
pub struct Added {
    /// The conversation after it.
    pub conversation: Conversation,
    /// The messages as they are stored, in the order given; of a request that was done before, under an idempotency key,
    /// those that were not deleted since.
    pub messages: Vec<Message>,
    /// The records that were written with them, in the order given.
    pub records: Vec<WrittenRecord>,
    /// How far it has come in the cache.
    pub cache_update: CacheUpdate,
}

/// What a new conversation begins as a copy of: another one of the same owner, up to a position. Ids and positions are
/// kept, and so are title and metadata unless the new one is given its own, and the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The other conversation.
    pub of: ConversationId,
    /// The last position that is copied; none: all are.
    pub at: Option<i64>,
    /// With what the keys of the records begin that are copied; empty: all are.
    pub records_prefix: String,
}

/// What a new conversation may be given.
#[derive(Clone, Debug)]
pub struct NewConversation {
    /// Its id; none: the store makes one.
    pub id: Option<ConversationId>,
    /// Its title and metadata.
    pub fields: ConversationFields,
    /// What it begins as a copy of.
    pub fork: Option<Fork>,
    /// The messages that it begins with, after those of a copy. An idempotency key of theirs is that of the whole.
    pub messages: Batch,
}

impl NewConversation {
    /// The same, with an id: the one that it has, or what every try under its idempotency key means, or a new one.
    #[must_use]
    pub fn named(mut self, owner: &OwnerId) -> (ConversationId, Self) {
        let under_key = || self.messages.idempotency_key().map(|key| key.conversation_id(owner));
        let id = self.id.clone().or_else(under_key).unwrap_or_else(ConversationId::generate);
        self.id = Some(id.clone());
        (id, self)
    }
}

/// A change of a conversation.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The fields to set.
    pub fields: ConversationFields,
    /// With it, it is done once however often it is tried: a late retry does not undo what came after the first try.
    pub idempotency_key: Option<IdempotencyKey>,
    /// What must hold for it to be done.
    pub precondition: Precondition,
}

impl From<ConversationFields> for Change {
    fn from(fields: ConversationFields) -> Self {
        Self { fields, ..Self::default() }
    }
}

/// What a replacement answers.
#[derive(Debug)]
pub struct Replaced {
    /// The conversation after it.
    pub conversation: Conversation,
    /// The new messages as they are stored, in the order given; of a request that was done before, under an idempotency key,
    /// those that were not deleted since.
    pub messages: Vec<Message>,
    /// The records that were written with them, in the order given.
    pub records: Vec<WrittenRecord>,
    /// How many messages were taken away.
    pub removed: i64,
    /// How far it has come in the cache.
    pub cache_update: CacheUpdate,
}

/// What an update, or the deletion of one message, answers.
#[derive(Debug)]
pub struct Changed {
    /// The conversation after it.
    pub conversation: Conversation,
    /// How far it has come in the cache.
    pub cache_update: CacheUpdate,
}
