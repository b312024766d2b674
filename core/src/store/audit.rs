//! Whether the cache tells the truth: some of what it would answer, held against Postgres.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::cache::{Cached, Look};
use crate::conversation::ConversationKey;
use crate::database::Record;
use crate::error::Error;
use crate::page::Limit;
use crate::snapshot::Snapshot;

use super::ConversationStore;

/// How many cached conversations would have been answered, and how many of these answers were stale: without a change
/// that was in Postgres longer than this. There should never be any but of a conversation whose change is owed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Answers that the cache would have given.
    pub samples: u64,
    /// Those without a change of more than a second ago.
    pub stale_at_1s: u64,
    /// Those without a change of more than a minute ago.
    pub stale_at_1m: u64,
}

impl Audit {
    fn add(&mut self, stale_for: Duration) {
        self.samples += 1;
        self.stale_at_1s += u64::from(stale_for > Duration::from_secs(1));
        self.stale_at_1m += u64::from(stale_for > Duration::from_secs(60));
    }
}

impl ConversationStore {
    /// Asks both stores for a conversation. Postgres is asked first, so that the cache must have all that it says.
    pub(super) async fn audit(&self, key: &ConversationKey, audit: &mut Audit) -> Result<(), Error> {
        let record = self.database().read(key, false).await?;
        let (answer, stored) = match (self.cache.look(key, Some(Limit::MAX), None).await, record) {
            (Err(error), _) => {
                tracing::debug!(%error, "a conversation cannot be audited");
                return Ok(());
            }
            (Ok(Look::Miss(..)), _) => return Ok(()),
            (Ok(Look::Hit(cached)), Record::Live(stored)) => (Some(cached), stored),
            (Ok(Look::Gone), Record::Live(stored)) => (None, stored),
            // Of what is gone nothing says since when.
            (Ok(Look::Hit(_)), _) => {
                audit.add(Duration::MAX);
                report(key, "it is gone");
                return Ok(());
            }
            (Ok(Look::Gone), _) => {
                audit.add(Duration::ZERO);
                return Ok(());
            }
        };
        if is_fresh(answer.as_deref(), &stored) {
            audit.add(Duration::ZERO);
        } else {
            report(key, "it is at another version");
            audit.add(age(stored.conversation.updated_at));
        }
        Ok(())
    }
}

/// Whether an answer has all of what was stored before it was given.
fn is_fresh(answer: Option<&Cached>, stored: &Snapshot) -> bool {
    let Some(Cached { conversation, messages }) = answer else { return false };
    match conversation.version.cmp(&stored.conversation.version) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => {
            *conversation == stored.conversation
                && stored.window.as_ref().is_none_or(|window| window == messages)
        }
        std::cmp::Ordering::Greater => true,
    }
}

/// How long ago that was, as far as whole seconds tell.
fn age(unix_seconds: i64) -> Duration {
    let at = UNIX_EPOCH + Duration::from_secs(u64::try_from(unix_seconds).unwrap_or(0));
    SystemTime::now().duration_since(at).unwrap_or(Duration::ZERO)
}

fn report(key: &ConversationKey, difference: &'static str) {
    tracing::error!(
        conversation = key.id.as_str(),
        difference,
        "the cache would answer what postgres does not hold"
    );
}
