//! Conversations and records on their way out, as one snapshot.

use std::collections::VecDeque;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row as _};
use tokio::time::timeout;

use super::Database;
use super::error::{StatementError, late};
use super::records::decode;
use super::rows::{conversation, owner_id};
use super::session::Session;
use crate::types::conversation::{ConversationId, ConversationKey, OwnerId};
use crate::types::error::Error;
use crate::types::message::{MessageId, NewMessage};
use crate::types::record::{ContentType, RecordKey, RecordValue};
use crate::types::transfer::{
    ExportCursor, Exported, ExportedConversation, ExportedMessage, ExportedOwner, ExportedRecord, Scope,
};

/// How long a step of an export may take: the first sorts the names of all conversations.
const EXPORT_DEADLINE: Duration = Duration::from_secs(120);
/// An export reads for as long as somebody takes what it reads: the role's time-outs are for those who write.
const BEGIN: &str = "begin isolation level repeatable read, read only;
    set local statement_timeout = 0;
    set local idle_in_transaction_session_timeout = 0";
/// How many conversations are fetched at a time, and about how many messages.
const CONVERSATIONS: usize = 200;
const MESSAGES: i64 = 200;

/// A transaction that sees the conversations as they were when it began. It ends with its connection, which nobody else
/// uses.
#[derive(Debug)]
pub(crate) struct Snapshots {
    session: Session,
    /// Whose they are, if they are one owner's.
    owner: Option<OwnerId>,
    ahead: VecDeque<Headed>,
    /// What is being read, page by page.
    within: Within,
    exhausted: bool,
}

/// What an export is within.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Within {
    /// The owners with records, of whom those up to this one were read.
    Owners(String),
    /// The messages of a conversation, of which those up to this position were read.
    Messages(Row, i64),
    /// Records, of which those up to this key were read; of an owner: which one.
    Records(Row, String, Option<String>),
    /// Between two conversations.
    Between,
}

/// What names a conversation in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    shard: i32,
    key: i64,
    /// The last position as the conversation was read: a distributed engine may read its messages at a later moment.
    last_seq: i64,
    /// The positions after the first and up to the second of these were cut off; 0 and 0: none.
    cut_after: i64,
    cut_until: i64,
    /// Whether there may be records.
    has_records: bool,
}

/// A conversation, and what names it in the tables.
#[derive(Debug)]
struct Headed {
    row: Row,
    record: ExportedConversation,
}

impl Database {
    /// Begins to read conversations and records as they are now; conversations from the one on in which the cursor is.
    pub(crate) async fn snapshots(
        &self,
        scope: &Scope,
        from: Option<&ExportCursor>,
    ) -> Result<Snapshots, Error> {
        let begin = async {
            let mut session = self.sessions.own().await?;
            sqlx::raw_sql(BEGIN).execute(&mut *session).await?;
            Ok(session)
        };
        let session = timeout(EXPORT_DEADLINE, begin).await.unwrap_or_else(|_| Err(late()));
        let session = session.map_err(of_read)?;
        let within = match scope {
            Scope::Conversation(_) => Within::Between,
            Scope::Everything | Scope::Owner(_) => Within::Owners(String::new()),
        };
        let owner = if let Scope::Owner(owner) = scope { Some(owner.clone()) } else { None };
        let mut snapshots = Snapshots { session, owner, ahead: VecDeque::new(), within, exhausted: false };
        let (owner, id) = match scope {
            Scope::Everything => (None, None),
            Scope::Owner(owner) => (Some(owner), None),
            Scope::Conversation(key) => (Some(&key.owner), Some(&key.id)),
        };
        let from = from.and_then(ExportCursor::conversation).unwrap_or_default();
        let declare = sqlx::query(DECLARE)
            .bind(owner.map(OwnerId::as_str))
            .bind(id.map(|id| id.as_str().to_owned()))
            .bind(from.to_owned());
        snapshots.rows(declare).await?;
        Ok(snapshots)
    }
}

impl Headed {
    /// Whether it is read in pages.
    fn is_long(&self) -> bool {
        self.record.message_count > MESSAGES || self.row.has_records
    }
}

