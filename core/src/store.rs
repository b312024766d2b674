//! The operations: what is asked of which store, in which order.

mod audit;
mod inspect;
mod probe;
mod read;
mod sweep;
mod transfer;
mod write;

use std::time::Duration;

use crate::cache::{Cache, Miss};
use crate::conversation::{
    Conversation, ConversationFields, ConversationId, ConversationKey, Metadata, OwnerId,
};
use crate::database::{Database, MessageRange, Migrated};
use crate::error::{Error, Problem};
use crate::idempotency::IdempotencyKey;
use crate::message::{Batch, Message, MessageId};
use crate::page::{Anchor, Cursor, Direction, Limit, Order, Page, Range};

pub use audit::Audit;
pub use inspect::{EntryState, Inspection, IntentState, NextRead, RowState};
pub use probe::{Check, ProbeError, Probed};
pub use sweep::Swept;
pub use transfer::Export;
pub use write::Imported;

/// After how long migrations begin anew to wait for locks.
const MIGRATION: Duration = Duration::from_secs(60);

/// Where a read was answered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The cache.
    Hit,
    /// The cache, on a server that does not say who it is. After a failover that it hides, what it answers may for
    /// [`UNIDENTIFIED_VALIDITY`](crate::UNIDENTIFIED_VALIDITY) be without writes that were acknowledged before.
    BoundedHit,
    /// Postgres, because of what the cache held; whether it now holds what was read.
    Miss {
        /// Why it was not answered from the cache.
        reason: Miss,
        /// Whether the cache took what was read.
        stored: bool,
    },
    /// Postgres, because the cache has no such thing.
    Bypass,
}

impl Source {
    /// Whether the cache answered.
    #[must_use]
    pub fn is_hit(self) -> bool {
        matches!(self, Self::Hit | Self::BoundedHit)
    }
}

/// The answer to a read. Nothing found: the owner has no such conversation (any more).
#[derive(Debug)]
pub struct Read<T> {
    /// What was found.
    pub found: Option<T>,
    /// Where.
    pub source: Source,
}

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
    /// How far it has come in the cache.
    pub cache_update: CacheUpdate,
}

/// What a new conversation may be given.
#[derive(Debug)]
pub struct NewConversation {
    /// Its id; none: the store makes one.
    pub id: Option<ConversationId>,
    /// Its title and metadata.
    pub fields: ConversationFields,
    /// The messages that it begins with. An idempotency key of theirs is that of the whole.
    pub messages: Batch,
}

/// A change of a conversation.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The fields to set.
    pub fields: ConversationFields,
    /// With it, it is done once however often it is tried: a late retry does not undo what came after the first try.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl From<ConversationFields> for Change {
    fn from(fields: ConversationFields) -> Self {
        Self { fields, idempotency_key: None }
    }
}

/// What an update, or the deletion of one message, answers.
#[derive(Debug)]
pub struct Changed {
    /// The conversation after it.
    pub conversation: Conversation,
    /// How far it has come in the cache.
    pub cache_update: CacheUpdate,
}

/// A page of an owner's conversations, and the cursors to the pages beside it.
#[derive(Debug)]
pub struct Listing {
    /// The conversations, in the order asked for.
    pub page: Page<Conversation>,
    /// Leads to what comes before; none at the beginning.
    pub before: Option<Cursor>,
    /// Leads to what follows; none at the end.
    pub after: Option<Cursor>,
}

/// What only Postgres knows: which conversations an owner has.
#[derive(Clone, Debug)]
pub struct ConversationIndex {
    database: Database,
}

/// Conversations in Postgres, all of each for good, and in Redis, the recent part of each while it is in use.
///
/// Cloning it shares its connections.
#[derive(Clone, Debug)]
pub struct ConversationStore {
    index: ConversationIndex,
    cache: Cache,
}

impl ConversationIndex {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Applies the migrations that are missing.
    ///
    /// # Errors
    /// A migration failed, or one that was applied has changed since.
    pub async fn migrate(&self) -> Result<(), sqlx::migrate::MigrateError> {
        while self.database.migrate_for(MIGRATION).await? == Migrated::Some {}
        Ok(())
    }

