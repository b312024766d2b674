//! Messages wherever they are in the history.

use super::error::StatementError;
use super::rows::{MessageRange, Newest};
use crate::types::conversation::ConversationKey;
use crate::types::error::Error;
use crate::types::message::{Message, MessageId};
use crate::types::page::{Anchor, Limit, Range};

use super::Database;
use super::rows::{message, message_range, newest};

impl Database {
    /// The newest messages. None: there is no such conversation.
    pub(crate) async fn newest(&self, key: &ConversationKey, limit: Limit) -> Result<Option<Newest>, Error> {
        let query = sqlx::query(NEWEST)
            .bind(key.owner.shard())
            .bind(key.owner.as_str())
            .bind(key.id.as_str())
            .bind(limit.rows());
        let rows = self.rows(query).await.map_err(StatementError::of_read)?;
        newest(&rows).map_err(Error::Database)
    }

    /// One message more than `limit` next to a position, oldest first. None: there is no such conversation.
    pub(crate) async fn message_range(
        &self,
        key: &ConversationKey,
        range: Range,
        limit: Limit,
    ) -> Result<Option<MessageRange>, Error> {
        let (query, at) = match range {
            Range::Before(at) => (sqlx::query(BEFORE), at),
            Range::After(at) => (sqlx::query(AFTER), at),
        };
        let query = query
            .bind(key.owner.shard())
            .bind(key.owner.as_str())
            .bind(key.id.as_str())
            .bind(at)
            .bind(limit.rows() + 1);
        let rows = self.rows(query).await.map_err(StatementError::of_read)?;
        message_range(&rows).map_err(Error::Database)
    }

    /// The same, next to a message.
    pub(crate) async fn messages_adjacent_to(
        &self,
        key: &ConversationKey,
        anchor: &Anchor,
        limit: Limit,
    ) -> Result<Option<MessageRange>, Error> {
        let (query, id) = match anchor {
            Anchor::Before(id) => (sqlx::query(BEFORE_MESSAGE), id),
            Anchor::After(id) => (sqlx::query(AFTER_MESSAGE), id),
        };
        let query = query
            .bind(key.owner.shard())
            .bind(key.owner.as_str())
            .bind(key.id.as_str())
            .bind(id.as_str())
            .bind(limit.rows() + 1);
        let rows = self.rows(query).await.map_err(StatementError::of_read)?;
        message_range(&rows).map_err(Error::Database)
    }

    /// One message. None: there is no such message or conversation.
    pub(crate) async fn message(
        &self,
        key: &ConversationKey,
        id: &MessageId,
    ) -> Result<Option<Message>, Error> {
        let query = sqlx::query(ONE)
            .bind(key.owner.shard())
            .bind(key.owner.as_str())
            .bind(key.id.as_str())
            .bind(id.as_str());
        let rows = self.rows(query).await.map_err(StatementError::of_read)?;
        rows.first().map(message).transpose().map_err(Error::Database)
    }
}

// Of messages that are larger than an answer may be, 6 MiB, the oldest stay where they are.
const NEWEST: &str = "select c.version, c.message_count, m.* from conversations c left join lateral (
        select seq, id, at, body from (
            select *, sum(octet_length(body)) over (order by seq desc) as bytes from (
                select seq, case when not id_in_body then message_id end as id, unix_seconds(created_at) as at,
                    body::text as body
                from messages where shard = $1 and conversation_key = c.key order by seq desc limit $4) newest) sized
        where bytes <= 6291456) m on true
    where c.shard = $1 and c.owner_id = $2 and c.conversation_id = $3 and c.deleted_at is null order by m.seq";

// A conversation without messages there still answers one row, so that it differs from none.
const BEFORE: &str = "select c.version, true as anchor_found, m.* from conversations c left join lateral (
        select seq, case when not id_in_body then message_id end as id, unix_seconds(created_at) as at, body::text as body
        from messages where shard = $1 and conversation_key = c.key and seq < $4 order by seq desc limit $5) m on true
    where c.shard = $1 and c.owner_id = $2 and c.conversation_id = $3 and c.deleted_at is null order by m.seq";
const AFTER: &str = "select c.version, true as anchor_found, m.* from conversations c left join lateral (
        select seq, case when not id_in_body then message_id end as id, unix_seconds(created_at) as at, body::text as body
        from messages where shard = $1 and conversation_key = c.key and seq > $4 order by seq limit $5) m on true
    where c.shard = $1 and c.owner_id = $2 and c.conversation_id = $3 and c.deleted_at is null order by m.seq";

// A page may begin where a message was that is deleted: who reads and deletes page by page loses its place otherwise.
const BEFORE_MESSAGE: &str = "select c.version, a.seq is not null as anchor_found, m.* from conversations c
    left join lateral (
        select seq from messages where shard = $1 and conversation_key = c.key and message_id = $4
        union all
        select seq from deleted_messages where shard = $1 and conversation_key = c.key and message_id = $4) a on true
    left join lateral (
        select seq, case when not id_in_body then message_id end as id, unix_seconds(created_at) as at, body::text as body
        from messages where shard = $1 and conversation_key = c.key and seq < a.seq order by seq desc limit $5) m on true
    where c.shard = $1 and c.owner_id = $2 and c.conversation_id = $3 and c.deleted_at is null order by m.seq";
const AFTER_MESSAGE: &str = "select c.version, a.seq is not null as anchor_found, m.* from conversations c
    left join lateral (
        select seq from messages where shard = $1 and conversation_key = c.key and message_id = $4
        union all
        select seq from deleted_messages where shard = $1 and conversation_key = c.key and message_id = $4) a on true
    left join lateral (
        select seq, case when not id_in_body then message_id end as id, unix_seconds(created_at) as at, body::text as body
        from messages where shard = $1 and conversation_key = c.key and seq > a.seq order by seq limit $5) m on true
    where c.shard = $1 and c.owner_id = $2 and c.conversation_id = $3 and c.deleted_at is null order by m.seq";

const ONE: &str = "select m.seq, case when not m.id_in_body then m.message_id end as id,
        unix_seconds(m.created_at) as at, m.body::text as body
    from conversations c join messages m on m.shard = $1 and m.conversation_key = c.key and m.message_id = $4
    where c.shard = $1 and c.owner_id = $2 and c.conversation_id = $3 and c.deleted_at is null";
