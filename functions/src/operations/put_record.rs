//! Stores a record.

use conversation_core::{
    ConversationIndex, Error, Problem, RecordBatch, RecordChange, RecordOutcome, RecordValue,
};

use super::write_records::{about, of_one};
use crate::http::{ApiRequest, ApiResponse, Failure, written_json};

pub(super) async fn answer(
    index: &ConversationIndex,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (scope, batch) = (request.record_scope()?, request.record()?);
    let written = index.write_records(&scope, &batch).await.map_err(|error| match error {
        Error::Invalid(invalid) if matches!(invalid.problem, Problem::RecordTooLarge { .. }) => {
            invalid.problem.of("body").into()
        }
        error => of_one(&request, about(&scope)(error)),
    })?;
    // One was sent.
    let Some(record) = written.first() else { return Err(Failure::misrouted()) };
    let response = ApiResponse::json(&written_json(record));
    Ok(match record.outcome {
        RecordOutcome::Stored { revision, .. } => response.at_version(revision),
        RecordOutcome::Deleted(_) => response,
    })
}

impl ApiRequest {
    /// The record to store.
    ///
    /// # Errors
    /// The path, a header or the body breaks a rule.
    pub fn record(&self) -> Result<RecordBatch, Failure> {
        let value = RecordValue {
            bytes: self.bytes().map_err(one_value)?.to_vec(),
            content_type: self.content_type()?,
        };
        let change =
            RecordChange { key: self.record_key()?, value: Some(value), precondition: self.precondition()? };
        Ok(RecordBatch::new(vec![change])?.under(self.idempotency_key()?))
    }
}

/// A body that is too large is the value.
fn one_value(failure: Failure) -> Failure {
    match failure.code {
        "request_too_large" => {
            Problem::RecordTooLarge { max: conversation_core::RECORD_BYTES }.of("body").into()
        }
        _ => failure,
    }
}
