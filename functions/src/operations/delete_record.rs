//! Deletes a record.

use conversation_core::{ConversationIndex, RecordBatch, RecordChange, RecordOutcome};

use super::delete_records::deletion;
use super::write_records::{about, of_one};
use crate::http::{ApiRequest, ApiResponse, Failure};

pub(super) async fn answer(
    index: &ConversationIndex,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let scope = request.record_scope()?;
    let change =
        RecordChange { key: request.record_key()?, value: None, precondition: request.precondition()? };
    let batch = RecordBatch::new(vec![change])?.under(request.idempotency_key()?);
    let written = index.write_records(&scope, &batch).await;
    let written = written.map_err(|error| of_one(&request, about(&scope)(error)))?;
    let deleted = written.iter().filter(|record| record.outcome == RecordOutcome::Deleted(true)).count();
    Ok(deletion(i64::try_from(deleted).unwrap_or(0), false))
}
