//! From what Postgres answers to what the store takes.

use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row as _};

use crate::types::conversation::{Conversation, ConversationId, ConversationKey, OwnerId};
use crate::types::error::{Error, Problem};
use crate::types::message::{Batch, Message, MessageId, NewMessage};
use crate::types::page::MessageAtVersion;
use crate::types::record::WrittenRecord;
use crate::types::snapshot::{Snapshot, Window};

/// What came of a commit.
#[derive(Debug)]
pub(crate) enum Commit<T> {
    /// It is done, or was done before.
    Done(T),
    /// It was committed under another epoch than the row's (none: there is no row). Nothing was written.
    Refused(Option<i64>),
}

/// The messages of an add, as they are stored now, in the order given.
#[derive(Debug)]
pub(crate) struct Added {
    pub(crate) messages: Vec<Message>,
    pub(crate) records: Vec<WrittenRecord>,
    pub(crate) snapshot: Snapshot,
    /// Nothing was written: all of it had been stored before.
    pub(crate) duplicate: bool,
}

/// The replacement of the end of a conversation.
#[derive(Debug)]
pub(crate) struct Replaced {
    /// The new messages, as they are stored now.
    pub(crate) messages: Vec<Message>,
    pub(crate) records: Vec<WrittenRecord>,
    /// How many were cut off.
    pub(crate) removed: i64,
    pub(crate) snapshot: Snapshot,
    /// Nothing was written: it was done before, or there was nothing to do.
    pub(crate) again: bool,
}

/// The deletion of a message.
#[derive(Debug)]
pub(crate) struct MessageDeletion {
    /// The conversation without it.
    pub(crate) snapshot: Snapshot,
    /// It had been deleted before, and nothing was written.
    pub(crate) again: bool,
}

/// What Postgres knows under a conversation's key.
#[derive(Debug)]
pub(crate) enum Found {
    Live(Box<Snapshot>),
    /// A tombstone, and its version.
    Deleted(i64),
    Absent,
}

/// A conversation whose cached copy may be behind, as of that version.
#[derive(Debug)]
pub(crate) struct PendingInvalidation {
    pub(crate) key: ConversationKey,
    pub(crate) version: i64,
}

/// A conversation and the messages next to a position, as one snapshot; one message more than asked for if there is.
#[derive(Debug)]
pub(crate) struct MessageRange {
    pub(crate) version: i64,
    /// Whether the conversation has the message that the position is named by.
    pub(crate) anchor_found: bool,
    pub(crate) messages: Vec<Message>,
}

/// The newest messages of a conversation, as many as were asked for and as an answer holds.
#[derive(Debug)]
pub(crate) struct Newest {
    pub(crate) version: i64,
    pub(crate) message_count: i64,
    /// Oldest first.
    pub(crate) messages: Vec<Message>,
}

/// A conversation and its place in the list.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) conversation: Conversation,
    pub(crate) at_micros: i64,
}

/// The one row that a statement returns.
pub(super) fn only(rows: Vec<PgRow>) -> Result<PgRow, Error> {
    rows.into_iter().next().ok_or(Error::Database(sqlx::Error::RowNotFound))
}

/// A query for a snapshot. Each of its attributes is named: a statement that is prepared on a connection must not change
/// with a later migration.
macro_rules! select_snapshot {
    ($also:literal, $of:literal, $from:literal) => {
        concat!(
            "select ",
            $also,
            $of,
            "deleted, ",
            $of,
            "epoch, ",
            $of,
            "took_epoch, ",
            $of,
            "version, ",
            $of,
            "first_seq, ",
            $of,
            "conversation, ",
            $of,
            "window_seqs, ",
            $of,
            "window_ids, ",
            $of,
            "window_ats, ",
            $of,
            "window_bodies from ",
            $from
        )
    };
}
pub(super) use select_snapshot;

/// What came of an add.
pub(super) enum AddOutcome {
    Commit(Box<Commit<Added>>),
    /// Messages of these ids are stored with these bodies, which are not those that were sent to the byte.
    Spelt(Vec<(String, String)>),
}

pub(super) fn added(row: &PgRow, messages: &[NewMessage], batch: &Batch) -> Result<AddOutcome, Error> {
    let outcome: &str = row.try_get("outcome").map_err(Error::Database)?;
    match outcome {
        "refused" => {
            let epoch = row.try_get("row_epoch").map_err(Error::Database)?;
            Ok(AddOutcome::Commit(Box::new(Commit::Refused(epoch))))
        }
        "conflict" => spelt(row).map(AddOutcome::Spelt).map_err(Error::Database),
        "message_deleted" => Err(was_deleted(row, batch).map_err(Error::Database)?),
        "exists" => {
            let version = row.try_get("version").map_err(Error::Database)?;
            Err(Error::ConversationExists { version })
        }
        "absent" => Err(Error::NotFound),
        "version_mismatch" => Err(version_mismatch(row)),
        "deleted" => Err(Error::ConversationDeleted),
        _ => {
            let messages = stored_messages(row, messages).map_err(Error::Database)?;
            let snapshot = snapshot(row).map_err(Error::Database)?;
            let records = written_records(row, batch).map_err(Error::Database)?;
            let added = Added { messages, records, snapshot, duplicate: outcome == "duplicate" };
            Ok(AddOutcome::Commit(Box::new(Commit::Done(added))))
        }
    }
}

