//! The counter that all clients increment: a record, each time at the revision that was read.

use std::sync::atomic::Ordering;

use conversation_core::{Error, Precondition, RecordBatch, RecordKey};

use super::Client;
use crate::chaos::state::{COUNTER, number, scope, stored};

impl Client {
    /// Increments the counter, unless somebody else was faster.
    pub(super) async fn count(&mut self) {
        match self.increment().await {
            Ok(()) | Err(Error::RevisionMismatch { .. }) => {}
            Err(error) => self.failed("count", &error),
        }
    }

    async fn increment(&self) -> Result<(), Error> {
        let (scope, index, tally) = (scope()?, self.index(), self.tally());
        let found = index.record(&scope, &RecordKey::new(COUNTER)?, &[]).await?;
        let (number, precondition) = match found {
            None => (0, Precondition::Absent),
            Some(record) => {
                (number(&record.value.unwrap_or_default()), Precondition::Version(record.revision))
            }
        };
        let next = RecordBatch::new(vec![stored(COUNTER, &(number + 1).to_string(), precondition)?])?;
        tally.begun.fetch_add(1, Ordering::SeqCst);
        match index.write_records(&scope, &next).await {
            Ok(_) => {
                tally.done.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
            // It may have been done.
            Err(error @ Error::OutcomeUnknown(_)) => Err(error),
            Err(error) => {
                tally.refused.fetch_add(1, Ordering::SeqCst);
                Err(error)
            }
        }
    }
}
