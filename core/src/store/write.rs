//! Writes: intent, commit, publish.

mod import;
mod replace;

use crate::cache::{Begun, Intent, Stored};
use crate::database::{self, AddKind, AddOptions, Commit, Database, MessageDeletion};
use crate::types::conversation::{ConversationKey, OwnerId};
use crate::types::error::CacheError;
use crate::types::error::Error;
use crate::types::message::{Batch, Message, MessageId};
use crate::types::precondition::Precondition;
use crate::types::snapshot::{IntentOutcome, Snapshot};
use crate::types::write::{Added, CacheUpdate, Change, Changed, NewConversation};

use super::ConversationStore;

pub use import::Imported;

/// How often a commit may be refused before the write stops asking the cache and defers. Each refusal means that
/// somebody else took an epoch in between.
const ATTEMPTS: u32 = 10;

/// What all writes have in common: a commit that may be tried under several intents.
trait Write: Sync {
    /// What the commit answers.
    type Done: Send;
    /// What is done when no intent can be placed.
    const WITHOUT_INTENT: WithoutIntent;

    fn commit(
        &self,
        database: &Database,
        key: &ConversationKey,
        intent: IntentOutcome,
    ) -> impl Future<Output = Result<Commit<Self::Done>, Error>> + Send;
}

/// What a write does when no write intent can be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WithoutIntent {
    /// It is done; readers of the cache see it after the next write or the next sweep.
    Defer,
    /// It is not done.
    Refuse,
}

struct Add<'a> {
    batch: &'a Batch,
    options: AddOptions,
}

impl Write for Add<'_> {
    type Done = database::Added;
    const WITHOUT_INTENT: WithoutIntent = WithoutIntent::Defer;

    async fn commit(
        &self,
        database: &Database,
        key: &ConversationKey,
        intent: IntentOutcome,
    ) -> Result<Commit<Self::Done>, Error> {
        database.add(key, self.batch, &self.options, intent).await
    }
}

struct Update<'a>(&'a Change);

impl Write for Update<'_> {
    type Done = Option<Snapshot>;
    const WITHOUT_INTENT: WithoutIntent = WithoutIntent::Defer;

    async fn commit(
        &self,
        database: &Database,
        key: &ConversationKey,
        intent: IntentOutcome,
    ) -> Result<Commit<Self::Done>, Error> {
        database.update(key, self.0, intent).await
    }
}

struct DeleteMessage<'a>(&'a MessageId, Precondition);

impl Write for DeleteMessage<'_> {
    type Done = Option<MessageDeletion>;
    const WITHOUT_INTENT: WithoutIntent = WithoutIntent::Refuse;

    async fn commit(
        &self,
        database: &Database,
        key: &ConversationKey,
        intent: IntentOutcome,
    ) -> Result<Commit<Self::Done>, Error> {
        database.delete_message(key, self.0.as_str(), self.1, intent).await
    }
}

struct Delete {
    precondition: Precondition,
    if_expired: bool,
}

impl Write for Delete {
    type Done = Option<i64>;
    const WITHOUT_INTENT: WithoutIntent = WithoutIntent::Refuse;

    async fn commit(
        &self,
        database: &Database,
        key: &ConversationKey,
        intent: IntentOutcome,
    ) -> Result<Commit<Self::Done>, Error> {
        database.delete(key, self.precondition, self.if_expired, intent).await
    }
}

/// A commit, and the intent it was made under; none when none could be placed.
struct Committed<T> {
    done: T,
    begun: Option<Begun>,
}

impl ConversationStore {
    /// Creates a conversation, with the messages it begins with if there are any.
    ///
    /// # Errors
    /// [`Error::ConversationExists`], [`Error::ConversationDeleted`] where its id was in use; [`Error::OriginNotFound`],
    /// [`Error::OriginTooLong`] or [`Error::Invalid`] of what it is to be a copy of; or as [`ConversationStore::add`].
    pub async fn create(&self, owner: OwnerId, new: NewConversation) -> Result<Added, Error> {
        let (id, new) = new.named(&owner);
        let options = AddOptions { fields: new.fields, fork: new.fork, kind: AddKind::Create };
        self.store(&ConversationKey { owner, id }, Add { batch: &new.messages, options }).await
    }

    /// Adds messages to a conversation, all or none, creating it if it is new. A message whose id was stored before
    /// with the same body is not stored again, but answered; so is a batch under an idempotency key as a whole.
    ///
    /// # Errors
    /// [`Error::VersionMismatch`], [`Error::ConversationDeleted`], [`Error::MessageConflict`], [`Error::IdempotencyConflict`],
    /// [`Error::DatabaseUnavailable`], [`Error::OutcomeUnknown`] or [`Error::Database`]. A cache that fails does not fail an add.
    pub async fn add(&self, key: &ConversationKey, batch: &Batch) -> Result<Added, Error> {
        self.store(key, Add { batch, options: AddOptions::default() }).await
    }

