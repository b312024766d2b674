//! Background cleanup: pending invalidations, purges of deleted conversations, intents of dead writers, and an audit of the
//! cache.

use crate::types::read::Source;
use crate::types::write::CacheUpdate;
use std::time::Duration;

use tokio::time::Instant;

use crate::cache::{OrphanedIntents, ScanResult};
use crate::database::PendingInvalidation;
use crate::types::error::Error;

use super::{Audit, ConversationStore};

/// How many pending invalidations are fetched at a time.
const BATCH: i64 = 100;
/// How many messages one transaction removes: few enough to be quick and to hold no lock for long.
const PURGE: i32 = 5_000;

/// What a sweep did, and left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Conversations whose cached copy was dropped.
    pub invalidations_drained: usize,
    /// Conversations that had expired and were deleted.
    pub conversations_expired: usize,
    /// Conversations of which the erasure has left nothing.
    pub conversations_erased: usize,
    /// Messages of deleted conversations that were removed.
    pub messages_purged: i64,
    /// Intents taken away that dead writers had left.
    pub intents_cleared: usize,
    /// Cache servers that could not be gone through: intents of dead writers stay there until somebody reads.
    pub servers_not_swept: usize,
    /// Whether there was more to do than there was time.
    pub unfinished: bool,
    /// Conversations whose cached copy may still be behind; 10,000 are that many or more.
    pub pending_invalidations: u64,
    /// How long the oldest of these has been.
    pub oldest_pending_invalidation: Duration,
    /// How what the cache would have answered compares with Postgres.
    pub audit: Audit,
}

impl ConversationStore {
    /// Drops cached copies that may be stale, deletes what has expired, removes the messages of deleted conversations, then scans a part of the cache
    /// for intents of dead writers and audits some of it, the next part the next time; for about as long as `budget`. It may
    /// run several times at once.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Database`]. A cache that cannot be reached leaves its pending invalidations and intents
    /// standing.
    pub async fn sweep(&self, budget: Duration) -> Result<Swept, Error> {
        let until = Instant::now() + budget;
        let mut swept = Swept::default();
        self.drain_pending_invalidations(&mut swept, until).await?;
        self.continue_erasures(until).await.or_else(|error| later(error, &mut swept))?;
        // None of these keeps those behind it from having a turn, however much there is to do.
        self.expire(&mut swept, half_way(until)).await?;
        self.purge(&mut swept, half_way(until)).await?;
        self.forget_erased(&mut swept, until).await?;
        self.expire_keys(until).await?;
        let ScanResult { orphaned, sampled, servers_failed } =
            self.cache.scan(until).await.unwrap_or_else(|error| {
                tracing::error!(%error, "dead intents stay until their conversations are read");
                ScanResult { servers_failed: 1, ..ScanResult::default() }
            });
        swept.servers_not_swept = servers_failed;
        self.clear_intents(orphaned, &mut swept, until).await?;
        for key in sampled {
            if Instant::now() >= until {
                break;
            }
            self.audit(&key, &mut swept.audit).await?;
        }
        (swept.pending_invalidations, swept.oldest_pending_invalidation) =
            self.database().pending_invalidations().await?;
        Ok(swept)
    }

    async fn drain_pending_invalidations(&self, swept: &mut Swept, until: Instant) -> Result<(), Error> {
        loop {
            let pending_invalidations = self.database().oldest_pending_invalidations(BATCH).await?;
            let fetched = pending_invalidations.len();
            for PendingInvalidation { key, version } in pending_invalidations {
                if Instant::now() >= until
                    || self.invalidate_now(&key, version).await == CacheUpdate::Deferred
                {
                    swept.unfinished = true;
                    return Ok(());
                }
                swept.invalidations_drained += 1;
            }
            if i64::try_from(fetched).is_ok_and(|fetched| fetched < BATCH) {
                return Ok(());
            }
        }
    }

