//! Records: what writes and reads them.

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row as _};

use super::Database;
use super::error::StatementError;
use super::rows::only;
use crate::types::error::{Error, Invalid};
use crate::types::idempotency::{IdempotencyKey, RequestFingerprint};
use crate::types::page::{Order, Page};
use crate::types::record::{
    ContentType, DeletedRecords, RECORD_DELETION, Record, RecordBatch, RecordDeletion, RecordKey,
    RecordQuery, RecordScope, RecordValue, WrittenRecord,
};

/// Binds what `put_records` takes, the last parameters of a statement: keys, values, content types, conditions.
pub(super) fn bind_records<'q>(
    query: Query<'q, Postgres, PgArguments>,
    records: &'q RecordBatch,
) -> Query<'q, Postgres, PgArguments> {
    let column = |of: fn(&RecordValue) -> Option<&str>| {
        records.changes().iter().map(|change| change.value.as_ref().and_then(of)).collect::<Vec<_>>()
    };
    let conditions = records.changes().iter().map(|change| change.precondition.of_record());
    query
        .bind(keys(records))
        .bind(values(records))
        .bind(column(|value| value.content_type.stored()))
        .bind(conditions.collect::<Vec<_>>())
}

fn keys(records: &RecordBatch) -> Vec<&str> {
    records.changes().iter().map(|change| change.key.as_str()).collect()
}

fn values(records: &RecordBatch) -> Vec<Option<&[u8]>> {
    records.changes().iter().map(|change| change.value.as_ref().map(|value| value.bytes.as_slice())).collect()
}

impl Database {
    /// Writes records: all or none.
    pub(crate) async fn write_records(
        &self,
        scope: &RecordScope,
        records: &RecordBatch,
    ) -> Result<Vec<WrittenRecord>, Error> {
        let fingerprint = records.idempotency_key().map(|_| records.fingerprint());
        let query =
            sqlx::query("select outcome, revisions from write_records($1, $2, $3, $6, $7, $8, $9, $4, $5)")
                .bind(scope.owner().shard())
                .bind(scope.owner().as_str())
                .bind(scope.conversation_id())
                .bind(records.idempotency_key().map(IdempotencyKey::stored))
                .bind(fingerprint.as_ref().map(RequestFingerprint::bytes));
        let row = only(self.rows(bind_records(query, records)).await.map_err(StatementError::of_write)?)?;
        if row.try_get::<&str, _>("outcome").map_err(Error::Database)? == "deleted" {
            return Err(Error::ConversationDeleted);
        }
        let revisions: Vec<i64> = row.try_get("revisions").map_err(Error::Database)?;
        Ok(records.written(&revisions))
    }

    /// Deletes the first records whose keys begin with a text; none: there is no such conversation.
    pub(crate) async fn delete_records(
        &self,
        scope: &RecordScope,
        deletion: &RecordDeletion,
    ) -> Result<Option<DeletedRecords>, Error> {
        let fingerprint = deletion.idempotency_key.as_ref().map(|_| deletion.fingerprint());
        let query =
            sqlx::query("select outcome, deleted, has_more from delete_records($1, $2, $3, $4, $5, $6, $7)")
                .bind(scope.owner().shard())
                .bind(scope.owner().as_str())
                .bind(scope.conversation_id())
                .bind(deletion.prefix.as_str())
                .bind(i64::try_from(RECORD_DELETION).unwrap_or(i64::MAX))
                .bind(deletion.idempotency_key.as_ref().map(IdempotencyKey::stored))
                .bind(fingerprint.as_ref().map(RequestFingerprint::bytes));
        let row = only(self.rows(query).await.map_err(StatementError::of_write)?)?;
        let deleted = || {
            let (deleted, has_more) = (row.try_get("deleted")?, row.try_get("has_more")?);
            let is_there = row.try_get::<&str, _>("outcome")? == "deleted";
            Ok(is_there.then_some(DeletedRecords { deleted, has_more }))
        };
        deleted().map_err(Error::Database)
    }

