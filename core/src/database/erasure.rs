//! The erasure of everything that an owner has: its steps in Postgres, and its receipts.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tokio::time::timeout;
use uuid::Uuid;

use super::Database;
use super::error::{StatementError, late};
use super::records::decode;
use super::rows::{conversation_key, only, owner_id};
use crate::meter::timed_postgres;
use crate::types::conversation::{ConversationId, ConversationKey, OwnerId};
use crate::types::erasure::{Erasure, OwnerHash, OwnerStats};
use crate::types::error::Error;

/// A conversation that an erasure is to hide.
#[derive(Clone, Debug)]
pub(crate) struct ToErase {
    pub(crate) key: ConversationKey,
    /// The epoch of its row; none: it was deleted.
    pub(crate) epoch: Option<i64>,
}

/// A conversation that is purged and whose row is still there; none: it is an owner's own records that were.
pub(crate) type Purged = (i32, i64, Option<ConversationKey>);

/// How long it may take to read how large all messages of an owner are: within the ten seconds that a function has.
const STATS_DEADLINE: Duration = Duration::from_secs(8);
const STATS: &str = "select c.conversations, coalesce(c.messages, 0)::bigint as messages, m.bytes::bigint as message_bytes,
        r.records, r.bytes::bigint as record_bytes
    from (select count(*) as conversations, sum(message_count) as messages from conversations
          where shard = $1 and owner_id = $2 and deleted_at is null and not has_expired(updated_at, expires_after)) c,
        (select coalesce(sum(pg_column_size(m.body)), 0) as bytes from conversations c
            join messages m on m.shard = $1 and m.conversation_key = c.key and (m.seq > c.cut_until or m.seq <= c.cut_after)
         where c.shard = $1 and c.owner_id = $2 and c.deleted_at is null and not has_expired(c.updated_at, c.expires_after)) m,
        (select count(*) as records, coalesce(sum(pg_column_size(r.value)), 0) as bytes
         from (select key from conversations
               where shard = $1 and owner_id = $2 and deleted_at is null and record_revision > 0
                   and not has_expired(updated_at, expires_after)
               union all
               select -key from owners where shard = $1 and owner_id = $2) scope
            join records r on r.shard = $1 and r.scope_key = scope.key) r";

/// The columns of a receipt.
macro_rules! receipts {
    ($where:literal) => {
        concat!(
            "select id, shard, owner_hash, requested_by, unix_seconds(requested_at) as requested_at,
                unix_seconds(hidden_at) as hidden_at, unix_seconds(completed_at) as completed_at,
                conversations, messages, records,
                (select count(*) from purges p where p.shard = e.shard and p.erasure = e.id) as remaining
            from erasures e ",
            $where
        )
    };
}

impl Database {
    /// How much an owner has. It reads every message of the owner's, if not its body.
    pub(crate) async fn owner_stats(&self, owner: &OwnerId) -> Result<OwnerStats, Error> {
        let read = async {
            let mut session = self.sessions.own().await?;
            sqlx::query(STATS).bind(owner.shard()).bind(owner.as_str()).fetch_all(&mut *session).await
        };
        let rows = timed_postgres(timeout(STATS_DEADLINE, read)).await.unwrap_or_else(|_| Err(late()));
        let row = only(rows.map_err(|error| StatementError { error, maybe_applied: false }.of_read())?)?;
        let number = |name| row.try_get::<i64, _>(name).map_err(Error::Database);
        Ok(OwnerStats {
            conversations: number("conversations")?,
            messages: number("messages")?,
            records: number("records")?,
            bytes: number("message_bytes")? + number("record_bytes")?,
        })
    }

    /// The last erasure of an owner's data.
    pub(crate) async fn last_erasure(&self, owner: &OwnerId) -> Result<Option<Erasure>, Error> {
        let query = sqlx::query(receipts!(
            "where e.shard = $1 and e.owner_hash = $2 order by e.requested_at desc limit 1"
        ));
        let query = query.bind(owner.shard()).bind(OwnerHash::of(owner).to_string());
        let rows = self.rows(query).await.map_err(StatementError::of_read)?;
        rows.first().map(receipt).transpose().map_err(Error::Database)
    }

    /// All receipts, the oldest first.
    pub(crate) async fn erasures(&self) -> Result<Vec<Erasure>, Error> {
        let rows = self.rows(sqlx::query(receipts!("order by e.requested_at, e.id"))).await;
        let rows = rows.map_err(StatementError::of_read)?;
        rows.iter().map(receipt).collect::<Result<_, _>>().map_err(Error::Database)
    }

    /// Makes sure that the owner has a row, and returns how many erasures have ended.
    pub(crate) async fn erasures_ended(&self, owner: &OwnerId) -> Result<i64, Error> {
        let query = sqlx::query("select erasures_ended($1, $2, $3) as ended")
            .bind(owner.shard())
            .bind(owner.as_str())
            .bind(OwnerHash::of(owner).to_string());
        let row = only(self.rows(query).await.map_err(StatementError::of_write)?)?;
        row.try_get("ended").map_err(Error::Database)
    }

    /// Conversations of the owner's that are not part of an erasure yet, at most so many.
    pub(crate) async fn conversations_to_erase(
        &self,
        owner: &OwnerId,
        limit: i32,
    ) -> Result<Vec<ToErase>, Error> {
        let query = sqlx::query("select ids, epochs from conversations_to_erase($1, $2, $3)")
            .bind(owner.shard())
            .bind(owner.as_str())
            .bind(limit);
        let row = only(self.rows(query).await.map_err(StatementError::of_read)?)?;
        let read = || -> sqlx::Result<Vec<ToErase>> {
            let ids: Vec<String> = row.try_get("ids")?;
            let epochs: Option<Vec<Option<i64>>> = row.try_get("epochs")?;
            let of = |(id, epoch)| Ok(ToErase { key: key_of(owner, id)?, epoch });
            ids.into_iter().zip(epochs.unwrap_or_default()).map(of).collect()
        };
        read().map_err(Error::Database)
    }

