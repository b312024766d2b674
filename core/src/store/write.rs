//! Writes: fence, commit, publish.

mod import;

use crate::cache::{Begun, CacheError, Fence, Stored};
use crate::conversation::{ConversationId, ConversationKey, OwnerId};
use crate::database::{self, Commit, Database, Expects, Opening};
use crate::error::Error;
use crate::message::{Batch, Message, MessageId};
use crate::snapshot::{Fencing, Snapshot};

use super::{Added, Change, Changed, ConversationStore, NewConversation, Told};

pub use import::Imported;

/// How often a commit may be refused before the write stops asking the cache and defers. Each refusal means that
/// somebody else took an epoch in between.
const ATTEMPTS: u32 = 10;

/// What all writes have in common: a commit that may be tried under several fences.
trait Write: Sync {
    /// What the commit answers.
    type Done: Send;
    /// What is done when no fence can be set.
    const UNFENCED: Unfenced;

    fn commit(
        &self,
        database: &Database,
        key: &ConversationKey,
        fencing: Fencing,
    ) -> impl Future<Output = Result<Commit<Self::Done>, Error>> + Send;
}

/// What a write does when the cache cannot be told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unfenced {
    /// It is done; readers of the cache see it after the next write or the next sweep.
    Defer,
    /// It is not done.
    Refuse,
}

struct Add<'a> {
    batch: &'a Batch,
    opening: Opening,
}

impl Write for Add<'_> {
    type Done = database::Added;
    const UNFENCED: Unfenced = Unfenced::Defer;

    async fn commit(
        &self,
        database: &Database,
        key: &ConversationKey,
        fencing: Fencing,
    ) -> Result<Commit<Self::Done>, Error> {
        database.add(key, self.batch, &self.opening, fencing).await
    }
}

struct Update<'a>(&'a Change);

impl Write for Update<'_> {
    type Done = Option<Snapshot>;
    const UNFENCED: Unfenced = Unfenced::Defer;

    async fn commit(
        &self,
        database: &Database,
        key: &ConversationKey,
        fencing: Fencing,
    ) -> Result<Commit<Self::Done>, Error> {
        database.update(key, self.0, fencing).await
    }
}

struct DeleteMessage<'a>(&'a MessageId);

impl Write for DeleteMessage<'_> {
    type Done = Option<Snapshot>;
    const UNFENCED: Unfenced = Unfenced::Refuse;

    async fn commit(
        &self,
        database: &Database,
        key: &ConversationKey,
        fencing: Fencing,
    ) -> Result<Commit<Self::Done>, Error> {
        database.delete_message(key, self.0.as_str(), fencing).await
    }
}

struct Delete;

impl Write for Delete {
    type Done = Option<i64>;
    const UNFENCED: Unfenced = Unfenced::Refuse;

    async fn commit(
        &self,
        database: &Database,
        key: &ConversationKey,
        fencing: Fencing,
    ) -> Result<Commit<Self::Done>, Error> {
        database.delete(key, fencing).await
    }
}

/// A commit, and the fence it was made under; none when the cache could not be told.
struct Fenced<T> {
    done: T,
    begun: Option<Begun>,
}

impl ConversationStore {
    /// Creates a conversation, with the messages it begins with if there are any.
    ///
    /// # Errors
    /// [`Error::ConversationExists`], [`Error::ConversationDeleted`] where its id was in use, or as
    /// [`ConversationStore::add`].
    pub async fn create(&self, owner: OwnerId, new: NewConversation) -> Result<Added, Error> {
        let id = match (new.id, new.messages.idempotency_key()) {
            (Some(id), _) => id,
            (None, Some(key)) => key.conversation_id(&owner),
            (None, None) => ConversationId::generate(),
        };
        let opening = Opening { fields: new.fields, expects: Expects::New };
        self.store(&ConversationKey { owner, id }, Add { batch: &new.messages, opening }).await
    }

