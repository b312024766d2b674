//! Erases everything that the caller has.

use std::time::Duration;

use conversation_core::ConversationStore;
use serde_json::json;
use tokio::time::Instant;

use crate::http::{ApiRequest, ApiResponse, Failure};

/// Well within the ten seconds that the function has: what is not hidden by then is the sweep's.
const BUDGET: Duration = Duration::from_secs(7);

pub(super) async fn answer(
    store: &ConversationStore,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let owner = request.owner()?;
    let erasure = store.erase_owner(&owner, "owner", Instant::now() + BUDGET).await;
    let erasure = erasure.map_err(Failure::about(None))?;
    let body = json!({ "object": "owner.deleted", "deleted": true, "erasure": erasure });
    Ok(ApiResponse::json(&body))
}