fn spelt(row: &PgRow) -> sqlx::Result<Vec<(String, String)>> {
    let (ids, bodies): (Vec<String>, Vec<String>) =
        (row.try_get("stored_ids")?, row.try_get("stored_bodies")?);
    Ok(ids.into_iter().zip(bodies).collect())
}

fn was_deleted(row: &PgRow, batch: &Batch) -> sqlx::Result<Error> {
    let (id, path) = first_named(row, batch)?;
    Ok(Error::MessageDeleted { id, path })
}

/// A message that stays has the id of a new one.
fn is_kept(row: &PgRow, batch: &Batch) -> sqlx::Result<Error> {
    let (id, path) = first_named(row, batch)?;
    Ok(Error::MessageStays { id, path })
}

/// The first message of a batch that the row names, and its path.
fn first_named(row: &PgRow, batch: &Batch) -> sqlx::Result<(String, String)> {
    let named: Vec<String> = row.try_get("stored_ids")?;
    let is_named = |message: &NewMessage| named.iter().any(|id| id == message.id.as_str());
    let at = batch.messages().iter().position(is_named).unwrap_or(0);
    let id = batch.messages().get(at).map_or_else(String::new, |message| message.id.as_str().to_owned());
    Ok((id, batch.path(at)))
}

pub(super) fn replaced(row: &PgRow, batch: &Batch) -> Result<Commit<Option<Replaced>>, Error> {
    let outcome: &str = row.try_get("outcome").map_err(Error::Database)?;
    match outcome {
        "message_deleted" => Err(was_deleted(row, batch).map_err(Error::Database)?),
        "conflict" => Err(is_kept(row, batch).map_err(Error::Database)?),
        "beyond" => {
            let last: Vec<i64> = row.try_get("stored_seqs").map_err(Error::Database)?;
            let max = last.first().copied().unwrap_or_default();
            Err(Problem::OutOfRange { min: 0, max }.of("after").into())
        }
        _ => {
            let snapshot = match changed(row)? {
                Commit::Done(Some(snapshot)) => snapshot,
                Commit::Done(None) => return Ok(Commit::Done(None)),
                Commit::Refused(epoch) => return Ok(Commit::Refused(epoch)),
            };
            let messages = stored_messages(row, batch.messages()).map_err(Error::Database)?;
            let removed = row.try_get("removed").map_err(Error::Database)?;
            let records = written_records(row, batch).map_err(Error::Database)?;
            let again = outcome == "duplicate";
            Ok(Commit::Done(Some(Replaced { messages, records, removed, snapshot, again })))
        }
    }
}

/// What a precondition failed on.
pub(super) fn version_mismatch(row: &PgRow) -> Error {
    row.try_get("version").map_or_else(Error::Database, |version| Error::VersionMismatch { version })
}

pub(super) fn changed(row: &PgRow) -> Result<Commit<Option<Snapshot>>, Error> {
    let outcome: &str = row.try_get("outcome").map_err(Error::Database)?;
    match outcome {
        "refused" => row.try_get("row_epoch").map(Commit::Refused).map_err(Error::Database),
        "absent" => Ok(Commit::Done(None)),
        "version_mismatch" => Err(version_mismatch(row)),
        _ => snapshot(row).map(Some).map(Commit::Done).map_err(Error::Database),
    }
}

pub(super) fn message_deleted(row: &PgRow) -> Result<Commit<Option<MessageDeletion>>, Error> {
    let again = row.try_get::<&str, _>("outcome").map_err(Error::Database)? == "duplicate";
    Ok(match changed(row)? {
        Commit::Done(found) => Commit::Done(found.map(|snapshot| MessageDeletion { snapshot, again })),
        Commit::Refused(epoch) => Commit::Refused(epoch),
    })
}

/// The records that were written with a batch of messages.
fn written_records(row: &PgRow, batch: &Batch) -> sqlx::Result<Vec<WrittenRecord>> {
    let revisions: Option<Vec<i64>> = row.try_get("record_revisions")?;
    Ok(batch.records().written(&revisions.unwrap_or_default()))
}