    /// Adds messages to a conversation, all or none, creating it if it is new. A message whose id was stored before
    /// with the same body is not stored again, but answered; so is a batch under an idempotency key as a whole.
    ///
    /// # Errors
    /// [`Error::ConversationDeleted`], [`Error::MessageConflict`], [`Error::IdempotencyConflict`],
    /// [`Error::DatabaseUnavailable`], [`Error::OutcomeUnknown`] or [`Error::Database`]. A cache that fails does not fail an add.
    pub async fn add(&self, key: &ConversationKey, batch: &Batch) -> Result<Added, Error> {
        self.store(key, Add { batch, opening: Opening::default() }).await
    }

    /// The same, to a conversation that exists.
    ///
    /// # Errors
    /// [`Error::NotFound`], or as [`ConversationStore::add`].
    pub async fn append(&self, key: &ConversationKey, batch: &Batch) -> Result<Added, Error> {
        let opening = Opening { expects: Expects::Existing, ..Opening::default() };
        self.store(key, Add { batch, opening }).await
    }

    async fn store(&self, key: &ConversationKey, add: Add<'_>) -> Result<Added, Error> {
        let Fenced { done, begun } = self.fence_and_commit(key, &add).await?;
        let database::Added { messages, snapshot, duplicate } = done;
        let news = if duplicate { &[] } else { messages.as_slice() };
        let told = self.publish(key, begun, &snapshot, news).await;
        Ok(Added { conversation: snapshot.conversation, messages, told })
    }

    /// Changes a conversation's title and metadata.
    ///
    /// # Errors
    /// [`Error::NotFound`], or as [`ConversationStore::add`].
    pub async fn update(&self, key: &ConversationKey, change: &Change) -> Result<Changed, Error> {
        let Fenced { done, begun } = self.fence_and_commit(key, &Update(change)).await?;
        let snapshot = self.found(key, done, begun.as_ref()).await?;
        let told = self.publish(key, begun, &snapshot, &[]).await;
        Ok(Changed { conversation: snapshot.conversation, told })
    }

    /// Deletes one message from both stores. The others keep their positions.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such message, or as [`ConversationStore::delete`].
    pub async fn delete_message(&self, key: &ConversationKey, id: &MessageId) -> Result<Changed, Error> {
        let Fenced { done, begun } = self.fence_and_commit(key, &DeleteMessage(id)).await?;
        let snapshot = self.found(key, done, begun.as_ref()).await?;
        let version = snapshot.conversation.version;
        let told = match begun {
            Some(begun) => self.publish_deletion(key, &begun, &snapshot).await,
            None => self.settle(key, version).await,
        };
        Ok(Changed { conversation: snapshot.conversation, told })
    }

    /// Only a certified window is known to be without the message. The commit noted a debt, so that content which may
    /// still be cached goes even if nobody reads it.
    async fn publish_deletion(&self, key: &ConversationKey, begun: &Begun, snapshot: &Snapshot) -> Told {
        let version = snapshot.conversation.version;
        match self.cache.publish(key, begun, snapshot, &[]).await {
            Ok(Stored::Certified) => {
                self.forget_debt(key, version).await;
                Told::Published
            }
            Ok(_) => self.settle(key, version).await,
            Err(error) => {
                report::<()>(key, "cannot publish to the cache", Err(error));
                Told::Fenced
            }
        }
    }

    /// What a commit found; if nothing, its fence comes down.
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

    /// Brings a commit into the cache, or pays the debt that it noted.
    async fn publish(
        &self,
        key: &ConversationKey,
        begun: Option<Begun>,
        snapshot: &Snapshot,
        news: &[Message],
    ) -> Told {
        let Some(begun) = begun else { return self.settle(key, snapshot.conversation.version).await };
        let published = self.cache.publish(key, &begun, snapshot, news).await;
        if report(key, "cannot publish to the cache", published) { Told::Published } else { Told::Fenced }
    }

