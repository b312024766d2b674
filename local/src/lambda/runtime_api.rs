//! The Runtime API: where an instance asks for its next invocation and leaves its answer. Each has a path of its own.

use std::sync::{Arc, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::{Listener, ListenerExt as _};
use serde_json::json;
use tokio::net::TcpListener;

use super::instance::{Function, Invocation};
use super::{Inner, InvokeError, PATIENCE};

/// Lambda's limit of an answer, in bytes: 6 MB, and a little for what stands around it.
const ANSWER_BYTES: usize = 6 * 1024 * 1024 + 100;

type Shared = State<Weak<Inner>>;

pub(super) fn router(lambda: &Arc<Inner>) -> Router {
    Router::new()
        .route("/{function}/{instance}/2018-06-01/runtime/invocation/next", get(next))
        .route("/{function}/{instance}/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/{function}/{instance}/2018-06-01/runtime/invocation/{id}/error", post(failure))
        .route("/{function}/{instance}/2018-06-01/runtime/init/error", post(no_start))
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::downgrade(lambda))
}

/// Small answers go out at once.
pub(crate) fn without_delay(listener: TcpListener) -> impl Listener<Addr = std::net::SocketAddr> {
    listener.tap_io(|connection| {
        // A connection that refuses is only slower.
        let _ = connection.set_nodelay(true);
    })
}

fn function(lambda: &Shared, name: &str) -> Option<Arc<Function>> {
    lambda.upgrade().map(|lambda| lambda.function(name))
}

/// An instance asks for its next invocation, and waits until there is one.
async fn next(lambda: Shared, Path((name, instance)): Path<(String, u64)>) -> Response {
    let Some(function) = function(&lambda, &name) else { return StatusCode::GONE.into_response() };
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
    lambda: Shared,
    Path((name, instance, id)): Path<(String, u64, String)>,
    body: Bytes,
) -> Response {
    let Some(function) = function(&lambda, &name) else { return StatusCode::GONE.into_response() };
    if body.len() > ANSWER_BYTES {
        function.settle(instance, &id, Err(InvokeError::Failed));
        let said = format!("Exceeded maximum allowed payload size ({ANSWER_BYTES} bytes).");
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &said);
    }
    settle(&function, instance, &id, Ok(body))
}

async fn failure(lambda: Shared, Path((name, instance, id)): Path<(String, u64, String)>) -> Response {
    let Some(function) = function(&lambda, &name) else { return StatusCode::GONE.into_response() };
    settle(&function, instance, &id, Err(InvokeError::Failed))
}

/// An instance that cannot start says so before it ends; its end is what counts.
async fn no_start() -> Response {
    accepted()
}

fn settle(function: &Function, instance: u64, id: &str, answer: Result<Bytes, InvokeError>) -> Response {
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
