//! The Runtime API: where an instance asks for its next invocation and leaves its answer. Each instance has a path of its
//! own.

use std::sync::{Arc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::{Listener, ListenerExt as _};
use serde_json::json;
use tokio::net::TcpListener;

use super::function::{Function, Invocation};
use super::host::{Answer, InvokeError, PATIENCE};
use super::registry::Registry;
use crate::visitors::{Names, own_only};

/// Lambda's limit of an answer, in bytes: 6 MB, and a little for the envelope.
const ANSWER_BYTES: usize = 6 * 1024 * 1024 + 100;

type Shared = State<Weak<Registry>>;

/// Builds the Runtime API at a port, which no page in a browser reaches.
pub(super) fn router(registry: &Arc<Registry>, port: u16) -> Router {
    Router::new()
        .route("/{function}/{instance}/2018-06-01/runtime/invocation/next", get(next))
        .route("/{function}/{instance}/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/{function}/{instance}/2018-06-01/runtime/invocation/{id}/error", post(failure))
        .route("/{function}/{instance}/2018-06-01/runtime/init/error", post(no_start))
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(Names::of(port), own_only))
        .with_state(Arc::downgrade(registry))
}

/// Makes a listener whose connections send small answers at once.
pub(crate) fn without_delay(listener: TcpListener) -> impl Listener<Addr = std::net::SocketAddr> {
    listener.tap_io(|connection| {
        // A connection that refuses is only slower.
        let _ = connection.set_nodelay(true);
    })
}

fn function(registry: &Shared, name: &str) -> Option<Arc<Function>> {
    registry.upgrade().map(|registry| registry.function(name))
}

/// Answers an instance with its next invocation as soon as there is one.
async fn next(registry: Shared, Path((name, instance)): Path<(String, u64)>) -> Response {
    let Some(function) = function(&registry, &name) else { return StatusCode::GONE.into_response() };
    let Some(Invocation { id, event }) = function.next(instance).await else {
        return StatusCode::GONE.into_response();
    };
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + PATIENCE;
    let header = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("lambda-runtime-aws-request-id", header(&id));
    headers.insert("lambda-runtime-deadline-ms", header(&deadline.as_millis().to_string()));
    let arn = format!("arn:aws:lambda:us-east-1:012345678912:function:{name}");
    headers.insert("lambda-runtime-invoked-function-arn", header(&arn));
    (headers, event).into_response()
}

async fn response(
    registry: Shared,
    Path((name, instance, id)): Path<(String, u64, String)>,
    body: Bytes,
) -> Response {
    let Some(function) = function(&registry, &name) else { return StatusCode::GONE.into_response() };
    if body.len() > ANSWER_BYTES {
        function.settle(instance, &id, Err(InvokeError::Failed));
        let said = format!("Exceeded maximum allowed payload size ({ANSWER_BYTES} bytes).");
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &said);
    }
    settle(&function, instance, &id, Ok(body))
}

async fn failure(registry: Shared, Path((name, instance, id)): Path<(String, u64, String)>) -> Response {
    let Some(function) = function(&registry, &name) else { return StatusCode::GONE.into_response() };
    settle(&function, instance, &id, Err(InvokeError::Failed))
}

/// Takes the report of an instance that cannot start. Its end, which follows, is what counts.
async fn no_start() -> Response {
    accepted()
}

fn settle(function: &Function, instance: u64, id: &str, answer: Answer) -> Response {
    if function.settle(instance, id, answer) {
        accepted()
    } else {
        refusal(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID")
    }
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, [("content-type", "application/json")], "{\"status\":\"OK\"}\n").into_response()
}

fn refusal(status: StatusCode, kind: &str, said: &str) -> Response {
    let body = json!({ "errorMessage": said, "errorType": kind }).to_string();
    (status, [("content-type", "application/json")], body).into_response()
}
