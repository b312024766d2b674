//! Records: bytes beside the messages, of a conversation or an owner. The cache has none of them, so that this is Postgres alone.

use crate::types::error::{Error, Invalid};
use crate::types::page::Page;
use crate::types::record::{
    DeletedRecords, Record, RecordBatch, RecordDeletion, RecordKey, RecordQuery, RecordScope, WrittenRecord,
};

use super::ConversationIndex;

impl ConversationIndex {
    /// Writes records, all or none, and creates the conversation if there is a value and it is new.
    ///
    /// # Errors
    /// [`Error::RevisionMismatch`], [`Error::Invalid`] where a value is larger than the deployment allows,
    /// [`Error::ConversationDeleted`], [`Error::IdempotencyConflict`], [`Error::DatabaseUnavailable`], [`Error::OutcomeUnknown`] or
    /// [`Error::Database`].
    pub async fn write_records(
        &self,
        scope: &RecordScope,
        records: &RecordBatch,
    ) -> Result<Vec<WrittenRecord>, Error> {
        self.check_sizes(records)?;
        self.database.write_records(scope, records).await
    }

    /// Deletes the records whose keys begin with a text, in one commit: as many as [`RECORD_DELETION`](crate::RECORD_DELETION). None:
    /// there is no such conversation.
    ///
    /// # Errors
    /// [`Error::IdempotencyConflict`], [`Error::DatabaseUnavailable`], [`Error::OutcomeUnknown`] or [`Error::Database`].
    pub async fn delete_records(
        &self,
        scope: &RecordScope,
        deletion: &RecordDeletion,
    ) -> Result<Option<DeletedRecords>, Error> {
        self.database.delete_records(scope, deletion).await
    }

    /// Reads a record; without its value where the caller has one of these revisions, -1 standing for any. None: there is no such record.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such conversation; [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn record(
        &self,
        scope: &RecordScope,
        key: &RecordKey,
        known: &[i64],
    ) -> Result<Option<Record>, Error> {
        self.database.read_record(scope, key, known).await
    }

    /// Lists records in the order of their keys. Of a conversation that is not there it lists none.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn records(&self, scope: &RecordScope, query: &RecordQuery) -> Result<Page<Record>, Error> {
        self.database.list_records(scope, query).await
    }

    /// Checks that no value is larger than the deployment allows.
    pub(crate) fn check_sizes(&self, records: &RecordBatch) -> Result<(), Invalid> {
        records.check_sizes(self.record_bytes)
    }
}
