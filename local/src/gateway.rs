//! An HTTP API like API Gateway's: it finds the route, hands the function an event in payload format 2.0, and turns the
//! function's answer into HTTP.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::authorizer::Authorizer;
use crate::cors::{cors, no_content};
use crate::lambda::{Functions, InvokeError, without_delay};
use crate::routes::{Matched, Routes};
use crate::visitors::{Names, own_only};

/// API Gateway's limit of a request body, in bytes.
const BODY_BYTES: usize = 10 * 1024 * 1024;

/// A listening HTTP API. Dropping it closes it.
#[derive(Debug)]
pub struct Gateway {
    port: u16,
    servers: JoinSet<()>,
}

struct Api {
    routes: Routes,
    functions: Functions,
    authorizer: Authorizer,
}

impl Gateway {
    /// Listens on a port of this machine (0: any that is free), for its programs, and for pages that come from there.
    ///
    /// # Errors
    /// The port is in use.
    pub async fn start(
        port: u16,
        routes: Routes,
        functions: Functions,
        authorizer: Authorizer,
    ) -> Result<Self> {
        Self::start_with(port, routes, functions, authorizer, Router::new(), &[]).await
    }

    /// Listens, with further paths that no function answers, also for pages of other origins, like `http://localhost:3000`.
    ///
    /// # Errors
    /// The port is in use.
    pub async fn start_with(
        port: u16,
        routes: Routes,
        functions: Functions,
        authorizer: Authorizer,
        beside: Router,
        origins: &[String],
    ) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await;
        let listener = listener.with_context(|| format!("cannot listen on port {port}"))?;
        let port = listener.local_addr().context("no address")?.port();
        let api = Arc::new(Api { routes, functions, authorizer });
        let names = Names::of(port).and_origins(origins);
        let app = Router::new()
            .fallback(answer)
            .with_state(api)
            .merge(beside)
            .layer(cors(names.clone()))
            .layer(from_fn(no_content))
            .layer(from_fn_with_state(names, own_only));
        // Clients may take `localhost` for this address. Not every machine has it.
        let also = TcpListener::bind(("::1", port)).await.ok();
        let mut servers = JoinSet::new();
        for listener in [Some(listener), also].into_iter().flatten() {
            let app = app.clone();
            servers.spawn(async move {
                // It serves until it is aborted.
                let _ = axum::serve(without_delay(listener), app).await;
            });
        }
        Ok(Self { port, servers })
    }

    /// Returns its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.servers.abort_all();
    }
}

async fn answer(State(api): State<Arc<Api>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES).await else { return too_large() };
    let matched = api.routes.find(parts.method.as_str(), parts.uri.path());
    let Ok(authorized) = api.authorizer.authorize(&matched.key, &parts.headers) else {
        return unauthorized();
    };
    let query = parts.uri.query().unwrap_or_default();
    let mut event = event(&matched, parts.method.as_str(), parts.uri.path(), query, &parts.headers, &body);
    if let Some(authorized) = authorized {
        event["requestContext"]["authorizer"] = authorized;
    }
    match api.functions.invoke(&matched.function, event.to_string().into()).await {
        Ok(answer) => into_http(&answer),
        Err(InvokeError::Failed) => message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
        Err(InvokeError::Unavailable) => message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        Err(InvokeError::TooLarge) => too_large(),
    }
}

fn too_large() -> Response {
    message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large")
}

fn unauthorized() -> Response {
    let mut response = message(StatusCode::UNAUTHORIZED, "Unauthorized");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// Answers as API Gateway itself does when it has no answer of a function.
fn message(status: StatusCode, text: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (HeaderName::from_static("x-request-id"), uuid::Uuid::new_v4().to_string()),
    ];
    (status, headers, json!({ "message": text }).to_string()).into_response()
}

/// Whether an HTTP API takes a body of this type for text: of another type it comes as base64.
fn is_text(headers: &HeaderMap) -> bool {
    const TEXTS: [&str; 4] =
        ["application/json", "application/javascript", "application/xml", "application/vnd.api+json"];
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.starts_with("text/") || TEXTS.contains(&essence.as_str())
}

/// Builds an event in payload format 2.0, as documented for HTTP APIs. A body that is not text comes as base64.
pub(crate) fn event(
    matched: &Matched,
    method: &str,
    path: &str,
    query: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Value {
    // An HTTP API decodes the path, and cuts it off at a question mark that was encoded.
    let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    let path = decoded.split('?').next().unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": matched.key,
        "rawPath": path,
        "rawQueryString": query,
        "headers": joined(headers),
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": "local.execute-api.localhost",
            "domainPrefix": "local",
            "http": {
                "method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1",
                "userAgent": headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()),
            },
            "requestId": uuid::Uuid::new_v4().to_string(),
            "routeKey": matched.key,
            "stage": "$default",
            "timeEpoch": u64::try_from(now.as_millis()).unwrap_or_default(),
        },
        "pathParameters": matched.parameters.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "isBase64Encoded": false,
    });
    if !body.is_empty() {
        let text = std::str::from_utf8(body).ok().filter(|_| is_text(headers));
        event["isBase64Encoded"] = text.is_none().into();
        event["body"] = text.map_or_else(|| STANDARD.encode(body), str::to_owned).into();
    }
    event
}

/// Joins the values of repeated headers with commas.
fn joined(headers: &HeaderMap) -> Map<String, Value> {
    let value = |name| {
        let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        values.collect::<Vec<_>>().join(",")
    };
    headers.keys().map(|name| (name.to_string(), value(name).into())).collect()
}

/// The answer of a function, in payload format 2.0.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

fn into_http(answer: &[u8]) -> Response {
    let Ok(answer) = serde_json::from_slice::<Answer>(answer) else {
        return message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error");
    };
    let body = answer.body.unwrap_or_default();
    let body =
        if answer.is_base64_encoded { STANDARD.decode(body).unwrap_or_default() } else { body.into_bytes() };
    let mut response = Response::builder().status(answer.status_code);
    for (name, value) in &answer.headers {
        response = response.header(name, value.as_str().unwrap_or_default());
    }
    let built = response.body(Body::from(body));
    built.unwrap_or_else(|_| message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"))
}
