//! Deletes the records whose keys begin with a text.

use conversation_core::{ConversationIndex, DeletedRecords, Problem, RecordDeletion};
use serde_json::json;

use super::write_records::about;
use crate::http::{ApiRequest, ApiResponse, Failure};

pub(super) async fn answer(
    index: &ConversationIndex,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (scope, deletion_of) = (request.record_scope()?, request.record_deletion()?);
    let deleted = index.delete_records(&scope, &deletion_of).await.map_err(about(&scope))?;
    let DeletedRecords { deleted, has_more } =
        deleted.unwrap_or(DeletedRecords { deleted: 0, has_more: false });
    Ok(deletion(deleted, has_more))
}

/// How many records were deleted, and whether there are more to delete.
pub(super) fn deletion(deleted: i64, has_more: bool) -> ApiResponse {
    ApiResponse::json(&json!({ "object": "record.deletion", "deleted": deleted, "has_more": has_more }))
}

impl ApiRequest {
    /// Which records are to be deleted.
    ///
    /// # Errors
    /// There is no `prefix`: all records are deleted only by an empty one. Or a condition, which is on one record.
    pub fn record_deletion(&self) -> Result<RecordDeletion, Failure> {
        self.no_condition()?;
        // What selects records of a list would be ignored here, and more deleted than was meant.
        for name in ["key", "after", "limit", "order", "values"] {
            if self.query(name)?.is_some() {
                return Err(Failure::bad_param(
                    name,
                    format!("{name} has no meaning where records are deleted by prefix."),
                ));
            }
        }
        let prefix = self.query("prefix")?.ok_or_else(|| Problem::Missing.of("prefix"))?;
        if prefix.contains('\0') {
            return Err(Problem::HasNul.of("prefix").into());
        }
        Ok(RecordDeletion { prefix: prefix.to_owned(), idempotency_key: self.idempotency_key()? })
    }
}
