//! Whether the cache tells the truth: some of what it would answer, held against Postgres.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::cache::{Cached, Lookup};
use crate::database::Found;
use crate::types::conversation::{Conversation, ConversationKey};
use crate::types::error::Error;
use crate::types::message::Message;
use crate::types::page::Limit;
use crate::types::snapshot::{Snapshot, Window};

use super::ConversationStore;

/// How many cached conversations would have been answered, and how many of these answers were stale: without a change
/// that was in Postgres longer than this. There should never be any but of a conversation with a pending invalidation.
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
    /// Asks both stores for a conversation. Postgres is asked first, so that the cache must have all that it says; and
    /// again if they differ, since what is created or deleted meanwhile the cache may know first.
    pub(super) async fn audit(&self, key: &ConversationKey, audit: &mut Audit) -> Result<(), Error> {
        let before = self.database().read(key, false).await?;
        let answer = match self.cache.lookup(key, Some(Limit::MAX), None).await {
            Ok(Lookup::Hit(cached)) => Some(cached),
            Ok(Lookup::Deleted) => None,
            Ok(Lookup::Miss(..)) => return Ok(()),
            Err(error) => {
                tracing::debug!(%error, "a conversation cannot be audited");
                return Ok(());
            }
        };
        if !differ(answer.as_deref(), &before)
            || explains(answer.is_some(), &before, &self.database().read(key, false).await?)
        {
            audit.add(Duration::ZERO);
            return Ok(());
        }
        report(key);
        // Of what is gone nothing says since when.
        let live = |record| if let Found::Live(stored) = record { Some(stored) } else { None };
        audit.add(live(before).map_or(Duration::MAX, |stored| age(stored.conversation.updated_at)));
        Ok(())
    }
}

/// Whether an answer of the cache, none for that there is no such conversation, is another one than Postgres gave before.
fn differ(answer: Option<&Cached>, before: &Found) -> bool {
    match (answer, before) {
        (Some(cached), Found::Live(stored)) => !is_fresh(cached, stored),
        (None, Found::Deleted(_) | Found::Absent) => false,
        _ => true,
    }
}

/// Whether what Postgres says now explains it: the conversation was deleted, or created, in between.
fn explains(is_hit: bool, before: &Found, now: &Found) -> bool {
    match (before, now) {
        (Found::Live(_), Found::Deleted(_)) => !is_hit,
        (Found::Absent, Found::Live(_) | Found::Deleted(_)) => true,
        _ => false,
    }
}

/// Whether an answer has all of what was stored before it was given.
fn is_fresh(Cached { conversation, messages, .. }: &Cached, stored: &Snapshot) -> bool {
    match conversation.version.cmp(&stored.conversation.version) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => {
            // When it expires depends on the deployment as well, which a cached copy hears of later.
            let expires_at = stored.conversation.expires_at;
            Conversation { expires_at, ..conversation.clone() } == stored.conversation
                && same_messages(messages.as_deref(), stored.window.clone())
        }
        std::cmp::Ordering::Greater => true,
    }
}

/// What is too large to be cached all says nothing of its messages.
fn same_messages(cached: Option<&[Message]>, stored: Option<Window>) -> bool {
    match (cached, stored.and_then(|window| window.newest(Limit::MAX))) {
        (Some(cached), Some(stored)) => cached == stored,
        _ => true,
    }
}

/// How long ago that was, as far as whole seconds tell.
fn age(unix_seconds: i64) -> Duration {
    let at = UNIX_EPOCH + Duration::from_secs(u64::try_from(unix_seconds).unwrap_or(0));
    SystemTime::now().duration_since(at).unwrap_or(Duration::ZERO)
}

fn report(key: &ConversationKey) {
    tracing::error!(conversation = %key.id.hashed(), "the cache would answer what postgres does not hold");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_between_the_questions_is_no_difference() {
        let deleted = || Found::Deleted(2);
        assert!(!differ(None, &deleted()) && !differ(None, &Found::Absent));
        // Created in between, and perhaps deleted again.
        assert!(explains(true, &Found::Absent, &deleted()) && explains(false, &Found::Absent, &deleted()));
        // Ids are not used again: what was deleted before must not be answered.
        assert!(!explains(true, &deleted(), &deleted()));
        assert!(
            !explains(true, &Found::Absent, &Found::Absent),
            "of another database, or of a later state of it"
        );
    }

    #[test]
    fn staleness_counts_from_a_second_on() {
        let mut audit = Audit::default();
        for stale_for in [Duration::ZERO, Duration::from_secs(2), Duration::MAX] {
            audit.add(stale_for);
        }
        assert_eq!(audit, Audit { samples: 3, stale_at_1s: 2, stale_at_1m: 1 });
    }
}
