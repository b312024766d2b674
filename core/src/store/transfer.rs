//! Out of this store: everything, as of one moment.

use crate::database::Snapshots;
use crate::types::error::Error;
use crate::types::record::RecordScope;
use crate::types::transfer::{Exported, ExportedRecord, ImportSource, Scope};

use super::ConversationIndex;

/// An export on its way. It holds one connection and a snapshot of the database until it is dropped.
#[derive(Debug)]
pub struct Export(Snapshots);

impl Export {
    /// The next lines, some hundred at most, in the order that [`Exported`] says, and in that of the bytes of owners and ids,
    /// whatever the database's collation. None are left when it answers none.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn next(&mut self) -> Result<Vec<Exported>, Error> {
        self.0.next().await
    }
}

impl ConversationIndex {
    /// Begins to read conversations with everything that is kept of them, as they are now, whatever is written meanwhile.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn export(&self, scope: &Scope) -> Result<Export, Error> {
        self.database.snapshots(scope, None).await.map(Export)
    }

    /// Stores exported records as they were, all or none: of a conversation that was imported, or of an owner. One that is there with the same
    /// revision or a later one stays. `last_revision` is the last one that was given there. Returns how many were not there, or older.
    ///
    /// # Errors
    /// [`Error::Invalid`] where a number is out of its range; [`Error::RecordConflict`], [`Error::ConversationDeleted`],
    /// [`Error::NotFound`], [`Error::DatabaseUnavailable`], [`Error::OutcomeUnknown`] or [`Error::Database`].
    pub async fn import_records(
        &self,
        scope: &RecordScope,
        last_revision: i64,
        records: &[ExportedRecord],
    ) -> Result<i64, Error> {
        for record in records {
            record.check(last_revision)?;
        }
        self.database.import_records(scope, last_revision, records).await
    }

    /// Up to where everything of a source is stored; none: its import has not begun, or it has ended.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn import_position(&self, source: &ImportSource) -> Result<Option<i64>, Error> {
        self.database.import_position(source).await
    }

    /// Notes how far an import has come, with the unit that the source is counted in.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn set_import_position(&self, source: &ImportSource, at: i64) -> Result<(), Error> {
        self.database.set_import_position(source, at).await
    }

    /// Forgets how far an import had come, now that it has ended.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn forget_import_position(&self, source: &ImportSource) -> Result<(), Error> {
        self.database.forget_import_position(source).await
    }
}
