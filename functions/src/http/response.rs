//! Responses: a JSON body and where it came from, or an error, in the form that Lambda hands to API Gateway.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use conversation_core::{CacheUpdate, Conversation, ConversationId, Error, ExportCursor, Read, Source};
use http::StatusCode;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LINK, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::etag::etag;
use super::event::FrontEnd;
use super::failure::Failure;
use super::list::enveloped;
use crate::outcome::{CacheStatus, Outcome};

/// The version of the contract, which clients compare with theirs.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A successful answer: a body, and where it came from.
#[derive(Debug)]
pub struct ApiResponse {
    status: StatusCode,
    body: String,
    /// What the body is, where it is a record's value; none: JSON.
    value: Option<ValueBody>,
    /// Of the conversation that it is about.
    version: Option<i64>,
    cache_status: Option<CacheStatus>,
    /// Whether the body is messages that the window may have.
    window: bool,
    /// Where the next part of it is.
    link: Option<String>,
}

/// The body of a record's value.
#[derive(Debug)]
struct ValueBody {
    content_type: String,
    /// The body is base64 of the value.
    is_base64: bool,
}

impl ApiResponse {
    pub(crate) fn new(body: String) -> Self {
        Self {
            status: StatusCode::OK,
            body,
            value: None,
            version: None,
            cache_status: None,
            window: false,
            link: None,
        }
    }

    /// A record's value as it is: as text where it is some, and that is not longer than base64.
    pub(crate) fn value(bytes: Vec<u8>, content_type: &str) -> Self {
        let base64_bytes = bytes.len().div_ceil(3) * 4;
        let (body, is_base64) = match String::from_utf8(bytes) {
            Ok(text) if enveloped(&text) <= base64_bytes.max(64) => (text, false),
            Ok(text) => (STANDARD.encode(text), true),
            Err(error) => (STANDARD.encode(error.as_bytes()), true),
        };
        Self {
            value: Some(ValueBody { content_type: content_type.to_owned(), is_base64 }),
            ..Self::new(body)
        }
    }

    /// Lines of an export, and where the next ones are.
    pub(crate) fn lines(lines: String, next: Option<&ExportCursor>) -> Self {
        let content_type = "application/x-ndjson".to_owned();
        Self {
            value: Some(ValueBody { content_type, is_base64: false }),
            link: next.map(|next| format!(r#"<?after={}>; rel="next""#, next.encode())),
            ..Self::new(lines)
        }
    }

    /// How long the body is as it is sent.
    pub(crate) fn sent_bytes(&self) -> usize {
        enveloped(&self.body)
    }

    /// The caller has what was asked for, since it has that version.
    pub(crate) fn unchanged(version: i64) -> Self {
        Self { status: StatusCode::NOT_MODIFIED, ..Self::new(String::new()).at_version(version) }
    }

    /// Says which version of the conversation it is of.
    #[must_use]
    pub(crate) fn at_version(self, version: i64) -> Self {
        Self { version: Some(version), ..self }
    }

    /// Any JSON.
    pub(crate) fn json(body: &Value) -> Self {
        Self::new(body.to_string())
    }

    /// What a read found, or that it found nothing; and where.
    ///
    /// # Errors
    /// There is no such conversation, or the store failed.
    pub fn found<T>(
        read: Result<Read<T>, Error>,
        id: &ConversationId,
        reply: impl FnOnce(T) -> Self,
    ) -> Result<Self, Failure> {
        let Read { found, source } = read.map_err(Failure::about(Some(id)))?;
        match found {
            Some(found) => Ok(reply(found).read_from(source)),
            None => Err(Failure::no_conversation(id.as_str()).read_from(source)),
        }
    }

    /// A conversation.
    pub fn conversation(conversation: &Conversation) -> Self {
        Self::new(conversation.to_json()).at_version(conversation.version)
    }

    /// Says where a read was answered from.
    #[must_use]
    pub fn read_from(self, source: Source) -> Self {
        Self { cache_status: Some(CacheStatus::Read(source)), ..self }
    }

    /// Says that the body is messages which the window may have.
    pub(crate) fn of_window(self) -> Self {
        Self { window: true, ..self }
    }

    /// Says how far a write has come in the cache.
    #[must_use]
    pub fn written(self, cache_update: CacheUpdate) -> Self {
        Self { cache_status: Some(CacheStatus::Written(cache_update)), ..self }
    }

    /// What telemetry records of it.
    pub(crate) fn outcome(&self) -> Outcome {
        let of_window =
            matches!(self.cache_status, Some(CacheStatus::Read(source)) if source != Source::Bypass);
        let window_bytes = (self.window && of_window).then_some(self.body.len());
        Outcome {
            status: self.status.as_u16(),
            is_error: false,
            cache_status: self.cache_status,
            window_bytes,
        }
    }

    pub(crate) fn into_answer(self) -> LambdaResponse {
        let headers = [
            (ETAG.as_str(), self.version.map(etag)),
            ("cache-status", self.cache_status.map(CacheStatus::header)),
            (LINK.as_str(), self.link),
        ];
        let response = respond(self.status.as_u16(), &self.body, headers);
        match self.value {
            None => response,
            Some(value) => response.of_value(value),
        }
    }
}

impl Failure {
    /// The tag of what the path names, where the write depended on another one. Of one record among several there is none.
    fn etag(&self) -> Option<String> {
        let is_one = self.param.as_deref().is_none_or(|param| param.starts_with("if-"));
        self.current.map(|(_, number)| number).filter(|number| is_one && *number > 0).map(etag)
    }

    pub(crate) fn into_answer(self) -> LambdaResponse {
        let mut error = json!({
            "message": self.message, "type": self.kind(), "param": self.param, "code": self.code,
        });
        if let Some((name, number)) = self.current {
            error[name] = number.into();
        }
        let body = json!({ "error": error });
        let headers = [
            (ETAG.as_str(), self.etag()),
            (RETRY_AFTER.as_str(), self.retry_after().map(|seconds| seconds.to_string())),
            ("x-should-retry", self.is_final().then(|| "false".to_owned())),
            ("cache-status", self.cache_status.map(CacheStatus::header)),
            (ALLOW.as_str(), self.allow),
        ];
        respond(self.status.as_u16(), &body.to_string(), headers)
    }

    /// Says where the read that found nothing was answered from.
    #[must_use]
    pub fn read_from(self, source: Source) -> Self {
        Self { cache_status: Some(CacheStatus::Read(source)), ..self }
    }

    /// What telemetry records of it.
    pub(crate) fn outcome(&self) -> Outcome {
        // That a deployment moves the cache is expected: as an error it would take that deployment back.
        let is_error = self.status.is_server_error() && self.code != "cache_moving";
        let status = self.status.as_u16();
        Outcome { status, is_error, cache_status: self.cache_status, window_bytes: None }
    }
}

/// HTTP as the front ends take it from a function: API Gateway in both payload formats, function URLs, VPC Lattice.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LambdaResponse {
    status_code: u16,
    headers: BTreeMap<&'static str, String>,
    /// What a load balancer takes besides.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    load_balancer: Option<LoadBalancerResponse>,
    /// A JSON string already: most of an answer is its body, and most of the work to make it a string.
    body: Box<RawValue>,
    is_base64_encoded: bool,
}

/// A load balancer takes the second form of the headers where its target group has multi-value headers, else the first.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LoadBalancerResponse {
    status_description: String,
    multi_value_headers: BTreeMap<&'static str, [String; 1]>,
}

