//! A page that shows conversations, served beside the API: which store answered each read, and how fast. It is served only
//! here, never where the API is deployed.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use conversation_core::{ConversationId, ConversationKey, ConversationStore, OwnerId};

/// Serves the page, and the route behind its button for evicting.
pub fn console(store: ConversationStore) -> Router {
    Router::new()
        .route("/console", get(page))
        .route("/console/evict/{conversation_id}", post(evict))
        .with_state(store)
}

async fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self' 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
        ),
    ];
    (headers, include_str!("../console.html")).into_response()
}

/// Drops the cached copy of a conversation. The owner is in a header, which pages of other sites cannot send here.
async fn evict(
    State(store): State<ConversationStore>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let owner = headers.get("x-owner-id").and_then(|owner| owner.to_str().ok()).map(OwnerId::new);
    let (Some(Ok(owner)), Ok(id)) = (owner, ConversationId::new(id)) else {
        return (StatusCode::BAD_REQUEST, "x-owner-id and a conversation's id are needed").into_response();
    };
    match store.evict(&ConversationKey { owner, id }).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}
