//! The erasure of everything that an owner has.
//!
//! It is hidden at once, as deletions are: write intents in the cache, a commit, and then entries are dropped from the cache; a thousand
//! conversations with each commit, during which the intents of the next are placed. The sweep removes what is hidden, and goes on where
//! whoever asked for it is gone.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

use crate::cache::{Begun, Intent};
use crate::database::{Hidden, ToErase};
use crate::types::conversation::{ConversationKey, OwnerId};
use crate::types::erasure::{Erasure, OwnerHash, OwnerStats};
use crate::types::error::{CacheError, Error};

use super::write::report;
use super::{ConversationIndex, ConversationStore};

/// How many conversations are listed at a time.
const ROUND: i32 = 10_000;
/// How many one commit hides: few enough for the time that a statement has.
const COMMIT: usize = 1_000;
/// How many commands are under way at a time.
const PARALLEL: usize = 64;

impl ConversationIndex {
    /// What an owner has, and the last erasure of it.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn owner(&self, owner: &OwnerId) -> Result<(OwnerStats, Option<Erasure>), Error> {
        Ok((self.database.owner_stats(owner).await?, self.database.last_erasure(owner).await?))
    }

    /// Every owner who has anything that an erasure would erase: deleted conversations, too.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn owners(&self) -> Result<Vec<OwnerId>, Error> {
        self.database.owners().await
    }

    /// The receipts of all erasures, the oldest first.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn erasures(&self) -> Result<Vec<Erasure>, Error> {
        self.database.erasures().await
    }
}

impl ConversationStore {
    /// Erases everything that an owner has: when this returns, nobody can read any of it, and nothing that is under way brings it
    /// back. The sweep removes it. `requested_by` is kept in the receipt. New conversations may be created afterwards, under other ids.
    ///
    /// # Errors
    /// [`Error::CacheUnavailable`]: nothing has changed; [`Error::ErasureUnderway`]: not all was hidden until then, and the sweep goes
    /// on; [`Error::DatabaseUnavailable`], [`Error::OutcomeUnknown`] or [`Error::Database`].
    pub async fn erase_owner(
        &self,
        owner: &OwnerId,
        requested_by: &str,
        until: Instant,
    ) -> Result<Erasure, Error> {
        let ended = self.database().erasures_ended(owner).await?;
        let first = self.begin_round(owner).await?;
        let erasure = match self.database().register_erasure(owner, requested_by, ended).await {
            Ok(erasure) => erasure,
            Err(error) => {
                self.withdraw_all(first.begun).await;
                return Err(error);
            }
        };
        // What the log says outlives a restore of the database to a time before.
        tracing::warn!(id = erasure, owner_hash = %OwnerHash::of(owner), requested_by, "an owner's data are erased");
        self.hide_all(owner, &erasure, first, until).await.map_err(|error| match error {
            // It is registered, and may have hidden some: the sweep goes on with it.
            Error::CacheUnavailable(_) | Error::CacheMoving => Error::ErasureUnderway,
            error => error,
        })?;
        let receipt = self.database().last_erasure(owner).await?;
        receipt.ok_or(Error::Database(sqlx::Error::RowNotFound))
    }

    /// Hides what an erasure is to hide, from a round on that has begun.
    async fn hide_all(
        &self,
        owner: &OwnerId,
        erasure: &str,
        first: Round,
        until: Instant,
    ) -> Result<(), Error> {
        let mut round = first;
        loop {
            self.hide_round(owner, erasure, round).await?;
            // Also true where it had ended: what was created since is not its business.
            if self.database().end_hiding(owner, erasure).await? {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(Error::ErasureUnderway);
            }
            round = self.begin_round(owner).await?;
        }
    }

    /// Hides a round, so many with each commit; meanwhile the cache learns of the last commit, and gets the intents of the next.
    async fn hide_round(&self, owner: &OwnerId, erasure: &str, round: Round) -> Result<(), Error> {
        let Round { begun: mut current, mut rest } = round;
        let mut committed = None;
        while !current.is_empty() {
            let (hidden, next, ()) = tokio::join!(
                self.hide(owner, erasure, &current),
                self.begin_all(rest.by_ref().take(COMMIT)),
                self.settle(committed.take())
            );
            match hidden {
                Ok(hidden) => committed = Some((current, hidden)),
                Err(error) => {
                    // Whether it was committed may be unknown: then the intents stay.
                    if !matches!(error, Error::OutcomeUnknown(_)) {
                        self.withdraw_all(current).await;
                    }
                    self.withdraw_all(next.unwrap_or_default()).await;
                    return Err(error);
                }
            }
            match next {
                Ok(next) => current = next,
                Err(error) => {
                    self.settle(committed).await;
                    return Err(error.into());
                }
            }
        }
        self.settle(committed).await;
        Ok(())
    }