    /// Deletes conversations that have expired, as their owners would.
    async fn expire(&self, swept: &mut Swept, until: Instant) -> Result<(), Error> {
        loop {
            let expired = self.database().expired(BATCH).await?;
            let before = swept.conversations_expired;
            for key in &expired {
                if Instant::now() >= until {
                    swept.unfinished = true;
                    return Ok(());
                }
                match self.delete_expired(key).await {
                    Ok(_) => swept.conversations_expired += 1,
                    // It has changed since.
                    Err(Error::NotFound) => {}
                    Err(error @ (Error::CacheUnavailable(_) | Error::CacheMoving)) => {
                        return later(error, swept);
                    }
                    Err(error) => later(error, swept)?,
                }
            }
            if expired.is_empty() || swept.conversations_expired == before {
                return Ok(());
            }
        }
    }

    async fn purge(&self, swept: &mut Swept, until: Instant) -> Result<(), Error> {
        loop {
            let waiting = self.database().waiting_purges(BATCH).await?;
            let mut progressed = false;
            let all = i64::try_from(waiting.len()).is_ok_and(|waiting| waiting < BATCH);
            for purge in waiting {
                loop {
                    let removed = self.database().purge(purge, PURGE).await.unwrap_or_else(|error| {
                        // One that cannot be purged does not keep the others waiting.
                        tracing::error!(shard = purge.0, conversation_key = purge.1, %error, "cannot purge");
                        swept.unfinished = true;
                        None
                    });
                    swept.messages_purged += removed.unwrap_or(0);
                    progressed |= removed.is_some();
                    if Instant::now() >= until && (removed.is_some() || swept.unfinished) {
                        swept.unfinished = true;
                        return Ok(());
                    }
                    if removed.is_none() {
                        break;
                    }
                }
            }
            // Otherwise others are at what is left.
            if all || !progressed {
                return Ok(());
            }
        }
    }

    /// Removes the last of what was erased and is purged: first the entries, whose names are the ids, then the rows.
    async fn forget_erased(&self, swept: &mut Swept, until: Instant) -> Result<(), Error> {
        loop {
            let purged = self.database().purged(self.settles, BATCH).await?;
            if purged.is_empty() {
                return Ok(());
            }
            for (shard, row, key) in purged {
                if Instant::now() >= until {
                    swept.unfinished = true;
                    return Ok(());
                }
                if let Some(key) = &key
                    && let Err(error) = self.cache.invalidate(key).await
                {
                    return later(error.into(), swept);
                }
                self.database().forget_erased(shard, row).await?;
                swept.conversations_erased += usize::from(key.is_some());
            }
        }
    }

    /// Removes the keys of requests to owners' own records, which nothing else does, when nobody tries them again.
    async fn expire_keys(&self, until: Instant) -> Result<(), Error> {
        while Instant::now() < until {
            let expired = self.database().expire_keys_of_owners(BATCH).await?;
            if i64::try_from(expired).is_ok_and(|expired| expired < BATCH) {
                break;
            }
        }
        Ok(())
    }

    /// Reads what dead writers left as anyone would who came by: that takes an epoch, so that none of their commits can
    /// follow, and brings the entry up to date.
    async fn clear_intents(
        &self,
        orphaned: Vec<OrphanedIntents>,
        swept: &mut Swept,
        until: Instant,
    ) -> Result<(), Error> {
        for OrphanedIntents { key, intents } in orphaned {
            if Instant::now() >= until {
                swept.unfinished = true;
                break;
            }
            if let Source::Miss { stored: true, .. } = self.get(&key, None).await?.source {
                swept.intents_cleared += intents;
            }
        }
        Ok(())
    }
}

/// The middle of the time that is left.
fn half_way(until: Instant) -> Instant {
    let now = Instant::now();
    now + until.saturating_duration_since(now) / 2
}

/// What cannot be done now waits for the next sweep. Nobody can read it meanwhile.
fn later(error: Error, swept: &mut Swept) -> Result<(), Error> {
    match error {
        Error::CacheUnavailable(_)
        | Error::CacheMoving
        | Error::ErasureUnderway
        | Error::DatabaseUnavailable(_)
        | Error::OutcomeUnknown(_) => {
            tracing::error!(%error, "a deletion waits for the next sweep");
            swept.unfinished = true;
            Ok(())
        }
        error => Err(error),
    }
}
