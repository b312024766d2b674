//! Exported conversations and records on their way in.

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::Database;
use super::error::StatementError;
use super::rows::{Commit, only};
use crate::types::conversation::{ConversationId, ConversationKey};
use crate::types::error::Error;
use crate::types::record::RecordScope;
use crate::types::snapshot::IntentOutcome;
use crate::types::transfer::{ExportedConversation, ExportedMessage, ExportedRecord, ImportSource};

/// What a row says beside the conversation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counters {
    /// The highest position ever given out.
    pub(crate) last_seq: i64,
    /// The version up to which the cached copy may be stale.
    pub(crate) pending_invalidation: Option<i64>,
    /// At how many positions the sweep has yet to remove what is deleted.
    pub(crate) positions_to_remove: i64,
    /// How many records it has, and how many bytes they take at rest.
    pub(crate) records: i64,
    pub(crate) record_bytes: i64,
}

/// What an import's commit did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Imported {
    pub(crate) stored: i64,
    pub(crate) version: i64,
    /// Nothing was written: all of it is there.
    pub(crate) duplicate: bool,
}

impl Database {
    /// Stores a part of an exported conversation.
    pub(crate) async fn import(
        &self,
        of: &ExportedConversation,
        part: &[ExportedMessage],
        last: bool,
        intent: IntentOutcome,
    ) -> Result<Commit<Imported>, Error> {
        let query = sqlx::query(IMPORT)
            .bind(of.key.owner.shard())
            .bind(of.key.owner.as_str())
            .bind(of.key.id.as_str())
            .bind(of.fields.to_json())
            .bind(of.version)
            .bind(of.last_seq)
            .bind(of.created_at)
            .bind(of.updated_at)
            .bind(of.last_message_at)
            .bind(of.forked_from.as_ref().map(ConversationId::as_str))
            .bind(of.forked_at)
            .bind(part.iter().map(|record| record.seq).collect::<Vec<_>>())
            .bind(part.iter().map(|record| record.message.id.as_str()).collect::<Vec<_>>())
            .bind(part.iter().map(|record| record.message.id_in_body).collect::<Vec<_>>())
            .bind(part.iter().map(|record| record.message.body.as_str()).collect::<Vec<_>>())
            .bind(part.iter().map(|record| record.created_at).collect::<Vec<_>>())
            .bind(last)
            .bind(intent.has_intent())
            .bind(intent.epoch())
            .bind(self.generation());
        imported(&only(self.rows(query).await.map_err(StatementError::of_write)?)?)
    }

    /// Stores exported records as they were; how many were not there, or were older. None: there is no such conversation.
    pub(crate) async fn import_records(
        &self,
        scope: &RecordScope,
        last_revision: i64,
        records: &[ExportedRecord],
    ) -> Result<i64, Error> {
        let query = sqlx::query(IMPORT_RECORDS)
            .bind(scope.owner().shard())
            .bind(scope.owner().as_str())
            .bind(scope.conversation_id())
            .bind(last_revision)
            .bind(records.iter().map(|record| record.key.as_str()).collect::<Vec<_>>())
            .bind(records.iter().map(|record| record.value.bytes.as_slice()).collect::<Vec<_>>())
            .bind(records.iter().map(|record| record.value.content_type.stored()).collect::<Vec<_>>())
            .bind(records.iter().map(|record| record.revision).collect::<Vec<_>>())
            .bind(records.iter().map(|record| record.updated_at).collect::<Vec<_>>());
        let row = only(self.rows(query).await.map_err(StatementError::of_write)?)?;
        match row.try_get("outcome").map_err(Error::Database)? {
            "deleted" => Err(Error::ConversationDeleted),
            "absent" => Err(Error::NotFound),
            "conflict" => {
                Err(Error::RecordConflict { key: row.try_get("conflict_key").map_err(Error::Database)? })
            }
            _ => row.try_get("stored").map_err(Error::Database),
        }
    }

    /// What the row says beside the conversation.
    pub(crate) async fn counters(&self, key: &ConversationKey) -> Result<Option<Counters>, Error> {
        let query =
            sqlx::query(COUNTERS).bind(key.owner.shard()).bind(key.owner.as_str()).bind(key.id.as_str());
        let rows = self.rows(query).await.map_err(StatementError::of_read)?;
        let counters = |row: &PgRow| {
            Ok(Counters {
                last_seq: row.try_get("last_seq")?,
                pending_invalidation: row.try_get("pending_invalidation")?,
                positions_to_remove: row.try_get("positions_to_remove")?,
                records: row.try_get("records")?,
                record_bytes: row.try_get("record_bytes")?,
            })
        };
        rows.first().map(counters).transpose().map_err(Error::Database)
    }

    /// Up to where an import has stored everything; none: it has not begun, or it has ended.
    pub(crate) async fn import_position(&self, source: &ImportSource) -> Result<Option<i64>, Error> {
        let query =
            sqlx::query("select position from import_positions where source = $1").bind(source.as_str());
        let rows = self.rows(query).await.map_err(StatementError::of_read)?;
        rows.first().map(|row| row.try_get("position")).transpose().map_err(Error::Database)
    }

    pub(crate) async fn set_import_position(&self, source: &ImportSource, at: i64) -> Result<(), Error> {
        let query = sqlx::query(
            "insert into import_positions (source, position, at) values ($1, $2, now())
                on conflict (source) do update set position = excluded.position, at = excluded.at",
        )
        .bind(source.as_str())
        .bind(at);
        self.rows(query).await.map(drop).map_err(StatementError::of_read)
    }

    pub(crate) async fn forget_import_position(&self, source: &ImportSource) -> Result<(), Error> {
        let query = sqlx::query("delete from import_positions where source = $1").bind(source.as_str());
        self.rows(query).await.map(drop).map_err(StatementError::of_read)
    }
}

const COUNTERS: &str = "select c.last_seq, d.version as pending_invalidation,
        coalesce(coalesce(p.until_seq, c.last_seq) - p.next_seq + 1, 0) as positions_to_remove,
        (select count(*) from records r where r.shard = $1 and r.scope_key = c.key) as records,
        (select coalesce(sum(pg_column_size(r.value)), 0)::bigint from records r
            where r.shard = $1 and r.scope_key = c.key) as record_bytes
    from conversations c left join pending_invalidations d on d.shard = $1 and d.conversation_key = c.key
        left join purges p on p.shard = $1 and p.conversation_key = c.key
    where c.shard = $1 and c.owner_id = $2 and c.conversation_id = $3";
const IMPORT_RECORDS: &str =
    "select outcome, conflict_key, stored from import_records($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const IMPORT: &str = "select outcome, row_epoch, conflict_id, stored, row_version
    from import_messages($1, $2, $3, $4::text::json, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)";

fn imported(row: &PgRow) -> Result<Commit<Imported>, Error> {
    match row.try_get("outcome").map_err(Error::Database)? {
        "refused" => row.try_get("row_epoch").map(Commit::Refused).map_err(Error::Database),
        "conflict" => {
            let id = row.try_get("conflict_id").map_err(Error::Database)?;
            Err(Error::MessageConflict { id, path: String::new() })
        }
        "deleted" => Err(Error::ConversationDeleted),
        "cut" => Err(Error::DatabaseUnavailable("messages that were cut off are still being removed".into())),
        outcome => {
            let number = |name: &str| row.try_get(name).map_err(Error::Database);
            let (stored, version) = (number("stored")?, number("row_version")?);
            Ok(Commit::Done(Imported { stored, version, duplicate: outcome == "duplicate" }))
        }
    }
}
