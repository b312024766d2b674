//! Deletes the conversations that a filter lets through, or says how many these are.

use conversation_core::{Archived, BulkDeletion, ConversationStore};
use serde_json::json;

use crate::http::{ApiRequest, ApiResponse, Failure};

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (owner, filter) = (request.owner()?, request.filter()?);
    let is_filter = !filter.metadata.pairs().is_empty()
        || filter.forked_from.is_some()
        || filter.archived == Archived::Only;
    if !is_filter {
        return Err(Failure::missing_filter());
    }
    let dry_run = match request.query("dry_run")? {
        None | Some("true") => true,
        Some("false") => false,
        Some(_) => return Err(Failure::bad_param("dry_run", "dry_run must be true or false.")),
    };
    let done = store.delete_many(&owner, &filter, dry_run).await.map_err(Failure::about(None))?;
    let BulkDeletion { matched, deleted, has_more } = done;
    let body = json!({
        "object": "conversation.deletions",
        "dry_run": dry_run,
        "matched": matched,
        "deleted": deleted,
        "has_more": has_more,
    });
    Ok(ApiResponse::json(&body))
}