    /// The same, to a conversation that exists.
    ///
    /// # Errors
    /// [`Error::NotFound`], or as [`ConversationStore::add`].
    pub async fn append(&self, key: &ConversationKey, batch: &Batch) -> Result<Added, Error> {
        let options = AddOptions { kind: AddKind::Append, ..AddOptions::default() };
        self.store(key, Add { batch, options }).await
    }

    async fn store(&self, key: &ConversationKey, add: Add<'_>) -> Result<Added, Error> {
        self.index.check_sizes(add.batch.records())?;
        let Committed { done, begun } = self.place_intent_and_commit(key, &add).await?;
        let database::Added { messages, records, snapshot, duplicate } = done;
        let news = if duplicate { &[] } else { messages.as_slice() };
        let cache_update = self.publish(key, begun, &snapshot, news).await;
        Ok(Added { conversation: snapshot.conversation, messages, records, cache_update })
    }

    /// Changes a conversation's title and metadata.
    ///
    /// # Errors
    /// [`Error::NotFound`], or as [`ConversationStore::add`].
    pub async fn update(&self, key: &ConversationKey, change: &Change) -> Result<Changed, Error> {
        let Committed { done, begun } = self.place_intent_and_commit(key, &Update(change)).await?;
        let snapshot = self.found(key, done, begun.as_ref()).await?;
        let cache_update = self.publish(key, begun, &snapshot, &[]).await;
        Ok(Changed { conversation: snapshot.conversation, cache_update })
    }

    /// Deletes one message from both stores. The others keep their positions. Done again, it answers the same.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there never was such a message, or as [`ConversationStore::delete`].
    pub async fn delete_message(
        &self,
        key: &ConversationKey,
        id: &MessageId,
        precondition: Precondition,
    ) -> Result<Changed, Error> {
        let Committed { done, begun } =
            self.place_intent_and_commit(key, &DeleteMessage(id, precondition)).await?;
        let MessageDeletion { snapshot, again } = self.found(key, done, begun.as_ref()).await?;
        let cache_update = self.publish_removal(key, begun, &snapshot, again).await;
        Ok(Changed { conversation: snapshot.conversation, cache_update })
    }

    /// Brings a commit that took messages away into the cache; `again`: nothing was committed.
    async fn publish_removal(
        &self,
        key: &ConversationKey,
        begun: Option<Begun>,
        snapshot: &Snapshot,
        again: bool,
    ) -> CacheUpdate {
        match begun {
            // What was committed before may not have reached the cache: a newer epoch invalidates what is there.
            Some(begun) if again => self.publish(key, Some(begun), snapshot, &[]).await,
            Some(begun) => self.publish_deletion(key, &begun, snapshot).await,
            None => self.invalidate_now(key, snapshot.conversation.version).await,
        }
    }

    /// Only a valid window is known to be without the message. The commit deferred an invalidation, so that content which may
    /// still be cached goes even if nobody reads it.
    async fn publish_deletion(
        &self,
        key: &ConversationKey,
        begun: &Begun,
        snapshot: &Snapshot,
    ) -> CacheUpdate {
        let version = snapshot.conversation.version;
        match self.cache.publish(key, begun, snapshot, &[]).await {
            Ok(Stored::Validated) => {
                self.clear_pending_invalidation(key, version).await;
                CacheUpdate::Applied
            }
            Ok(_) => self.invalidate_now(key, version).await,
            Err(error) => {
                report::<()>(key, "cannot publish to the cache", Err(error));
                CacheUpdate::Pending
            }
        }
    }

    /// What a commit found; if nothing, its intent comes down.
    async fn found<T>(
        &self,
        key: &ConversationKey,
        done: Option<T>,
        begun: Option<&Begun>,
    ) -> Result<T, Error> {
        if done.is_none() {
            self.withdraw(key, begun).await;
        }
        done.ok_or(Error::NotFound)
    }

    /// Brings a commit into the cache, or invalidates the cached copy.
    async fn publish(
        &self,
        key: &ConversationKey,
        begun: Option<Begun>,
        snapshot: &Snapshot,
        news: &[Message],
    ) -> CacheUpdate {
        let Some(begun) = begun else { return self.invalidate_now(key, snapshot.conversation.version).await };
        let published = self.cache.publish(key, &begun, snapshot, news).await;
        if report(key, "cannot publish to the cache", published) {
            CacheUpdate::Applied
        } else {
            CacheUpdate::Pending
        }
    }

    /// Deletes a conversation from both stores; how far that has come in the cache. Done again, it does no more than it did.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the owner never had it; [`Error::VersionMismatch`]; [`Error::CacheUnavailable`], since what is deleted must not
    /// stay readable in a cache that cannot be updated; [`Error::DatabaseUnavailable`], [`Error::OutcomeUnknown`] or
    /// [`Error::Database`].
    pub async fn delete(
        &self,
        key: &ConversationKey,
        precondition: Precondition,
    ) -> Result<CacheUpdate, Error> {
        self.delete_as(key, &Delete { precondition, if_expired: false }).await
    }

