//! The operations: what is asked of which store, in which order.

mod audit;
mod delete_many;
mod erase;
mod export_page;
mod history;
mod inspect;
mod probe;
mod read;
mod records;
mod sweep;
mod transfer;
mod write;

use crate::types::read::Listing;

use std::time::Duration;

use crate::cache::Cache;
use crate::database::Database;
use crate::types::conversation::OwnerId;
use crate::types::erasure::ERASURE_SETTLES;
use crate::types::error::Error;
use crate::types::page::{ConversationFilter, Cursor, Direction, Limit, Order, Page};
use crate::types::retention::Retention;

pub use audit::Audit;
pub use delete_many::BulkDeletion;
pub use export_page::ExportPage;
pub use probe::{Check, ProbeError, Probed};
pub use sweep::Swept;
pub use transfer::Export;
pub use write::Imported;

/// What only Postgres knows: which conversations an owner has, and records.
#[derive(Clone, Debug)]
pub struct ConversationIndex {
    database: Database,
    /// The largest value of a record.
    record_bytes: usize,
}

/// Conversations in Postgres, all of each for good, and in Redis, the recent part of each while it is in use.
///
/// Cloning it shares its connections.
#[derive(Clone, Debug)]
pub struct ConversationStore {
    index: ConversationIndex,
    cache: Cache,
    /// How long what was erased is left before the last of it is removed.
    settles: Duration,
}

impl ConversationIndex {
    pub(crate) fn new(database: Database, record_bytes: usize) -> Self {
        Self { database, record_bytes }
    }

    /// Lets a user of the database use the store: change its rows, and not its schema. Who is not there is made,
    /// without a password; on Amazon RDS, authenticated by IAM. To be done after every migration, by who may.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn grant_access(&self, user: &str) -> Result<(), Error> {
        self.database.grant_access(user).await
    }

    /// Sets after which time without a change any conversation expires. To be done after every migration, by who owns the schema.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn set_retention(&self, retention: Retention) -> Result<(), Error> {
        self.database.set_retention(retention).await
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

    /// Lists an owner's conversations by their last activity: those that the filter lets through.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn list(
        &self,
        owner: &OwnerId,
        filter: &ConversationFilter,
        order: Order,
        cursor: Option<&Cursor>,
        limit: Limit,
    ) -> Result<Listing, Error> {
        let mut listed = self.database.list(owner, filter, order, cursor, limit).await?;
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
        let mut before = cursor_at(Direction::Before, listed.first()).filter(|_| has_before);
        let mut after = cursor_at(Direction::After, listed.last()).filter(|_| has_after);
        // Where nothing follows yet, the next look begins at the same place.
        if let Some(cursor) = cursor.filter(|_| listed.is_empty()) {
            match cursor.direction {
                Direction::Before => before = Some(cursor.clone()),
                Direction::After => after = Some(cursor.clone()),
            }
        }
        let items = listed.into_iter().map(|item| item.conversation).collect();
        Ok(Listing { page: Page { items, has_more: more }, before, after })
    }
}

impl ConversationStore {
    pub(crate) fn new(index: ConversationIndex, cache: Cache) -> Self {
        Self { index, cache, settles: ERASURE_SETTLES }
    }

    /// The same, with another time after which the last of what was erased is removed: for tests, which know that nothing is under way.
    #[must_use]
    pub fn settling(self, settles: Duration) -> Self {
        Self { settles, ..self }
    }

    fn database(&self) -> &Database {
        &self.index.database
    }

    /// What needs no cache.
    pub fn index(&self) -> &ConversationIndex {
        &self.index
    }

    /// Whether each store answers: Postgres, then Redis.
    pub async fn health(&self) -> (Result<(), Error>, Result<(), Error>) {
        let (database, cache) = tokio::join!(self.database().ping(), self.cache.ping());
        (database, cache.map_err(Error::from))
    }
}
