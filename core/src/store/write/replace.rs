//! Replaces the end of a conversation: an edit, a compaction, a clearing, taking back the last messages.

use crate::database::{self, Commit, Database};
use crate::types::conversation::ConversationKey;
use crate::types::error::Error;
use crate::types::message::Batch;
use crate::types::snapshot::IntentOutcome;
use crate::types::write::Replaced;

use super::{Committed, ConversationStore, WithoutIntent, Write};

struct Replace<'a> {
    after: i64,
    batch: &'a Batch,
}

impl Write for Replace<'_> {
    type Done = Option<database::Replaced>;
    const WITHOUT_INTENT: WithoutIntent = WithoutIntent::Refuse;

    async fn commit(
        &self,
        database: &Database,
        key: &ConversationKey,
        intent: IntentOutcome,
    ) -> Result<Commit<Self::Done>, Error> {
        database.replace(key, self.after, self.batch, intent).await
    }
}

impl ConversationStore {
    /// Replaces all messages after a position by others, in one commit: there may be none, so that the end is only cut off, and
    /// position 0 clears the conversation. The new ones get positions after the last that was ever given out. Where these
    /// messages follow the position already, under ids of the caller's, this is a retry and changes nothing; if the caller names a
    /// version, only if nothing else follows.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] where the position is beyond the last one; [`Error::MessageStays`] where a new
    /// message has the id of one that stays; or as [`ConversationStore::add`] and [`ConversationStore::delete`].
    pub async fn replace(&self, key: &ConversationKey, after: i64, batch: &Batch) -> Result<Replaced, Error> {
        self.index.check_sizes(batch.records())?;
        let Committed { done, begun } = self.place_intent_and_commit(key, &Replace { after, batch }).await?;
        let database::Replaced { messages, records, removed, snapshot, again } =
            self.found(key, done, begun.as_ref()).await?;
        let cache_update = self.publish_removal(key, begun, &snapshot, again).await;
        Ok(Replaced { conversation: snapshot.conversation, messages, records, removed, cache_update })
    }
}
