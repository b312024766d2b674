//! Messages wherever they are in the history.

use super::error::StatementError;
use super::rows::{MessageRange, Newest};
use crate::types::conversation::ConversationKey;
use crate::types::error::Error;
use crate::types::message::MessageId;
use crate::types::page::{Anchor, Limit, MessageAtVersion, Range};

use super::Database;
use super::rows::{message_at_version, message_range, newest};

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
    ) -> Result<Option<MessageAtVersion>, Error> {
        let query = sqlx::query(ONE)
            .bind(key.owner.shard())
            .bind(key.owner.as_str())
            .bind(key.id.as_str())
            .bind(id.as_str());
        let rows = self.rows(query).await.map_err(StatementError::of_read)?;
        rows.first().map(message_at_version).transpose().map_err(Error::Database)
    }
}

/// The next messages on one side of a place, in that order, as a subquery: from what comes after the positions that were cut
/// off, and from what comes before them, so that neither is gone through.
macro_rules! next_messages {
    ($condition:literal, $order:literal, $limit:literal) => {
        concat!(
            "(select * from ( \
                (select * from messages where shard = $1 and conversation_key = c.key and seq > c.cut_until",
            $condition,
            " order by seq ",
            $order,
            " limit ",
            $limit,
            ") \
                union all \
                (select * from messages where shard = $1 and conversation_key = c.key and seq <= c.cut_after",
            $condition,
            " order by seq ",
            $order,
            " limit ",
            $limit,
            ")) live order by seq ",
            $order,
            " limit ",
            $limit,
            ")"
        )
    };
}

/// A message as it is answered.
macro_rules! columns {
    () => {
        "seq, case when not id_in_body then message_id end as id, unix_seconds(created_at) as at, body::text as body"
    };
}

/// The conversation that is meant. One without messages there still answers one row, so that it differs from none.
macro_rules! conversation {
    () => {
        "(select * from conversations \
            where shard = $1 and owner_id = $2 and conversation_id = $3 and deleted_at is null \
                and not has_expired(updated_at, expires_after)) c"
    };
}

// Of messages that are larger than an answer may be, 6 MiB, the oldest stay where they are.
const NEWEST: &str = concat!(
    "select c.version, c.message_count, m.* from ",
    conversation!(),
    " left join lateral ( \
        select seq, id, at, body from ( \
            select *, sum(octet_length(body)) over (order by seq desc) as bytes from (select ",
    columns!(),
    " from ",
    next_messages!("", "desc", "$4"),
    " newest) texts) sized where bytes <= 6291456) m on true order by m.seq"
);

/// A page beside a place, which is a position or the message of an id: `$4`.
macro_rules! beside {
    (position, $condition:literal, $order:literal) => {
        beside!("true", "", $condition, $order)
    };
    // It may have been deleted: who reads and deletes page by page loses its place otherwise.
    (message, $condition:literal, $order:literal) => {
        beside!(
            "a.seq is not null",
            " left join lateral ( \
                select seq from messages where shard = $1 and conversation_key = c.key and message_id = $4 \
                union all \
                select seq from deleted_messages where shard = $1 and conversation_key = c.key and message_id = $4) a on true",
            $condition,
            $order
        )
    };
    ($found:literal, $anchor:literal, $condition:literal, $order:literal) => {
        concat!(
            "select c.version, ",
            $found,
            " as anchor_found, m.* from ",
            conversation!(),
            $anchor,
            " left join lateral (select ",
            columns!(),
            " from ",
            next_messages!($condition, $order, "$5"),
            " page) m on true order by m.seq"
        )
    };
}
const BEFORE: &str = beside!(position, " and seq < $4", "desc");
const AFTER: &str = beside!(position, " and seq > $4", "asc");
const BEFORE_MESSAGE: &str = beside!(message, " and seq < a.seq", "desc");
const AFTER_MESSAGE: &str = beside!(message, " and seq > a.seq", "asc");

const ONE: &str = "select c.version, m.seq, case when not m.id_in_body then m.message_id end as id, \
        unix_seconds(m.created_at) as at, m.body::text as body \
    from conversations c join messages m on m.shard = $1 and m.conversation_key = c.key and m.message_id = $4 \
        and (m.seq > c.cut_until or m.seq <= c.cut_after) \
    where c.shard = $1 and c.owner_id = $2 and c.conversation_id = $3 and c.deleted_at is null \
        and not has_expired(c.updated_at, c.expires_after)";
