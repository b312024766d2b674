//! What each owner has: across all shards, for operators.

use std::time::Duration;

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tokio::time::timeout;

use super::Database;
use super::error::{StatementError, late};
use super::rows::owner_id;
use crate::meter::timed_postgres;
use crate::types::conversation::OwnerId;
use crate::types::error::Error;
use crate::types::inspection::{LargestOwners, OwnerSize};

/// How long it may take to read every conversation's row.
const DEADLINE: Duration = Duration::from_secs(120);
/// Reads every conversation's row. The totals stand in each row that is answered.
const LARGEST: &str =
    "select owner_id, shard, count(*) as conversations, sum(message_count)::bigint as messages,
        count(*) over () as all_owners, sum(count(*)) over ()::bigint as all_conversations,
        sum(sum(message_count)) over ()::bigint as all_messages
    from conversations where deleted_at is null
    group by shard, owner_id order by messages desc, owner_id limit $1";

/// Goes through the index of all conversations, and through the owners with records of their own.
const OWNERS: &str = "select owner_id from conversations where not erased group by owner_id
    union select owner_id from owners where record_revision > erased_revision";

impl Database {
    /// Every owner who has anything that is not erased.
    pub(crate) async fn owners(&self) -> Result<Vec<OwnerId>, Error> {
        let read = async {
            let mut session = self.sessions.own().await?;
            sqlx::query(OWNERS).fetch_all(&mut *session).await
        };
        let rows = timed_postgres(timeout(DEADLINE, read)).await.unwrap_or_else(|_| Err(late()));
        let rows = rows.map_err(|error| StatementError { error, maybe_applied: false }.of_read())?;
        rows.iter().map(owner_id).collect::<Result<_, _>>().map_err(Error::Database)
    }

    /// The owners with the most messages, the largest first. Takes as long as it takes to read every conversation's row.
    pub(crate) async fn largest_owners(&self, limit: i64) -> Result<LargestOwners, Error> {
        let read = async {
            let mut session = self.sessions.own().await?;
            sqlx::query(LARGEST).bind(limit).fetch_all(&mut *session).await
        };
        let rows = timed_postgres(timeout(DEADLINE, read)).await.unwrap_or_else(|_| Err(late()));
        let rows = rows.map_err(|error| StatementError { error, maybe_applied: false }.of_read())?;
        largest(&rows).map_err(Error::Database)
    }
}

fn largest(rows: &[PgRow]) -> sqlx::Result<LargestOwners> {
    let total = |name| rows.first().map_or(Ok(0), |row| row.try_get(name));
    let size = |row: &PgRow| {
        Ok(OwnerSize {
            owner: owner_id(row)?,
            shard: row.try_get("shard")?,
            conversations: row.try_get("conversations")?,
            messages: row.try_get("messages")?,
        })
    };
    Ok(LargestOwners {
        owners: total("all_owners")?,
        conversations: total("all_conversations")?,
        messages: total("all_messages")?,
        largest: rows.iter().map(size).collect::<sqlx::Result<_>>()?,
    })
}