    /// Deletes a conversation that has expired; [`Error::NotFound`] where it has not, or no longer.
    pub(super) async fn delete_expired(&self, key: &ConversationKey) -> Result<CacheUpdate, Error> {
        self.delete_as(key, &Delete { precondition: Precondition::None, if_expired: true }).await
    }

    async fn delete_as(&self, key: &ConversationKey, delete: &Delete) -> Result<CacheUpdate, Error> {
        let Committed { done, begun } = self.place_intent_and_commit(key, delete).await?;
        let version = self.found(key, done, begun.as_ref()).await?;
        if report(key, "cannot mark the conversation deleted", self.cache.write_tombstone(key, version).await)
        {
            self.clear_pending_invalidation(key, version).await;
            return Ok(CacheUpdate::Applied);
        }
        // A full cache can still forget; failing that, the sweep will invalidate it.
        Ok(self.invalidate_now(key, version).await)
    }

    /// Places an intent and commits under it, again under another epoch for as long as Postgres refuses.
    async fn place_intent_and_commit<W: Write>(
        &self,
        key: &ConversationKey,
        write: &W,
    ) -> Result<Committed<W::Done>, Error> {
        // While the intent is set: of a new instance, connecting is most of its first answer.
        self.database().prepare();
        let mut intent = Intent::new();
        let (mut refused_epoch, mut previous) = (None, None::<Begun>);
        for _ in 0..ATTEMPTS {
            let over = previous.as_ref().map(Begun::intent);
            let begun = match self.cache.begin(key, intent.clone(), refused_epoch, over).await {
                Ok(begun) => begun,
                Err(error) => return self.commit_without_intent(key, write, error).await,
            };
            match write.commit(self.database(), key, begun.outcome()).await {
                Ok(Commit::Done(done)) => return Ok(Committed { done, begun: Some(begun) }),
                Ok(Commit::Refused(epoch)) => {
                    self.drop_if_ahead(key, &begun, epoch).await;
                    refused_epoch = epoch;
                }
                Err(error) => {
                    if !matches!(error, Error::OutcomeUnknown(_)) {
                        self.withdraw(key, Some(&begun)).await;
                    }
                    return Err(error);
                }
            }
            intent = begun.intent().next();
            previous = Some(begun);
        }
        let contended = CacheError::Refused("its epoch changed at every attempt".into());
        self.commit_without_intent(key, write, contended).await
    }

    /// Commits although no intent could be placed. Either the commit defers the invalidation, or the cache is cleared first.
    async fn commit_without_intent<W: Write>(
        &self,
        key: &ConversationKey,
        write: &W,
        error: CacheError,
    ) -> Result<Committed<W::Done>, Error> {
        tracing::warn!(conversation = %key.id.hashed(), %error, "cannot place a write intent");
        if W::WITHOUT_INTENT == WithoutIntent::Refuse {
            // A full cache takes no intent, but lets go of what it holds.
            self.cache.invalidate(key).await.map_err(|_| error)?;
        }
        match write.commit(self.database(), key, IntentOutcome::Deferred).await? {
            Commit::Done(done) => Ok(Committed { done, begun: None }),
            Commit::Refused(_) => Err(Error::Database(sqlx::Error::RowNotFound)),
        }
    }

    /// The entry bears an epoch that Postgres has not reached: it is from before a restore.
    pub(super) async fn drop_if_ahead(&self, key: &ConversationKey, begun: &Begun, row_epoch: Option<i64>) {
        if begun.epoch() > row_epoch {
            report(
                key,
                "cannot drop an entry ahead of postgres",
                self.cache.drop_ahead(key, begun.epoch()).await,
            );
        }
    }

    pub(super) async fn withdraw(&self, key: &ConversationKey, begun: Option<&Begun>) {
        if let Some(begun) = begun {
            report(key, "cannot withdraw an intent", self.cache.withdraw(key, begun.intent()).await);
        }
    }

    /// Invalidates the cached copy at once if the cache allows it: after the commit, so that nothing older can follow.
    pub(super) async fn invalidate_now(&self, key: &ConversationKey, version: i64) -> CacheUpdate {
        let dropped = self.cache.invalidate(key).await;
        if !report(key, "cache invalidation deferred to the sweep", dropped) {
            return CacheUpdate::Deferred;
        }
        self.clear_pending_invalidation(key, version).await;
        CacheUpdate::Applied
    }

    async fn clear_pending_invalidation(&self, key: &ConversationKey, version: i64) {
        if let Err(error) = self.database().clear_pending_invalidation(key, version).await {
            tracing::warn!(conversation = %key.id.hashed(), %error, "cannot clear a pending invalidation");
        }
    }
}

/// Whether a step was done whose failure does not fail the operation.
pub(super) fn report<T>(key: &ConversationKey, failure: &'static str, step: Result<T, CacheError>) -> bool {
    step.inspect_err(|error| tracing::warn!(conversation = %key.id.hashed(), %error, "{failure}")).is_ok()
}
