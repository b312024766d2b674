//! What is done in the background, across all shards: pending invalidations, purges, and what has expired.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{FromRow as _, Row as _};

use super::Database;
use super::error::StatementError;
use super::rows::{PendingInvalidation, conversation_key, only};
use crate::types::conversation::ConversationKey;
use crate::types::error::Error;

/// Conversations that have expired: of those with a time of their own, and of all where the deployment has one, which is looked at
/// first: without it there is no index for them.
const EXPIRED: &str = "(select owner_id, conversation_id from conversations
        where deleted_at is null and expires_after is not null
            and floor(extract(epoch from updated_at at time zone 'UTC'))::bigint + expires_after <= unix_seconds(now())
        order by floor(extract(epoch from updated_at at time zone 'UTC'))::bigint + expires_after limit $1)
    union
    (select owner_id, conversation_id from conversations
        where (select seconds from retention) is not null and deleted_at is null
            and updated_at < now() - (select seconds from retention) * interval '1 second'
        order by updated_at limit $1)";

impl Database {
    /// Conversations that have expired and are still to be deleted; not all of them.
    pub(crate) async fn expired(&self, limit: i64) -> Result<Vec<ConversationKey>, Error> {
        let rows = self.rows(sqlx::query(EXPIRED).bind(limit)).await.map_err(StatementError::of_read)?;
        rows.iter().map(conversation_key).collect::<Result<_, _>>().map_err(Error::Database)
    }

    /// Clears the pending invalidation of a conversation whose cached copy was brought up to that version or dropped: in the
    /// cache in use. While a deployment moves to another one, its code has not seen the cache in which the copy is stale.
    pub(crate) async fn clear_pending_invalidation(
        &self,
        key: &ConversationKey,
        version: i64,
    ) -> Result<(), Error> {
        let query = sqlx::query(
            "delete from pending_invalidations where shard = $1 and version <= $4 and conversation_key =
                (select key from conversations where shard = $1 and owner_id = $2 and conversation_id = $3)
                and $5 = (select generation from cache_generation)",
        )
        .bind(key.owner.shard())
        .bind(key.owner.as_str())
        .bind(key.id.as_str())
        .bind(version)
        .bind(self.generation());
        self.rows(query).await.map(drop).map_err(StatementError::of_read)
    }

    /// The oldest pending invalidations; none while another cache than this code's is in use: it does not reach that one.
    pub(crate) async fn oldest_pending_invalidations(
        &self,
        limit: i64,
    ) -> Result<Vec<PendingInvalidation>, Error> {
        let query = sqlx::query(
            "select owner_id, conversation_id, version from pending_invalidations
                where $2 = (select generation from cache_generation) order by since limit $1",
        )
        .bind(limit)
        .bind(self.generation());
        let rows = self.rows(query).await.map_err(StatementError::of_read)?;
        rows.iter().map(PendingInvalidation::from_row).collect::<Result<_, _>>().map_err(Error::Database)
    }

    /// How many pending invalidations there are, as far as that matters, and how old the oldest is.
    pub(crate) async fn pending_invalidations(&self) -> Result<(u64, Duration), Error> {
        let query = sqlx::query(
            "select count(*) as pending, coalesce(extract(epoch from now() - min(since)), 0)::bigint as age
                from (select since from pending_invalidations order by since limit 10000) oldest",
        );
        let row = only(self.rows(query).await.map_err(StatementError::of_read)?)?;
        let number = |name| row.try_get::<i64, _>(name).map(|number| u64::try_from(number).unwrap_or(0));
        let (pending_invalidations, age) =
            (number("pending").map_err(Error::Database)?, number("age").map_err(Error::Database)?);
        Ok((pending_invalidations, Duration::from_secs(age)))
    }

    /// Conversations of which messages are to be removed, those that wait longest first: the shard and key of each. Across all
    /// shards, so nothing is locked: whoever purges one looks whether somebody else does.
    pub(crate) async fn waiting_purges(&self, limit: i64) -> Result<Vec<(i32, i64)>, Error> {
        let query = sqlx::query(
            "select shard, conversation_key from purges where not is_purged order by since limit $1",
        )
        .bind(limit);
        let rows = self.rows(query).await.map_err(StatementError::of_read)?;
        let purge = |row: &PgRow| Ok((row.try_get("shard")?, row.try_get("conversation_key")?));
        rows.iter().map(purge).collect::<sqlx::Result<_>>().map_err(Error::Database)
    }

    /// Removes idempotency keys of requests to owners' own records that are older than a week, up to so many; how many there were.
    pub(crate) async fn expire_keys_of_owners(&self, limit: i64) -> Result<usize, Error> {
        let query = sqlx::query(
            "select shard, owner_id, idempotency_key from idempotency_keys
                where conversation_key < 0 and created_at < now() - interval '7 days' order by created_at limit $1",
        )
        .bind(limit);
        let rows = self.rows(query).await.map_err(StatementError::of_read)?;
        let mut by_shard: BTreeMap<i32, (Vec<String>, Vec<String>)> = BTreeMap::new();
        for row in &rows {
            let key =
                || Ok((row.try_get("shard")?, row.try_get("owner_id")?, row.try_get("idempotency_key")?));
            let (shard, owner, key) = key().map_err(Error::Database)?;
            let (owners, keys) = by_shard.entry(shard).or_default();
            owners.push(owner);
            keys.push(key);
        }
        for (shard, (owners, keys)) in by_shard {
            let query = sqlx::query(
                "delete from idempotency_keys k using unnest($2::text[], $3::text[]) as old(owner_id, idempotency_key)
                    where k.shard = $1 and k.owner_id = old.owner_id and k.idempotency_key = old.idempotency_key",
            )
            .bind(shard)
            .bind(owners)
            .bind(keys);
            self.rows(query).await.map_err(StatementError::of_read)?;
        }
        Ok(rows.len())
    }

    /// Removes at most so many messages of those that are to be removed; how many it removed, none if nothing of it waits or somebody
    /// else is at it.
    pub(crate) async fn purge(&self, (shard, key): (i32, i64), limit: i32) -> Result<Option<i64>, Error> {
        let query =
            sqlx::query("select purge_if_free($1, $2, $3) as removed").bind(shard).bind(key).bind(limit);
        match self.rows(query).await {
            Ok(rows) => only(rows)?.try_get("removed").map_err(Error::Database),
            // Writers hold the conversation: the next sweep comes by again.
            Err(failed) if failed.waited_for_a_lock() => Ok(None),
            Err(failed) => Err(failed.of_read()),
        }
    }
}