    /// Reads a record, without its value where the caller has one of these revisions, -1 standing for any. None: there is no such record;
    /// an error, [`Error::NotFound`], where there is no such conversation.
    pub(crate) async fn read_record(
        &self,
        scope: &RecordScope,
        key: &RecordKey,
        known: &[i64],
    ) -> Result<Option<Record>, Error> {
        let query = sqlx::query(
            "select is_there, revision, at, size, content_type, value from read_record($1, $2, $3, $4, $5)",
        )
        .bind(scope.owner().shard())
        .bind(scope.owner().as_str())
        .bind(scope.conversation_id())
        .bind(key.as_str())
        .bind(known);
        let row = only(self.rows(query).await.map_err(StatementError::of_read)?)?;
        if !row.try_get("is_there").map_err(Error::Database)? {
            return Err(Error::NotFound);
        }
        record(&row, key).map_err(Error::Database)
    }

    /// Lists records in the order of their keys.
    pub(crate) async fn list_records(
        &self,
        scope: &RecordScope,
        query: &RecordQuery,
    ) -> Result<Page<Record>, Error> {
        let statement = sqlx::query(
            "select keys, revisions, ats, sizes, content_types, record_values, has_more
                from list_records($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(scope.owner().shard())
        .bind(scope.owner().as_str())
        .bind(scope.conversation_id())
        .bind(query.keys.iter().map(RecordKey::as_str).collect::<Vec<_>>())
        .bind(disjoint(&query.prefixes))
        .bind(query.after.as_deref())
        .bind(query.order == Order::Descending)
        .bind(query.limit.rows())
        .bind(query.value_bytes.is_some())
        .bind(query.value_bytes.map_or(0, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX)));
        page(&only(self.rows(statement).await.map_err(StatementError::of_read)?)?).map_err(Error::Database)
    }
}

/// Prefixes without those that begin with another one, of which every record has been listed already.
fn disjoint(prefixes: &[String]) -> Vec<&str> {
    let mut sorted: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    let mut kept: Vec<&str> = Vec::new();
    for prefix in sorted {
        if kept.last().is_none_or(|last| !prefix.starts_with(last)) {
            kept.push(prefix);
        }
    }
    kept
}

fn record(row: &PgRow, key: &RecordKey) -> sqlx::Result<Option<Record>> {
    let Some(revision) = row.try_get("revision")? else { return Ok(None) };
    Ok(Some(Record {
        key: key.clone(),
        revision,
        size: size(row.try_get("size")?),
        content_type: ContentType::of_stored(row.try_get("content_type")?),
        updated_at: row.try_get("at")?,
        value: row.try_get("value")?,
    }))
}

fn page(row: &PgRow) -> sqlx::Result<Page<Record>> {
    let keys: Vec<String> = row.try_get("keys")?;
    let revisions: Option<Vec<i64>> = row.try_get("revisions")?;
    let ats: Option<Vec<i64>> = row.try_get("ats")?;
    let sizes: Option<Vec<i32>> = row.try_get("sizes")?;
    let types: Option<Vec<Option<String>>> = row.try_get("content_types")?;
    let values: Option<Vec<Vec<u8>>> = row.try_get("record_values")?;
    let mut values = values.unwrap_or_default().into_iter();
    let rows = keys.into_iter().zip(revisions.unwrap_or_default()).zip(ats.unwrap_or_default());
    let rows = rows.zip(sizes.unwrap_or_default()).zip(types.unwrap_or_default());
    let record = |((((key, revision), updated_at), bytes), content_type): ((((String, _), _), _), _)| {
        Ok(Record {
            key: RecordKey::new(key).map_err(decode)?,
            revision,
            size: size(bytes),
            content_type: ContentType::of_stored(content_type),
            updated_at,
            value: values.next(),
        })
    };
    Ok(Page { items: rows.map(record).collect::<sqlx::Result<_>>()?, has_more: row.try_get("has_more")? })
}

fn size(bytes: i32) -> usize {
    usize::try_from(bytes).unwrap_or(0)
}

pub(super) fn decode(invalid: Invalid) -> sqlx::Error {
    sqlx::Error::Decode(invalid.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_that_begins_with_another_one_adds_nothing() {
        let kept = |prefixes: &[&str]| {
            let prefixes: Vec<_> = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
            disjoint(&prefixes).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(kept(&["b", "a/", "a/1", "ab", "b"]), ["a/", "ab", "b"]);
        assert_eq!(kept(&["x", ""]), [""]);
        assert!(kept(&[]).is_empty());
    }
}