    /// Deletes a conversation from both stores; what the cache knows of it. Done again, it does no more than it did.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the owner never had it; [`Error::CacheUnavailable`], since what is deleted must not
    /// stay readable in a cache that cannot be told; [`Error::DatabaseUnavailable`], [`Error::OutcomeUnknown`] or
    /// [`Error::Database`].
    pub async fn delete(&self, key: &ConversationKey) -> Result<Told, Error> {
        let Fenced { done, begun } = self.fence_and_commit(key, &Delete).await?;
        let version = self.found(key, done, begun.as_ref()).await?;
        if report(key, "cannot mark the conversation deleted", self.cache.bury(key, version).await) {
            self.forget_debt(key, version).await;
            return Ok(Told::Published);
        }
        // A full cache can still forget; failing that, the debt that the delete noted stands.
        Ok(self.settle(key, version).await)
    }

    /// Sets a fence and commits under it, again under another epoch for as long as Postgres refuses.
    async fn fence_and_commit<W: Write>(
        &self,
        key: &ConversationKey,
        write: &W,
    ) -> Result<Fenced<W::Done>, Error> {
        // While the fence is set: of a new instance, connecting is most of its first answer.
        self.database().prepare();
        let mut fence = Fence::new();
        let (mut refused_epoch, mut previous) = (None, None::<Begun>);
        for _ in 0..ATTEMPTS {
            let over = previous.as_ref().map(Begun::fence);
            let begun = match self.cache.begin(key, fence.clone(), refused_epoch, over).await {
                Ok(begun) => begun,
                Err(error) => return self.commit_unfenced(key, write, error).await,
            };
            match write.commit(self.database(), key, begun.fencing()).await {
                Ok(Commit::Done(done)) => return Ok(Fenced { done, begun: Some(begun) }),
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
            fence = begun.fence().next();
            previous = Some(begun);
        }
        let contended = CacheError::Refused("its epoch changed at every attempt".into());
        self.commit_unfenced(key, write, contended).await
    }

    /// Commits although no fence could be set. Either the commit leaves a debt, or the cache is cleared first.
    async fn commit_unfenced<W: Write>(
        &self,
        key: &ConversationKey,
        write: &W,
        error: CacheError,
    ) -> Result<Fenced<W::Done>, Error> {
        tracing::warn!(conversation = key.id.as_str(), %error, "cannot fence the cache");
        if W::UNFENCED == Unfenced::Refuse {
            // A full cache takes no fence, but lets go of what it holds.
            self.cache.invalidate(key).await.map_err(|_| error)?;
        }
        match write.commit(self.database(), key, Fencing::Deferred).await? {
            Commit::Done(done) => Ok(Fenced { done, begun: None }),
            Commit::Refused(_) => Err(Error::Database(sqlx::Error::RowNotFound)),
        }
    }

    /// The entry bears an epoch that Postgres has not reached: it is from before a restore.
    async fn drop_if_ahead(&self, key: &ConversationKey, begun: &Begun, row_epoch: Option<i64>) {
        if begun.epoch() > row_epoch {
            report(
                key,
                "cannot drop an entry ahead of postgres",
                self.cache.drop_ahead(key, begun.epoch()).await,
            );
        }
    }

    async fn withdraw(&self, key: &ConversationKey, begun: Option<&Begun>) {
        if let Some(begun) = begun {
            report(key, "cannot withdraw a fence", self.cache.withdraw(key, begun.fence()).await);
        }
    }

    /// Pays a debt at once if the cache allows it: after the commit, so that nothing older can follow.
    pub(super) async fn settle(&self, key: &ConversationKey, version: i64) -> Told {
        let dropped = self.cache.invalidate(key).await;
        if !report(key, "the cache stays behind until it is swept", dropped) {
            return Told::Owed;
        }
        self.forget_debt(key, version).await;
        Told::Published
    }

    async fn forget_debt(&self, key: &ConversationKey, version: i64) {
        if let Err(error) = self.database().settle_debt(key, version).await {
            tracing::warn!(conversation = key.id.as_str(), %error, "a paid debt stays on the list");
        }
    }
}

/// Whether a step was done whose failure does not fail the operation.
fn report<T>(key: &ConversationKey, failure: &'static str, step: Result<T, CacheError>) -> bool {
    step.inspect_err(|error| tracing::warn!(conversation = key.id.as_str(), %error, "{failure}")).is_ok()
}
