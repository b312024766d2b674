//! Writes several records, all or none.

use conversation_core::{ConversationIndex, Error, Precondition, Problem, RecordBatch, RecordScope};
use serde_json::{Value, json};

use crate::http::{ApiRequest, ApiResponse, Failure, RECORDS, read_body, record_batch, written_json};

pub(super) async fn answer(
    index: &ConversationIndex,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (scope, batch) = (request.record_scope()?, request.records()?);
    let written = index.write_records(&scope, &batch).await.map_err(about(&scope))?;
    let data: Vec<Value> = written.iter().map(written_json).collect();
    Ok(ApiResponse::json(&json!({ "object": "list", "data": data, "has_more": false })))
}

impl ApiRequest {
    /// The records to write.
    ///
    /// # Errors
    /// The body breaks a rule.
    pub fn records(&self) -> Result<RecordBatch, Failure> {
        self.no_condition()?;
        let body = read_body(self.body()?, [RECORDS])?;
        let [records] = body.named;
        body.conversation.none()?;
        let batch = record_batch(Some(records.ok_or_else(|| Problem::Missing.of(RECORDS))?))?;
        if batch.is_empty() {
            return Err(Failure::bad_body("records must hold at least one record."));
        }
        Ok(batch.under(self.idempotency_key()?))
    }

    /// Refuses a condition in a header, where each record has its own.
    pub(crate) fn no_condition(&self) -> Result<(), Failure> {
        match self.precondition()? {
            Precondition::None => Ok(()),
            _ => Err(Failure::bad_param(
                self.condition_name(),
                "If-Match and If-None-Match are for one record; give if_match or if_none_match with each.",
            )),
        }
    }
}

/// What the store answered about records.
pub(super) fn about(scope: &RecordScope) -> impl Fn(Error) -> Failure {
    let id = scope.conversation_id().unwrap_or_default().to_owned();
    move |error| Failure::of_records(error, &id)
}

/// The same of a single record, which the caller named in the path: its condition was a header.
pub(super) fn of_one(request: &ApiRequest, failure: Failure) -> Failure {
    match failure.param.as_deref() {
        Some("records[0]") => Failure { param: Some(request.condition_name().into()), ..failure },
        _ => failure,
    }
}
