//! Into this store, with ids, positions and times as they were elsewhere.

use crate::database::{self, Commit, Database};
use crate::types::conversation::ConversationKey;
use crate::types::error::{Error, Problem};
use crate::types::snapshot::IntentOutcome;
use crate::types::transfer::{ExportedConversation, ExportedMessage};
use crate::types::write::CacheUpdate;

use super::{Committed, ConversationStore, WithoutIntent, Write, report};

/// What an import of a part answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// How many messages were not there before.
    pub stored: i64,
    /// Whether anything was written at all.
    pub changed: bool,
    /// What the cache knows of it.
    pub cache_update: CacheUpdate,
}

struct Import<'a> {
    of: &'a ExportedConversation,
    part: &'a [ExportedMessage],
    last: bool,
}

impl Write for Import<'_> {
    type Done = database::Imported;
    const WITHOUT_INTENT: WithoutIntent = WithoutIntent::Defer;

    async fn commit(
        &self,
        database: &Database,
        _: &ConversationKey,
        intent: IntentOutcome,
    ) -> Result<Commit<Self::Done>, Error> {
        database.import(self.of, self.part, self.last, intent).await
    }
}

impl ConversationStore {
    /// Stores a part of an exported conversation: messages in the order of their positions, all or none, and with the
    /// first part the conversation. Several parts come one after the other, the last one marked. What is stored already
    /// is not stored again; a conversation that has a higher version here keeps its title and metadata.
    ///
    /// Readers of the cache see it as they see any write, but nothing of it is put there: what is imported may be much,
    /// and most of it nobody reads. A cached copy is dropped.
    ///
    /// # Errors
    /// [`Error::Invalid`] where positions do not ascend or go beyond the conversation's; [`Error::MessageConflict`]
    /// where a position or an id is taken by another message; [`Error::ConversationDeleted`],
    /// [`Error::DatabaseUnavailable`], [`Error::OutcomeUnknown`] or [`Error::Database`]. All of these stored nothing, but
    /// for an unknown outcome; any part may be tried again.
    pub async fn import(
        &self,
        of: &ExportedConversation,
        part: &[ExportedMessage],
        last: bool,
    ) -> Result<Imported, Error> {
        of.check()?;
        check_positions(of, part)?;
        let Committed { done, begun } =
            self.place_intent_and_commit(&of.key, &Import { of, part, last }).await?;
        let database::Imported { stored, version, duplicate } = done;
        let cache_update = match begun {
            None => self.invalidate_now(&of.key, version).await,
            Some(begun) if duplicate => {
                self.withdraw(&of.key, Some(&begun)).await;
                CacheUpdate::Applied
            }
            Some(_) => {
                let dropped = self.cache.invalidate(&of.key).await;
                let is_dropped = report(&of.key, "the intent of an import stays", dropped);
                if is_dropped { CacheUpdate::Applied } else { CacheUpdate::Pending }
            }
        };
        Ok(Imported { stored, changed: !duplicate, cache_update })
    }
}

fn check_positions(of: &ExportedConversation, part: &[ExportedMessage]) -> Result<(), Error> {
    let mut ids = std::collections::HashSet::new();
    let mut before = 0;
    for record in part {
        if record.seq <= before || record.seq > of.last_seq {
            return Err(Problem::OutOfRange { min: before + 1, max: of.last_seq }.of("seq").into());
        }
        if !ids.insert(record.id()) {
            return Err(Problem::RepeatedId.of("id").into());
        }
        before = record.seq;
    }
    Ok(())
}
