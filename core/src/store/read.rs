//! Reads: the cache first, Postgres when it has to be, and the cache warmed with what was read.

use crate::jitter::random_share;
use crate::types::read::{Miss, Read, Source, check_version};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::cache::{Cached, Lease, Lookup, Stored};
use crate::database::Found;
use crate::types::conversation::{Conversation, ConversationKey};
use crate::types::error::Error;
use crate::types::message::Message;
use crate::types::page::{Limit, MessagePage};
use crate::types::snapshot::Snapshot;

use super::ConversationStore;

/// How often a reader waits for another one to fill, twice as long each time: 0.3 to 0.75 s in all. A herd that gave up
/// sooner would keep the one that fills from being served.
const WAITS: u32 = 4;
/// How often it waits for a writer to publish.
const PENDING_WAITS: u32 = 1;

impl ConversationStore {
    /// Reads the last messages of a conversation, oldest first. `min_version` is a ticket from an earlier write or
    /// read: the answer is at least as new.
    ///
    /// # Errors
    /// [`Error::VersionAhead`], [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn recent(
        &self,
        key: &ConversationKey,
        limit: Limit,
        min_version: Option<i64>,
    ) -> Result<Read<MessagePage>, Error> {
        let Read { found, source } = self.read(key, Some(limit), min_version).await?;
        let Some(Cached { conversation, messages, .. }) = found else {
            return Ok(Read { found: None, source });
        };
        match messages {
            Some(messages) => {
                let page = page(conversation.version, messages, conversation.message_count);
                Ok(Read { found: Some(page), source })
            }
            None => self.recent_large(key, limit, min_version, source).await,
        }
    }

    /// The same of a conversation whose messages are too large to be cached all: from Postgres, as many of the newest as an
    /// answer holds.
    async fn recent_large(
        &self,
        key: &ConversationKey,
        limit: Limit,
        min_version: Option<i64>,
        source: Source,
    ) -> Result<Read<MessagePage>, Error> {
        let source = match source {
            missed @ Source::Miss { .. } => missed,
            _ => Source::Miss { reason: Miss::Large, stored: false },
        };
        let Some(newest) = self.database().newest(key, limit).await? else {
            return Ok(Read { found: None, source });
        };
        check_version(min_version, newest.version)?;
        let page = page(newest.version, newest.messages, newest.message_count);
        Ok(Read { found: Some(page), source })
    }

    /// Reads what is known of a conversation beside its messages.
    ///
    /// # Errors
    /// As [`ConversationStore::recent`].
    pub async fn get(
        &self,
        key: &ConversationKey,
        min_version: Option<i64>,
    ) -> Result<Read<Conversation>, Error> {
        Ok(self.read(key, None, min_version).await?.map(|cached| cached.conversation))
    }

    async fn read(
        &self,
        key: &ConversationKey,
        limit: Option<Limit>,
        min_version: Option<i64>,
    ) -> Result<Read<Cached>, Error> {
        let began = Instant::now();
        let read = self.read_through(key, limit, min_version).await?;
        let conversation = key.id.hashed();
        let ms = (began.elapsed().as_secs_f64() * 1e5).round() / 1e2;
        match read.source {
            Source::Hit | Source::BoundedHit => tracing::info!(%conversation, ms, "cache HIT"),
            Source::Miss { reason, stored } => {
                tracing::info!(%conversation, ms, %reason, stored, "cache MISS");
            }
            Source::Bypass => {}
        }
        Ok(read)
    }

    /// Lookup; on a miss ask for the lease; with it, read Postgres and fill. Without it somebody else is about to bring
    /// what is missing: wait a little and look again.
    async fn read_through(
        &self,
        key: &ConversationKey,
        limit: Option<Limit>,
        min_version: Option<i64>,
    ) -> Result<Read<Cached>, Error> {
        let mut waits = 0;
        loop {
            let (reason, seen) = match self.cache.lookup(key, limit, min_version).await {
                Ok(Lookup::Hit(cached)) => {
                    let source = if cached.hidden { Source::BoundedHit } else { Source::Hit };
                    return Ok(Read { found: Some(*cached), source });
                }
                Ok(Lookup::Deleted) => return Ok(Read { found: None, source: Source::Hit }),
                Ok(Lookup::Miss(reason, seen)) => (reason, seen),
                Err(error) => {
                    tracing::warn!(conversation = %key.id.hashed(), %error, "cannot read the cache");
                    return self.read_database(key, limit, min_version, Miss::Unreachable, None).await;
                }
            };
            // A live intent is worth one wait, and behind it there is nothing to fill.
            let write_pending = reason == Miss::WritePending { live: true };
            if !write_pending {
                match self.cache.lease(key, seen.as_deref()).await {
                    Ok(lease) if lease.granted => {
                        return self.read_database(key, limit, min_version, reason, Some(lease)).await;
                    }
                    Ok(_) => {}
                    // It cannot be filled either.
                    Err(_) => return self.read_database(key, limit, min_version, reason, None).await,
                }
            }
            if waits >= if write_pending { PENDING_WAITS } else { WAITS } {
                return self.read_database(key, limit, min_version, reason, None).await;
            }
            sleep(jittered() * (1 << waits)).await;
            waits += 1;
        }
    }

    async fn read_database(
        &self,
        key: &ConversationKey,
        limit: Option<Limit>,
        min_version: Option<i64>,
        reason: Miss,
        lease: Option<Lease>,
    ) -> Result<Read<Cached>, Error> {
        let take_epoch = lease.as_ref().is_some_and(|lease| must_validate(lease, reason));
        let record = match self.database().read(key, take_epoch).await {
            Ok(record) => record,
            Err(error) => {
                if lease.is_some() && self.cache.release(key).await.is_err() {
                    tracing::warn!(
                        conversation = %key.id.hashed(),
                        "a lease stands until it is taken for dead"
                    );
                }
                return Err(error);
            }
        };
        let stored = match &lease {
            Some(lease) => self.fill(key, lease, &record).await,
            None => false,
        };
        let source = Source::Miss { reason, stored };
        let Found::Live(snapshot) = record else { return Ok(Read { found: None, source }) };
        check_version(min_version, snapshot.conversation.version)?;
        let Snapshot { conversation, window, .. } = *snapshot;
        let messages = match limit {
            Some(limit) => window.unwrap_or_default().newest(limit),
            None => Some(Vec::new()),
        };
        Ok(Read { found: Some(Cached { conversation, messages, hidden: false }), source })
    }

    /// Brings what was read into the cache; whether it is there now. A cache that fails here costs the next reader a
    /// miss, no more.
    async fn fill(&self, key: &ConversationKey, lease: &Lease, record: &Found) -> bool {
        let filled = match record {
            // The cache remembers what Postgres no longer knows: it was restored from a backup.
            Found::Live(snapshot) if is_ahead(lease, snapshot) => {
                tracing::warn!(
                    conversation = %key.id.hashed(),
                    "the cache was ahead of postgres and is dropped"
                );
                self.cache.drop_ahead(key, lease.epoch).await.map(|()| Stored::Rejected)
            }
            Found::Live(snapshot) => self.cache.fill(key, lease, snapshot).await,
            Found::Deleted(version) => {
                self.cache.write_tombstone(key, *version).await.map(|()| Stored::Validated)
            }
            // Whatever is there: an entry ahead of Postgres, or the intent of somebody who found nothing either.
            Found::Absent => self.cache.drop_ahead(key, lease.epoch).await.map(|()| Stored::Rejected),
        };
        filled
            .inspect_err(
                |error| tracing::warn!(conversation = %key.id.hashed(), %error, "cannot warm the cache"),
            )
            .is_ok_and(|stored| stored != Stored::Rejected)
    }
}

/// The newest messages as a page of a conversation that has so many.
fn page(version: i64, messages: Vec<Message>, message_count: i64) -> MessagePage {
    let held = i64::try_from(messages.len()).unwrap_or(i64::MAX);
    MessagePage { version, items: messages, has_more: message_count > held }
}

/// Whether what is read must be read under a new epoch: there is no validity marker to leave standing, a writer is presumed
/// dead, or the validity marker was disproved or is due to the reader, who may be stricter than the script.
fn must_validate(lease: &Lease, reason: Miss) -> bool {
    let needs_another = matches!(reason, Miss::MinVersion | Miss::Expired);
    lease.dead_intents > 0 || needs_another || (!lease.valid && lease.live_intents == 0)
}

/// Whether the entry knows what the row had not come to before this read.
fn is_ahead(lease: &Lease, snapshot: &Snapshot) -> bool {
    let epoch = snapshot.epoch - i64::from(snapshot.took_epoch);
    lease.epoch > Some(epoch) || lease.version > Some(snapshot.conversation.version)
}

/// 20 to 50 ms, so that those who wait do not come back together.
fn jittered() -> Duration {
    Duration::from_millis(20) + Duration::from_millis(30).mul_f64(random_share())
}