impl Snapshots {
    /// Goes on at a place, and answers the line of the owner or the conversation that is in; none: that is no longer there, and what
    /// comes next is something else.
    pub(crate) async fn resume(&mut self, at: ExportCursor) -> Result<Option<Exported>, Error> {
        self.within = Within::Between;
        let id = match at {
            ExportCursor::OwnerRecord(after) => {
                let Some((row, owner)) = self.owner_after("").await? else { return Ok(None) };
                let name = owner.owner.as_str().to_owned();
                self.within = Within::Records(row, after, Some(name));
                return Ok(Some(Exported::Owner(owner)));
            }
            ExportCursor::Message(ref id, _) | ExportCursor::Record(ref id, _) => id.clone(),
        };
        self.fetch().await?;
        let Some(Headed { row, record }) = self.ahead.pop_front_if(|next| next.record.key.id.as_str() == id)
        else {
            return Ok(None);
        };
        self.within = match at {
            ExportCursor::Record(_, after) => Within::Records(row, after, None),
            ExportCursor::Message(_, after) => Within::Messages(row, after),
            ExportCursor::OwnerRecord(_) => Within::Between,
        };
        Ok(Some(Exported::Conversation(record)))
    }

    /// The next records, some hundred at most; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Vec<Exported>, Error> {
        while self.within != Within::Between {
            let page = self.page().await?;
            if !page.is_empty() {
                return Ok(page);
            }
        }
        if self.ahead.is_empty() && !self.exhausted {
            self.fetch().await?;
        }
        if self.ahead.front().is_some_and(Headed::is_long) {
            return Ok(self.begin_long().into_iter().collect());
        }
        self.several().await
    }

    /// The next part of what is being read in pages; none: what follows is something else.
    async fn page(&mut self) -> Result<Vec<Exported>, Error> {
        match std::mem::replace(&mut self.within, Within::Between) {
            Within::Between => Ok(Vec::new()),
            Within::Owners(after) => {
                let Some((row, owner)) = self.owner_after(&after).await? else { return Ok(Vec::new()) };
                let name = owner.owner.as_str().to_owned();
                self.within = Within::Records(row, String::new(), Some(name));
                Ok(vec![Exported::Owner(owner)])
            }
            Within::Messages(row, after) => {
                let messages = self.messages_after(row, after).await?;
                let read = i64::try_from(messages.len()).unwrap_or(i64::MAX);
                self.within = match messages.last().filter(|_| read == MESSAGES) {
                    Some(last) => Within::Messages(row, last.seq),
                    None if row.has_records => Within::Records(row, String::new(), None),
                    None => Within::Between,
                };
                Ok(messages.into_iter().map(Exported::Message).collect())
            }
            Within::Records(row, after, owner) => {
                let (records, last) = self.records_after(row, &after).await?;
                self.within = match (last, owner) {
                    (Some(last), owner) => Within::Records(row, last, owner),
                    (None, Some(owner)) => Within::Owners(owner),
                    (None, None) => Within::Between,
                };
                Ok(records)
            }
        }
    }

    /// The next owner with records.
    async fn owner_after(&mut self, after: &str) -> Result<Option<(Row, ExportedOwner)>, Error> {
        let query =
            sqlx::query(OWNER).bind(after).bind(self.owner.clone().map(|owner| owner.as_str().to_owned()));
        let rows = self.rows(query).await?;
        rows.first().map(owner).transpose().map_err(Error::Database)
    }

    /// The next records, and the key up to which they are; none: there are no more.
    async fn records_after(
        &mut self,
        row: Row,
        after: &str,
    ) -> Result<(Vec<Exported>, Option<String>), Error> {
        let rows = self.rows(sqlx::query(RECORDS).bind(row.shard).bind(row.key).bind(after)).await?;
        let records = rows.iter().map(record).collect::<sqlx::Result<Vec<_>>>().map_err(Error::Database)?;
        let last = records.last().map(|record| record.key.as_str().to_owned());
        Ok((records.into_iter().map(Exported::Record).collect(), last))
    }

    async fn fetch(&mut self) -> Result<(), Error> {
        let rows = self.rows(sqlx::query(FETCH)).await?;
        self.exhausted = rows.len() < CONVERSATIONS;
        for row in &rows {
            self.ahead.push_back(headed(row).map_err(Error::Database)?);
        }
        Ok(())
    }

    /// A conversation that is read in pages.
    fn begin_long(&mut self) -> Option<Exported> {
        let Headed { row, record } = self.ahead.pop_front()?;
        self.within = Within::Messages(row, 0);
        Some(Exported::Conversation(record))
    }

    async fn messages_after(&mut self, row: Row, seq: i64) -> Result<Vec<ExportedMessage>, Error> {
        let query = sqlx::query(PAGE)
            .bind(row.shard)
            .bind(row.key)
            .bind(seq)
            .bind(row.last_seq)
            .bind(MESSAGES)
            .bind(row.cut_after)
            .bind(row.cut_until);
        let rows = self.rows(query).await?;
        rows.iter().map(message).collect::<Result<_, _>>().map_err(Error::Database)
    }

    /// As many short conversations as together are as long as a page, whole.
    async fn several(&mut self) -> Result<Vec<Exported>, Error> {
        let (mut taken, mut messages) = (Vec::new(), 0);
        while let Some(next) = self.ahead.pop_front() {
            messages += next.record.message_count;
            if messages > MESSAGES || next.is_long() {
                self.ahead.push_front(next);
                break;
            }
            taken.push(next);
        }
        let full = taken.iter().filter(|next| next.record.message_count > 0);
        let rows: Vec<Row> = full.map(|next| next.row).collect();
        let rows = if rows.is_empty() {
            Vec::new()
        } else {
            let column = |of: fn(&Row) -> i64| rows.iter().map(of).collect::<Vec<_>>();
            let query = sqlx::query(WHOLE)
                .bind(rows.iter().map(|row| row.shard).collect::<Vec<_>>())
                .bind(column(|row| row.key))
                .bind(column(|row| row.last_seq))
                .bind(column(|row| row.cut_after))
                .bind(column(|row| row.cut_until));
            self.rows(query).await?
        };
        let mut rows = rows.iter().peekable();
        let mut records = Vec::new();
        for Headed { row: Row { key, .. }, record } in taken {
            records.push(Exported::Conversation(record));
            let is_its = |row: &&PgRow| row.try_get::<i64, _>("conversation_key").is_ok_and(|of| of == key);
            while let Some(row) = rows.next_if(|row| is_its(row)) {
                records.push(Exported::Message(message(row).map_err(Error::Database)?));
            }
        }
        Ok(records)
    }

    async fn rows(&mut self, query: Query<'_, Postgres, PgArguments>) -> Result<Vec<PgRow>, Error> {
        let rows = timeout(EXPORT_DEADLINE, query.fetch_all(&mut *self.session)).await;
        rows.unwrap_or_else(|_| Err(late())).map_err(of_read)
    }
}

