//! What is done on a schedule: debts paid, deleted conversations purged, fences of dead writers cleared.

use std::time::Duration;

use tokio::time::Instant;

use crate::cache::Forsaken;
use crate::database::Debt;
use crate::error::Error;

use super::{ConversationStore, Source, Told};

/// How many debts are fetched at a time.
const DEBTS: i64 = 100;
/// How many messages one transaction removes: few enough to be quick and to hold no lock for long.
const PURGE: i32 = 5_000;

/// What a sweep did, and left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Conversations whose cached copy was dropped.
    pub debts_paid: usize,
    /// Messages of deleted conversations that were removed.
    pub messages_purged: i64,
    /// Fences taken away that dead writers had left.
    pub fences_cleared: usize,
    /// Whether there was more to do than there was time.
    pub unfinished: bool,
}

impl ConversationStore {
    /// Drops the cached copies that may be behind, removes the messages of deleted conversations, then goes through a
    /// part of the cache for fences of dead writers, the next part the next time; for about as long as `budget`. Done by
    /// several at once, or twice, it does no harm.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Database`]. A cache that cannot be reached leaves its debts and fences
    /// standing.
    pub async fn sweep(&self, budget: Duration) -> Result<Swept, Error> {
        let until = Instant::now() + budget;
        let mut swept = Swept::default();
        self.pay_debts(&mut swept, until).await?;
        self.purge(&mut swept, until).await?;
        self.clear_fences(&mut swept, until).await?;
        Ok(swept)
    }

    async fn pay_debts(&self, swept: &mut Swept, until: Instant) -> Result<(), Error> {
        loop {
            let debts = self.database().debts(DEBTS).await?;
            let fetched = debts.len();
            for Debt { key, version } in debts {
                if Instant::now() >= until || self.settle(&key, version).await == Told::Owed {
                    swept.unfinished = true;
                    return Ok(());
                }
                swept.debts_paid += 1;
            }
            if i64::try_from(fetched).is_ok_and(|fetched| fetched < DEBTS) {
                return Ok(());
            }
        }
    }

    async fn purge(&self, swept: &mut Swept, until: Instant) -> Result<(), Error> {
        while let Some(removed) = self.database().purge(PURGE).await? {
            swept.messages_purged += removed;
            if Instant::now() >= until {
                swept.unfinished = true;
                break;
            }
        }
        Ok(())
    }

    /// Reads what dead writers left as anyone would who came by: that takes an epoch, so that none of their commits can
    /// follow, and brings the entry up to date.
    async fn clear_fences(&self, swept: &mut Swept, until: Instant) -> Result<(), Error> {
        let forsaken = self.cache.forsaken(until).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "dead fences stay until their conversations are read");
            Vec::new()
        });
        for Forsaken { key, fences } in forsaken {
            if Instant::now() >= until {
                swept.unfinished = true;
                break;
            }
            if let Source::Miss { stored: true, .. } = self.get(&key, None).await?.source {
                swept.fences_cleared += fences;
            }
        }
        Ok(())
    }
}