/// The messages of a batch, where they are stored: without those that were deleted after an earlier try.
fn stored_messages(row: &PgRow, messages: &[NewMessage]) -> sqlx::Result<Vec<Message>> {
    let ids: Option<Vec<String>> = row.try_get("stored_ids")?;
    let bodies: Option<Vec<Option<String>>> = row.try_get("stored_bodies")?;
    let seqs: Option<Vec<Option<i64>>> = row.try_get("stored_seqs")?;
    let ats: Option<Vec<Option<i64>>> = row.try_get("stored_ats")?;
    let places = seqs.unwrap_or_default().into_iter().zip(ats.unwrap_or_default());
    let stored = places.enumerate().filter_map(|(at, place)| {
        let (seq, created_at) = (place.0?, place.1?);
        // Of an earlier try, under its idempotency key, the bodies that it stored.
        let first = bodies.as_ref().and_then(|bodies| bodies.get(at)?.clone()).map(|body| {
            let id = ids.as_ref().and_then(|ids| ids.get(at)).and_then(|id| MessageId::new(id.as_str()).ok());
            id.map(|id| NewMessage::stored(id, body))
        });
        let message = match &first {
            Some(first) => first.as_ref(),
            None => messages.get(at),
        }?;
        let id = (!message.id_in_body).then_some(message.id.as_str());
        Some(Message::assemble(seq, id, created_at, &message.body))
    });
    Ok(stored.collect())
}

pub(super) fn found(row: Option<&PgRow>) -> sqlx::Result<Found> {
    let Some(row) = row else { return Ok(Found::Absent) };
    if row.try_get("deleted")? {
        return Ok(Found::Deleted(row.try_get("version")?));
    }
    snapshot(row).map(Box::new).map(Found::Live)
}

fn snapshot(row: &PgRow) -> sqlx::Result<Snapshot> {
    Ok(Snapshot {
        conversation: conversation(row)?,
        epoch: row.try_get("epoch")?,
        took_epoch: row.try_get("took_epoch")?,
        first_seq: row.try_get("first_seq")?,
        window: window(row)?,
    })
}

pub(super) fn conversation(row: &PgRow) -> sqlx::Result<Conversation> {
    serde_json::from_str(row.try_get("conversation")?).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// Of the oldest messages that do not fit into a window the row has the positions alone.
fn window(row: &PgRow) -> sqlx::Result<Option<Window>> {
    let Some(mut seqs) = row.try_get::<Option<Vec<i64>>, _>("window_seqs")? else { return Ok(None) };
    let ids: Vec<Option<String>> = row.try_get("window_ids")?;
    let ats: Vec<i64> = row.try_get("window_ats")?;
    let bodies: Vec<String> = row.try_get("window_bodies")?;
    let with_json = seqs.split_off(seqs.len().saturating_sub(bodies.len()));
    let rows = with_json.into_iter().zip(ids).zip(ats).zip(bodies);
    let message = |(((seq, id), at), body): (((_, Option<String>), _), String)| {
        Message::assemble(seq, id.as_deref(), at, &body)
    };
    Ok(Some(Window { bare: seqs, messages: rows.map(message).collect() }))
}

pub(super) fn newest(rows: &[PgRow]) -> sqlx::Result<Option<Newest>> {
    let Some(first) = rows.first() else { return Ok(None) };
    let (version, message_count) = (first.try_get("version")?, first.try_get("message_count")?);
    Ok(Some(Newest { version, message_count, messages: messages(rows)? }))
}

pub(super) fn message_range(rows: &[PgRow]) -> sqlx::Result<Option<MessageRange>> {
    let Some(first) = rows.first() else { return Ok(None) };
    let (version, anchor_found) = (first.try_get("version")?, first.try_get("anchor_found")?);
    Ok(Some(MessageRange { version, anchor_found, messages: messages(rows)? }))
}

/// The messages in rows of which one without a message says only that there is a conversation.
fn messages(rows: &[PgRow]) -> sqlx::Result<Vec<Message>> {
    let mut messages = Vec::with_capacity(rows.len());
    for row in rows {
        if row.try_get::<Option<i64>, _>("seq")?.is_some() {
            messages.push(message(row)?);
        }
    }
    Ok(messages)
}

pub(super) fn message_at_version(row: &PgRow) -> sqlx::Result<MessageAtVersion> {
    Ok(MessageAtVersion { version: row.try_get("version")?, message: message(row)? })
}

fn message(row: &PgRow) -> sqlx::Result<Message> {
    let (id, body) = (row.try_get("id")?, row.try_get("body")?);
    Ok(Message::assemble(row.try_get("seq")?, id, row.try_get("at")?, body))
}

impl FromRow<'_, PgRow> for PendingInvalidation {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self { key: conversation_key(row)?, version: row.try_get("version")? })
    }
}

pub(super) fn conversation_key(row: &PgRow) -> sqlx::Result<ConversationKey> {
    Ok(ConversationKey { owner: owner_id(row)?, id: conversation_id(row)? })
}

pub(super) fn owner_id(row: &PgRow) -> sqlx::Result<OwnerId> {
    let owner = row.try_get::<String, _>("owner_id")?;
    OwnerId::new(owner).map_err(|invalid| sqlx::Error::Decode(invalid.into()))
}

pub(super) fn conversation_id(row: &PgRow) -> sqlx::Result<ConversationId> {
    let id = row.try_get::<String, _>("conversation_id")?;
    ConversationId::new(id).map_err(|invalid| sqlx::Error::Decode(invalid.into()))
}

impl FromRow<'_, PgRow> for Listed {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(Self { conversation: conversation(row)?, at_micros: row.try_get("at_micros")? })
    }
}
