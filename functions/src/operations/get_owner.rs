//! Says what the caller has, and how far its erasure has come.

use conversation_core::{ConversationIndex, OwnerStats, Source};
use serde_json::json;

use crate::http::{ApiRequest, ApiResponse, Failure};

pub(super) async fn answer(
    index: &ConversationIndex,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let owner = request.owner()?;
    let (stats, erasure) = index.owner(&owner).await.map_err(Failure::about(None))?;
    let OwnerStats { conversations, messages, records, bytes } = stats;
    let body = json!({
        "object": "owner",
        "conversations": conversations,
        "messages": messages,
        "records": records,
        "bytes": bytes,
        "erasure": erasure,
    });
    Ok(ApiResponse::json(&body).read_from(Source::Bypass))
}