    /// Registers an erasure, or joins the one that is under way, or the last one where more have ended by now; which it is.
    pub(crate) async fn register_erasure(
        &self,
        owner: &OwnerId,
        requested_by: &str,
        ended: i64,
    ) -> Result<String, Error> {
        let query = sqlx::query("select register_erasure($1, $2, $3, $4, $5, $6, $7) as id")
            .bind(owner.shard())
            .bind(owner.as_str())
            .bind(format!("erasure_{}", Uuid::now_v7().simple()))
            .bind(requested_by)
            .bind(OwnerHash::of(owner).to_string())
            .bind(ended)
            .bind(self.generation());
        let row = only(self.rows(query).await.map_err(StatementError::of_write)?)?;
        row.try_get("id").map_err(Error::Database)
    }

    /// Hides conversations, each if it still has the epoch that was listed, and returns the ids of those that are hidden.
    pub(crate) async fn hide(
        &self,
        owner: &OwnerId,
        erasure: &str,
        conversations: &[ToErase],
    ) -> Result<HashSet<ConversationId>, Error> {
        let (ids, epochs): (Vec<_>, Vec<_>) =
            conversations.iter().map(|one| (one.key.id.as_str().to_owned(), one.epoch)).unzip();
        let query = sqlx::query("select hide_listed_conversations($1, $2, $3, $4, $5, $6) as hidden_ids")
            .bind(owner.shard())
            .bind(owner.as_str())
            .bind(erasure)
            .bind(ids)
            .bind(epochs)
            .bind(self.generation());
        let row = only(self.rows(query).await.map_err(StatementError::of_write)?)?;
        let ids: Vec<String> = row.try_get("hidden_ids").map_err(Error::Database)?;
        let ids = ids.into_iter().map(|id| ConversationId::new(id).map_err(decode));
        ids.collect::<Result<_, _>>().map_err(Error::Database)
    }

    /// Ends the hiding if all is hidden; whether it is.
    pub(crate) async fn end_hiding(&self, owner: &OwnerId, erasure: &str) -> Result<bool, Error> {
        let query = sqlx::query("select end_hiding($1, $2, $3) as ended")
            .bind(owner.shard())
            .bind(owner.as_str())
            .bind(erasure);
        let row = only(self.rows(query).await.map_err(StatementError::of_write)?)?;
        row.try_get("ended").map_err(Error::Database)
    }

    /// Owners whose erasure is not through with hiding: whoever asked for it may be gone.
    pub(crate) async fn owners_being_erased(&self, limit: i64) -> Result<Vec<(OwnerId, String)>, Error> {
        let query = sqlx::query("select owner_id, erasing from owners where erasing is not null limit $1")
            .bind(limit);
        let rows = self.rows(query).await.map_err(StatementError::of_read)?;
        let of = |row: &PgRow| Ok((owner_id(row)?, row.try_get("erasing")?));
        rows.iter().map(of).collect::<sqlx::Result<_>>().map_err(Error::Database)
    }

    /// What is purged and was hidden at least so long ago.
    pub(crate) async fn purged(&self, settles: Duration, limit: i64) -> Result<Vec<Purged>, Error> {
        let query = sqlx::query(
            "select p.shard, p.conversation_key, c.owner_id, c.conversation_id
                from purges p left join conversations c on c.shard = p.shard and c.key = p.conversation_key
                where p.is_purged and p.since <= now() - $1 * interval '1 second' order by p.since limit $2",
        )
        .bind(settles.as_secs_f64())
        .bind(limit);
        let rows = self.rows(query).await.map_err(StatementError::of_read)?;
        let of = |row: &PgRow| {
            let is_conversation = row.try_get::<Option<String>, _>("owner_id")?.is_some();
            let key = is_conversation.then(|| conversation_key(row)).transpose()?;
            Ok((row.try_get("shard")?, row.try_get("conversation_key")?, key))
        };
        rows.iter().map(of).collect::<sqlx::Result<_>>().map_err(Error::Database)
    }

    /// Removes the row of what is purged.
    pub(crate) async fn forget_erased(&self, shard: i32, key: i64) -> Result<(), Error> {
        let query = sqlx::query("select forget_erased($1, $2)").bind(shard).bind(key);
        self.rows(query).await.map(drop).map_err(StatementError::of_write)
    }
}

fn key_of(owner: &OwnerId, id: String) -> sqlx::Result<ConversationKey> {
    let id = ConversationId::new(id).map_err(decode)?;
    Ok(ConversationKey { owner: owner.clone(), id })
}

fn receipt(row: &PgRow) -> sqlx::Result<Erasure> {
    Ok(Erasure {
        id: row.try_get("id")?,
        owner_hash: OwnerHash::stored(row.try_get("owner_hash")?),
        shard: row.try_get("shard")?,
        requested_by: row.try_get("requested_by")?,
        requested_at: row.try_get("requested_at")?,
        hidden_at: row.try_get("hidden_at")?,
        completed_at: row.try_get("completed_at")?,
        conversations: row.try_get("conversations")?,
        messages: row.try_get("messages")?,
        records: row.try_get("records")?,
        remaining: row.try_get("remaining")?,
    })
}
