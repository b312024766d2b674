//! The erasure of everything that an owner has.
//!
//! It is hidden at once, as deletions are: write intents in the cache, a commit, and then entries are dropped from the cache; a thousand
//! conversations with each commit, during which the intents of the next are placed. The sweep removes what is hidden, and goes on where
//! whoever asked for it is gone.

use std::collections::HashSet;
use std::sync::OnceLock;

use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

use crate::cache::Intent;
use crate::database::ToErase;
use crate::types::conversation::{ConversationId, OwnerId};
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
                self.withdraw_all(&first.intent, first.begun).await;
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

    /// Hides a round, so many with each commit; meanwhile the last ones are dropped from the cache, and the next get their intents.
    async fn hide_round(&self, owner: &OwnerId, erasure: &str, round: Round) -> Result<(), Error> {
        let Round { intent, mut begun, mut rest } = round;
        let mut committed = None;
        while !begun.is_empty() {
            let (hidden, next, ()) = tokio::join!(
                self.database().hide(owner, erasure, &begun),
                self.place_intents(&intent, rest.by_ref().take(COMMIT).collect()),
                self.settle(&intent, committed.take())
            );
            match hidden {
                Ok(hidden) => committed = Some((begun, hidden)),
                Err(error) => {
                    // Whether it was committed may be unknown: then the intents stay.
                    if !matches!(error, Error::OutcomeUnknown(_)) {
                        self.withdraw_all(&intent, begun).await;
                    }
                    self.withdraw_all(&intent, next.unwrap_or_default()).await;
                    return Err(error);
                }
            }
            match next {
                Ok(next) => begun = next,
                Err(error) => {
                    self.settle(&intent, committed).await;
                    return Err(error.into());
                }
            }
        }
        self.settle(&intent, committed).await;
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
        let intent = Intent::new();
        let begun = self.place_intents(&intent, rest.by_ref().take(COMMIT).collect()).await?;
        Ok(Round { intent, begun, rest })
    }

    /// Places the intents of conversations, of all or of none, and returns the conversations.
    async fn place_intents(
        &self,
        intent: &Intent,
        conversations: Vec<ToErase>,
    ) -> Result<Vec<ToErase>, CacheError> {
        let failure = OnceLock::new();
        stream::iter(&conversations)
            .for_each_concurrent(PARALLEL, async |ToErase { key, epoch }| {
                // One that was deleted has none: nobody is answered it from the cache.
                if epoch.is_some()
                    && failure.get().is_none()
                    && let Err(error) = self.cache.place_intent(key, intent).await
                {
                    // The first of several stands for all.
                    failure.get_or_init(|| error);
                }
            })
            .await;
        match failure.into_inner() {
            None => Ok(conversations),
            Some(error) => {
                self.withdraw_all(intent, conversations).await;
                Err(error)
            }
        }
    }

    /// Drops what a commit has hidden from the cache, if there was a commit.
    async fn settle(&self, intent: &Intent, committed: Option<(Vec<ToErase>, HashSet<ConversationId>)>) {
        let Some((conversations, hidden)) = committed else { return };
        // The others get another intent with the next round, or are no longer to be hidden.
        let (hidden, others): (Vec<_>, Vec<_>) =
            conversations.into_iter().partition(|one| hidden.contains(&one.key.id));
        stream::iter(hidden)
            .for_each_concurrent(PARALLEL, async |ToErase { key, .. }| {
                // Whoever fills it from now on finds nothing in Postgres, and whoever began before is not taken for valid without
                // its lease or intent: so the entry goes at once, and with it the id. Where it stays, readers meet the intent.
                report(&key, "an erased conversation is still cached", self.cache.invalidate(&key).await);
            })
            .await;
        self.withdraw_all(intent, others).await;
    }

    async fn withdraw_all(&self, intent: &Intent, conversations: Vec<ToErase>) {
        stream::iter(conversations)
            .for_each_concurrent(PARALLEL, async |ToErase { key, epoch }| {
                if epoch.is_some() {
                    report(&key, "cannot withdraw an intent", self.cache.withdraw(&key, intent).await);
                }
            })
            .await;
    }
}

/// Conversations that are listed to be hidden.
struct Round {
    intent: Intent,
    /// The first of them, whose intents stand.
    begun: Vec<ToErase>,
    rest: std::vec::IntoIter<ToErase>,
}
