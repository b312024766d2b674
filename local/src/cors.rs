//! Requests of pages of other origins, as the deployed API answers them where its `CorsOrigins` are set.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::visitors::Names;

/// What a page may send, as in infra/api.yaml.
const ALLOWED: [&str; 20] = [
    "authorization",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "openai-organization",
    "openai-project",
    "x-owner-id",
    "x-stainless-arch",
    "x-stainless-async",
    "x-stainless-custom-poll-interval",
    "x-stainless-helper-method",
    "x-stainless-lang",
    "x-stainless-os",
    "x-stainless-package-version",
    "x-stainless-poll-helper",
    "x-stainless-retry-count",
    "x-stainless-runtime",
    "x-stainless-runtime-version",
    "x-stainless-timeout",
];
/// What a page may read, as there.
const EXPOSED: [&str; 7] = [
    "apigw-requestid",
    "cache-status",
    "etag",
    "retry-after",
    "x-contract-version",
    "x-request-id",
    "x-should-retry",
];
/// For how long a browser may remember it, as there.
const MAX_AGE: Duration = Duration::from_secs(7_200);

/// Answers preflight requests, and lets pages of these origins read answers.
pub(crate) fn cors(names: Names) -> CorsLayer {
    let allowed = move |origin: &HeaderValue, _: &axum::http::request::Parts| {
        origin.to_str().is_ok_and(|origin| names.is_origin(origin))
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allowed))
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers(ALLOWED.map(HeaderName::from_static))
        .expose_headers(EXPOSED.map(HeaderName::from_static))
        .max_age(MAX_AGE)
}

/// API Gateway answers a preflight request with 204.
pub(crate) async fn no_content(request: Request, next: Next) -> Response {
    let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let is_preflight = request.method() == Method::OPTIONS && asks;
    let mut response = next.run(request).await;
    if is_preflight && response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_may_do_here_what_they_may_do_when_it_is_deployed() {
        let template = std::fs::read_to_string(crate::workspace().join("infra/api.yaml")).unwrap_or_default();
        let allowed = ALLOWED.map(|name| format!("            - {name}\n")).concat();
        for line in [allowed, format!("ExposeHeaders: [{}]", EXPOSED.join(", ")), "MaxAge: 7200".to_owned()] {
            assert!(template.contains(&line), "{line}");
        }
        assert!(template.contains("AllowMethods: [GET, HEAD, POST, PUT, DELETE]"));
    }
}