    /// Goes on with erasures whose hiding has not ended.
    pub(super) async fn continue_erasures(&self, until: Instant) -> Result<(), Error> {
        for (owner, erasure) in self.database().owners_being_erased(100).await? {
            if Instant::now() >= until {
                break;
            }
            let first = self.begin_round(&owner).await?;
            match self.hide_all(&owner, &erasure, first, until).await {
                // One that takes long does not keep the others waiting.
                Err(Error::ErasureUnderway) => {}
                done => done?,
            }
        }
        Ok(())
    }

    /// Lists the next conversations, and places the intents of the first of them.
    async fn begin_round(&self, owner: &OwnerId) -> Result<Round, Error> {
        let mut rest = self.database().conversations_to_erase(owner, ROUND).await?.into_iter();
        let begun = self.begin_all(rest.by_ref().take(COMMIT)).await?;
        Ok(Round { begun, rest })
    }

    /// Places the intents of conversations: of all, or of none.
    async fn begin_all(
        &self,
        conversations: impl Iterator<Item = ToErase>,
    ) -> Result<Vec<Begin>, CacheError> {
        let begun: Vec<_> = stream::iter(conversations)
            .map(async |conversation: ToErase| {
                // One that was deleted has none: nobody is answered it from the cache.
                let Some(epoch) = conversation.epoch else { return Ok((conversation.key, None)) };
                let begun = self.cache.begin(&conversation.key, Intent::new(), Some(epoch), None).await?;
                Ok((conversation.key, Some(begun)))
            })
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        let (done, failed): (Vec<_>, Vec<_>) = begun.into_iter().partition(Result::is_ok);
        let done: Vec<Begin> = done.into_iter().filter_map(Result::ok).collect();
        if let Some(Err(error)) = failed.into_iter().next() {
            self.withdraw_all(done).await;
            return Err(error);
        }
        Ok(done)
    }

    async fn hide(&self, owner: &OwnerId, erasure: &str, round: &[Begin]) -> Result<Hidden, Error> {
        let conversations: Vec<_> =
            round.iter().map(|(key, begun)| (&key.id, begun.as_ref().and_then(Begun::epoch))).collect();
        self.database().hide(owner, erasure, &conversations).await
    }

    /// Tells the cache what came of a commit, if there was one.
    async fn settle(&self, committed: Option<(Vec<Begin>, Hidden)>) {
        let Some((round, Hidden { hidden, refused })) = committed else { return };
        let refused: HashMap<_, _> = refused.into_iter().collect();
        let hidden: HashSet<_> = hidden.into_iter().collect();
        stream::iter(round)
            .for_each_concurrent(PARALLEL, async |(key, begun)| {
                let Some(begun) = begun else { return };
                if hidden.contains(&key.id) {
                    // Whoever fills it from now on finds nothing in Postgres, and whoever began before is not taken for valid without
                    // its lease or intent: so the entry goes at once, and with it the id. Where it stays, readers meet the intent.
                    report(&key, "an erased conversation is still cached", self.cache.invalidate(&key).await);
                    return;
                }
                // It gets another intent with the next round, or is no longer to be hidden.
                if let Some(epoch) = refused.get(&key.id) {
                    self.drop_if_ahead(&key, &begun, Some(*epoch)).await;
                }
                self.withdraw(&key, Some(&begun)).await;
            })
            .await;
    }

    async fn withdraw_all(&self, begun: impl IntoIterator<Item = Begin>) {
        stream::iter(begun)
            .for_each_concurrent(PARALLEL, async |(key, begun)| self.withdraw(&key, begun.as_ref()).await)
            .await;
    }
}

/// A conversation, and its intent if it has one.
type Begin = (ConversationKey, Option<Begun>);

/// Conversations that are listed to be hidden.
struct Round {
    /// The first of them, whose intents stand.
    begun: Vec<Begin>,
    rest: std::vec::IntoIter<ToErase>,
}