fn of_read(error: sqlx::Error) -> Error {
    StatementError { error, maybe_applied: false }.of_read()
}

// In the order of their bytes.
const DECLARE: &str = "declare conversations_to_export no scroll cursor for
    select shard, key, owner_id, conversation_json(row(c.*)::conversations) as conversation, last_seq, record_revision,
        case when record_revision = 0 then 0 else
            (select count(*) from records r where r.shard = c.shard and r.scope_key = c.key) end as record_count,
        cut_after, cut_until, unix_micros(created_at) as created_at,
        unix_micros(updated_at) as updated_at, unix_micros(last_message_at) as last_message_at
    from conversations c where deleted_at is null and not has_expired(updated_at, expires_after)
        and ($1::text is null or owner_id = $1) and ($2::text is null or conversation_id = $2)
        and conversation_id >= $3
    order by owner_id, conversation_id";
const FETCH: &str = "fetch 200 from conversations_to_export";
const _: () = assert!(CONVERSATIONS == 200);
const PAGE: &str = "select seq, message_id, id_in_body, body::text as body, unix_micros(created_at) as at
    from messages where shard = $1 and conversation_key = $2 and seq > $3 and seq <= $4 and not (seq > $6 and seq <= $7)
    order by seq limit $5";
const WHOLE: &str = "select m.conversation_key, m.seq, m.message_id, m.id_in_body, m.body::text as body,
        unix_micros(m.created_at) as at
    from unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) with ordinality
            as wanted(shard, key, last_seq, cut_after, cut_until, place)
        join messages m on m.shard = wanted.shard and m.conversation_key = wanted.key and m.seq <= wanted.last_seq
            and (m.seq > wanted.cut_until or m.seq <= wanted.cut_after)
    order by wanted.place, m.seq";
