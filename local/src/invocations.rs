//! A way to invoke functions by hand: what `cargo lambda invoke` sends, and AWS's own tools with `--endpoint-url`.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use crate::lambda::{EVENT_BYTES, Functions, InvokeError};

/// Serves the route of Lambda's own API that invokes a function.
pub(crate) fn invocations(functions: Functions) -> Router {
    Router::new()
        .route("/2015-03-31/functions/{function}/invocations", post(invoke))
        .layer(DefaultBodyLimit::max(EVENT_BYTES))
        .with_state(functions)
}

async fn invoke(State(functions): State<Functions>, Path(function): Path<String>, event: Bytes) -> Response {
    let refused = match functions.invoke(&function, event).await {
        Ok(answer) => return ([(header::CONTENT_TYPE, "application/json")], answer).into_response(),
        Err(InvokeError::Failed) => StatusCode::BAD_GATEWAY,
        Err(InvokeError::Unavailable) => StatusCode::GATEWAY_TIMEOUT,
        Err(InvokeError::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
    };
    (refused, format!("{function} has not answered (see its log)")).into_response()
}
