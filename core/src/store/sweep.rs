//! What is done on a schedule: debts paid, deleted conversations purged, fences of dead writers cleared, and some of the
//! cache held against Postgres.

use std::time::Duration;

use tokio::time::Instant;

use crate::cache::{Forsaken, Surveyed};
use crate::database::Debt;
use crate::error::Error;

use super::{Audit, ConversationStore, Source, Told};

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
    /// Cache servers that could not be gone through: fences of dead writers stay there until somebody reads.
    pub servers_not_swept: usize,
    /// Whether there was more to do than there was time.
    pub unfinished: bool,
    /// Conversations whose cached copy may still be behind; 10,000 are that many or more.
    pub debts_left: u64,
    /// How long the oldest of these has been.
    pub oldest_debt: Duration,
    /// How what the cache would have answered compares with Postgres.
    pub audit: Audit,
}

impl ConversationStore {
    /// Drops the cached copies that may be behind, removes the messages of deleted conversations, then goes through a
    /// part of the cache for fences of dead writers and audits some of it, the next part the next time; for about as long as `budget`. Done by
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
        let Surveyed { forsaken, sampled, servers_failed } =
            self.cache.survey(until).await.unwrap_or_else(|error| {
                tracing::error!(%error, "dead fences stay until their conversations are read");
                Surveyed { servers_failed: 1, ..Surveyed::default() }
            });
        swept.servers_not_swept = servers_failed;
        self.clear_fences(forsaken, &mut swept, until).await?;
        for key in sampled {
            if Instant::now() >= until {
                break;
            }
            self.audit(&key, &mut swept.audit).await?;
        }
        (swept.debts_left, swept.oldest_debt) = self.database().debts_left().await?;
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
    async fn clear_fences(
        &self,
        forsaken: Vec<Forsaken>,
        swept: &mut Swept,
        until: Instant,
    ) -> Result<(), Error> {
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