/// The next owner with records.
const OWNER: &str = "select shard, -key as key, owner_id, record_revision,
        (select count(*) from records r where r.shard = o.shard and r.scope_key = -o.key) as record_count
    from owners o where owner_id > $1 and record_revision > erased_revision and ($2::text is null or owner_id = $2)
    order by owner_id limit 1";
/// The next records, up to 200, and up to 8 MiB of values but at least one.
const RECORDS: &str = "select key, revision, content_type, value, unix_micros(updated_at) as at from (
        select *, sum(octet_length(value)) over (order by key) as bytes, row_number() over (order by key) as place
        from (select * from records where shard = $1 and scope_key = $2 and key > $3 order by key limit 200) page) sized
    where bytes <= 8388608 or place = 1 order by key";
fn headed(row: &PgRow) -> sqlx::Result<Headed> {
    let owner = OwnerId::new(row.try_get::<String, _>("owner_id")?).map_err(decode)?;
    let conversation = conversation(row)?;
    let record = ExportedConversation {
        key: ConversationKey { owner, id: conversation.id.clone() },
        version: conversation.version,
        message_count: conversation.message_count,
        forked_from: conversation.forked_from.clone().map(ConversationId::new).transpose().map_err(decode)?,
        forked_at: conversation.forked_at,
        fields: conversation.into_fields(),
        last_seq: row.try_get("last_seq")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        last_message_at: row.try_get("last_message_at")?,
        record_revision: row.try_get("record_revision")?,
        record_count: row.try_get("record_count")?,
    };
    Ok(Headed {
        row: Row {
            shard: row.try_get("shard")?,
            key: row.try_get("key")?,
            last_seq: record.last_seq,
            cut_after: row.try_get("cut_after")?,
            cut_until: row.try_get("cut_until")?,
            has_records: record.record_revision > 0,
        },
        record,
    })
}

fn message(row: &PgRow) -> sqlx::Result<ExportedMessage> {
    let id = MessageId::new(row.try_get::<String, _>("message_id")?).map_err(decode)?;
    let (id_in_body, body) = (row.try_get("id_in_body")?, row.try_get("body")?);
    let message = NewMessage { id, id_in_body, body };
    Ok(ExportedMessage::stored(row.try_get("seq")?, row.try_get("at")?, message))
}

/// An owner, as what records belong to.
fn owner(row: &PgRow) -> sqlx::Result<(Row, ExportedOwner)> {
    let (shard, key) = (row.try_get("shard")?, row.try_get("key")?);
    let of = ExportedOwner {
        owner: owner_id(row)?,
        record_revision: row.try_get("record_revision")?,
        record_count: row.try_get("record_count")?,
    };
    Ok((Row { shard, key, last_seq: 0, cut_after: 0, cut_until: 0, has_records: true }, of))
}

fn record(row: &PgRow) -> sqlx::Result<ExportedRecord> {
    Ok(ExportedRecord {
        key: RecordKey::new(row.try_get::<String, _>("key")?).map_err(decode)?,
        revision: row.try_get("revision")?,
        updated_at: row.try_get("at")?,
        value: RecordValue {
            bytes: row.try_get("value")?,
            content_type: ContentType::of_stored(row.try_get("content_type")?),
        },
    })
}
