//! Erases everything that the caller has.

use std::time::Duration;

use conversation_core::ConversationStore;
use serde_json::json;
use tokio::time::Instant;

use crate::http::{ApiRequest, ApiResponse, Failure};

/// Well within the function's time-out: what is not hidden by then is the sweep's.
const BUDGET: Duration = Duration::from_secs(15);

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let owner = request.owner()?;
    let erasure = store.erase_owner(&owner, "owner", Instant::now() + BUDGET).await;
    let erasure = erasure.map_err(Failure::about(None))?;
    // The receipt in the log outlives a restore of the database to a time before.
    tracing::warn!(
        erasure = erasure.id,
        owner_hash = %erasure.owner_hash,
        shard = erasure.shard,
        requested_by = erasure.requested_by,
        requested_at = erasure.requested_at,
        conversations = erasure.conversations,
        "the data of an owner were erased"
    );
    let body = json!({ "object": "owner.deleted", "deleted": true, "erasure": erasure });
    Ok(ApiResponse::json(&body))
}
