//! Says what the caller has, and how far its erasure has come.

use conversation_core::{ConversationIndex, Erasure, OwnerStats, Source};
use serde_json::{Value, json};

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
        "erasure": erasure.as_ref().map(erasure_json),
    });
    Ok(ApiResponse::json(&body).read_from(Source::Bypass))
}

/// The receipt of an erasure.
pub(super) fn erasure_json(erasure: &Erasure) -> Value {
    json!({
        "object": "owner.erasure",
        "id": erasure.id,
        "owner_hash": erasure.owner_hash.as_str(),
        "shard": erasure.shard,
        "requested_by": erasure.requested_by,
        "requested_at": erasure.requested_at,
        "hidden_at": erasure.hidden_at,
        "completed_at": erasure.completed_at,
        "conversations": erasure.conversations,
        "messages": erasure.messages,
        "records": erasure.records,
        "remaining": erasure.remaining,
    })
}