    /// Lets a user of the database use the store: change its rows, and not its schema. Who is not there is made,
    /// without a password; on Amazon RDS, authenticated by IAM. To be done after every migration, by who may.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn grant_access(&self, user: &str) -> Result<(), Error> {
        self.database.grant_access(user).await
    }

    /// The generation of the cache that these settings tell from others: the one in use if that was made for them and for this
    /// database, otherwise one that nobody ever used, and that [`ConversationIndex::move_cache_generation`] makes the one in use. To
    /// be asked by who owns the schema.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn propose_cache_generation(&self, settings: &str) -> Result<String, Error> {
        self.database.propose_generation(settings).await
    }

    /// Makes a generation that was proposed the one in use: when nobody is left who has another. Done again, it does nothing.
    ///
    /// # Errors
    /// [`Error::Database`] where it was not proposed, or has been left; [`Error::DatabaseUnavailable`].
    pub async fn move_cache_generation(&self, generation: &str) -> Result<(), Error> {
        self.database.move_generation(generation).await
    }

    /// The generation of the cache in use.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn cache_generation(&self) -> Result<String, Error> {
        self.database.current_generation().await
    }

    /// Lists an owner's conversations by their last activity: those whose metadata has all the pairs given.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn list(
        &self,
        owner: &OwnerId,
        metadata: &Metadata,
        order: Order,
        cursor: Option<&Cursor>,
        limit: Limit,
    ) -> Result<Listing, Error> {
        let mut listed = self.database.list(owner, metadata, order, cursor, limit).await?;
        let more = listed.len() > limit.get();
        let backwards = cursor.is_some_and(|cursor| cursor.direction == Direction::Before);
        if more {
            listed.remove(if backwards { 0 } else { limit.get() });
        }
        // Where a cursor led here, there is something on the side it came from.
        let (has_before, has_after) = if backwards { (more, true) } else { (cursor.is_some(), more) };
        let cursor_at = |direction, item: Option<&crate::database::Listed>| {
            item.map(|item| Cursor {
                direction,
                order,
                at_micros: item.at_micros,
                id: item.conversation.id.clone(),
            })
        };
        let before = cursor_at(Direction::Before, listed.first()).filter(|_| has_before);
        let after = cursor_at(Direction::After, listed.last()).filter(|_| has_after);
        let items = listed.into_iter().map(|item| item.conversation).collect();
        Ok(Listing { page: Page { items, has_more: more }, before, after })
    }
}

impl ConversationStore {
    pub(crate) fn new(index: ConversationIndex, cache: Cache) -> Self {
        Self { index, cache }
    }

    fn database(&self) -> &Database {
        &self.index.database
    }

    /// Whether each store answers: Postgres, then Redis.
    pub async fn health(&self) -> (Result<(), Error>, Result<(), Error>) {
        let (database, cache) = tokio::join!(self.database().ping(), self.cache.ping());
        (database, cache.map_err(Error::from))
    }

    /// Reads the messages next to a position, oldest first: from Postgres, which alone has all of them.
    ///
    /// # Errors
    /// [`Error::VersionAhead`], [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn history(
        &self,
        key: &ConversationKey,
        range: Range,
        limit: Limit,
        min_version: Option<i64>,
    ) -> Result<Read<Page<Message>>, Error> {
        let message_range = self.database().message_range(key, range, limit).await?;
        page(message_range, matches!(range, Range::Before(_)), limit, min_version)
    }

    /// Reads the messages next to another one, oldest first: from Postgres, as [`ConversationStore::history`].
    ///
    /// # Errors
    /// [`Problem::UnknownMessage`], or as [`ConversationStore::history`].
    pub async fn adjacent_to(
        &self,
        key: &ConversationKey,
        anchor: &Anchor,
        limit: Limit,
        min_version: Option<i64>,
    ) -> Result<Read<Page<Message>>, Error> {
        let message_range = self.database().messages_adjacent_to(key, anchor, limit).await?;
        page(message_range, matches!(anchor, Anchor::Before(_)), limit, min_version)
    }

    /// Reads one message, wherever it is in the history: from Postgres.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn message(&self, key: &ConversationKey, id: &MessageId) -> Result<Read<Message>, Error> {
        Ok(Read { found: self.database().message(key, id).await?, source: Source::Bypass })
    }
}

/// The page that a message_range of the history is, without the message that only tells whether there are more.
fn page(
    message_range: Option<MessageRange>,
    backwards: bool,
    limit: Limit,
    min_version: Option<i64>,
) -> Result<Read<Page<Message>>, Error> {
    let Some(MessageRange { version, anchor_found, messages: mut items }) = message_range else {
        return Ok(Read { found: None, source: Source::Bypass });
    };
    read::check_version(min_version, version)?;
    if !anchor_found {
        return Err(Problem::UnknownMessage.of("after").into());
    }
    let has_more = items.len() > limit.get();
    if has_more {
        items.remove(if backwards { 0 } else { limit.get() });
    }
    Ok(Read { found: Some(Page { items, has_more }), source: Source::Bypass })
}