impl LambdaResponse {
    /// Says what the body is. What a caller has stored is never run by a browser that comes by.
    fn of_value(mut self, ValueBody { content_type, is_base64 }: ValueBody) -> Self {
        self.is_base64_encoded = is_base64;
        self.headers.insert(CONTENT_TYPE.as_str(), content_type);
        self.headers.insert(X_CONTENT_TYPE_OPTIONS.as_str(), "nosniff".into());
        self.headers.insert(CONTENT_SECURITY_POLICY.as_str(), "sandbox; default-src 'none'".into());
        self
    }

    /// Leaves out the body, as HEAD asks for.
    pub(crate) fn without_body(self) -> Self {
        Self { body: empty(), is_base64_encoded: false, ..self }
    }

    /// Says what the request is called in the log, for whoever reports of it, in the form that its front end takes.
    pub(crate) fn of_request(mut self, id: &str, front_end: FrontEnd) -> Self {
        self.headers.insert("x-request-id", id.to_owned());
        if front_end == FrontEnd::LoadBalancer {
            let reason =
                StatusCode::from_u16(self.status_code).ok().and_then(|status| status.canonical_reason());
            self.load_balancer = Some(LoadBalancerResponse {
                status_description: format!("{} {}", self.status_code, reason.unwrap_or_default()),
                multi_value_headers: self
                    .headers
                    .iter()
                    .map(|(name, value)| (*name, [value.clone()]))
                    .collect(),
            });
        }
        self
    }
}

/// An empty string, as JSON.
fn empty() -> Box<RawValue> {
    RawValue::from_string("\"\"".to_owned()).unwrap_or_default()
}

fn respond<const N: usize>(
    status_code: u16,
    body: &str,
    headers: [(&'static str, Option<String>); N],
) -> LambdaResponse {
    let always = [
        (CONTENT_TYPE.as_str(), "application/json"),
        (CACHE_CONTROL.as_str(), "no-store"),
        ("x-contract-version", VERSION),
    ];
    let always = always.map(|(name, value)| (name, value.to_owned()));
    let headers = headers.into_iter().filter_map(|(name, value)| Some((name, value?)));
    // Whatever is escaped is a JSON string.
    let body = RawValue::from_string(json_escape_simd::escape(body)).unwrap_or_else(|_| empty());
    LambdaResponse {
        status_code,
        headers: always.into_iter().chain(headers).collect(),
        load_balancer: None,
        body,
        is_base64_encoded: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_a_string_for_the_runtime_whatever_is_in_it() {
        let odd: String =
            (0..0x300).chain(0x2020..0x2040).chain([0xfeff, 0x1f600]).filter_map(char::from_u32).collect();
        for body in ["", "{}", "\"\\\n", &odd, &odd.repeat(9)] {
            let response = respond(200, body, [("cache-status", None), ("allow", Some("GET".into()))]);
            let answer = serde_json::to_value(&response).unwrap();
            assert_eq!(answer["body"], body);
            assert_eq!(
                answer["headers"],
                json!({
                    "allow": "GET", "cache-control": "no-store", "content-type": "application/json",
                    "x-contract-version": VERSION,
                })
            );
            assert_eq!((&answer["statusCode"], &answer["isBase64Encoded"]), (&json!(200), &json!(false)));
            assert!(response.body.get().len() <= enveloped(body) + 2, "no larger than was thought");
        }
    }
}
