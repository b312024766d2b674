//! The deletion of all conversations that a filter lets through.

use futures_util::{StreamExt as _, stream};

use crate::types::conversation::{ConversationId, ConversationKey, OwnerId};
use crate::types::error::Error;
use crate::types::page::{ConversationFilter, Limit, Order};
use crate::types::precondition::Precondition;

use super::ConversationStore;

/// The most conversations that one call deletes.
const MOST: usize = 1_000;
/// How many deletions are under way at a time.
const PARALLEL: usize = 16;

/// What a deletion of many did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BulkDeletion {
    /// How many conversations the filter lets through, up to 1,000.
    pub matched: usize,
    /// How many of them were deleted: those that had not changed since they were found.
    pub deleted: usize,
    /// Whether there are more.
    pub has_more: bool,
}

impl ConversationStore {
    /// Deletes the conversations that a filter lets through, at most 1,000, or just counts them.
    ///
    /// # Errors
    /// As [`ConversationStore::delete`]; some may have been deleted.
    pub async fn delete_many(
        &self,
        owner: &OwnerId,
        filter: &ConversationFilter,
        dry_run: bool,
    ) -> Result<BulkDeletion, Error> {
        let (found, has_more) = self.matching(owner, filter).await?;
        let matched = found.len();
        if dry_run {
            return Ok(BulkDeletion { matched, deleted: 0, has_more });
        }
        let outcomes: Vec<_> = stream::iter(found)
            .map(async |(id, version)| {
                let key = ConversationKey { owner: owner.clone(), id };
                self.delete(&key, Precondition::Version(version)).await
            })
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
        let mut deleted = 0;
        for outcome in outcomes {
            match outcome {
                Ok(_) => deleted += 1,
                // It may not be among them any more.
                Err(Error::VersionMismatch { .. } | Error::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(BulkDeletion { matched, deleted, has_more: has_more || deleted < matched })
    }

    /// Those that are to be deleted, with their versions, and whether there are more.
    async fn matching(
        &self,
        owner: &OwnerId,
        filter: &ConversationFilter,
    ) -> Result<(Vec<(ConversationId, i64)>, bool), Error> {
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let listing =
                self.index().list(owner, filter, Order::Descending, cursor.as_ref(), Limit::MAX).await?;
            found.extend(listing.page.items.into_iter().map(|item| (item.id, item.version)));
            cursor = listing.after;
            if cursor.is_none() || found.len() >= MOST {
                return Ok((found, listing.page.has_more));
            }
        }
    }
}
