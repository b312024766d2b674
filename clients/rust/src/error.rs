//! What can go wrong, by what a caller does about it.

use std::fmt;

use hyper::StatusCode;
use serde_json::Value;
use thiserror::Error;

use crate::response::Response;
use crate::transport::TransportError;

/// An error of whatever kind, like that of a token provider.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An error that the API answered, or that took the place of an answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such conversation, item or record of this owner: 404.
    #[error("{0}")]
    NotFound(Box<Problem>),
    /// What is stored contradicts the request, like the id of a deleted conversation: 409.
    #[error("{0}")]
    Conflict(Box<Problem>),
    /// The conversation is not at the version of `if_match`, or is there: 412. Nothing was stored; read it and decide anew.
    #[error("{problem}")]
    VersionMismatch {
        /// The present version, 0 if the conversation is not there.
        version: u64,
        /// The error as it was answered.
        problem: Box<Problem>,
    },
    /// A record is not at the revision of `if_match`, or is there: 412. Nothing of the request was stored.
    #[error("{problem}")]
    RevisionMismatch {
        /// The present revision, 0 if the record is not there.
        revision: u64,
        /// Which change of a batch it is, from 0.
        at: Option<usize>,
        /// The error as it was answered.
        problem: Box<Problem>,
    },
    /// A message, a record, the request or a fork is over its limit: 413.
    #[error("{0}")]
    TooLarge(Box<Problem>),
    /// The store, or a gateway, cannot serve requests now: 429, 502, 503, 504, also after the retries. A write may or may not
    /// have been stored if the code is `outcome_unknown`, or if a gateway answered.
    #[error("{0}")]
    Unavailable(Box<Problem>),
    /// The caller is not accepted: 401, 403.
    #[error("{0}")]
    Unauthorized(Box<Problem>),
    /// Any other refusal: a request that breaks a rule (400, 405, 415), or a defect of the server (500), whose log has the
    /// reason under `request_id`.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// There is no answer, also after the retries. A write may or may not have been stored.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The server speaks another major version of the contract than this client.
    #[error(
        "the server speaks version {server} of the contract, this client {client}: use the client that goes with the server"
    )]
    Incompatible {
        /// The server's version.
        server: String,
        /// The client's, [`CONTRACT_VERSION`](crate::CONTRACT_VERSION).
        client: &'static str,
    },
    /// There is no token, or there are no AWS credentials, to send the request with.
    #[error("no credentials: {0}")]
    Credentials(BoxError),
    /// A value cannot be sent: a message that is not JSON, an id that is none, a URL that is not one of HTTP.
    #[error("{0}")]
    Invalid(String),
    /// The answer of a success cannot be read.
    #[error("unexpected answer: {0}")]
    Unexpected(String),
}

/// An error as the API answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The status code.
    pub status: u16,
    /// What it is, for programs: a code of the contract, or empty if a gateway answered.
    pub code: String,
    /// The path to the value that is wrong, like `messages[3].role`.
    pub param: Option<String>,
    /// What is wrong, and how to correct it.
    pub message: String,
    /// Identifies the request; the server's log has it too.
    pub request_id: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (status {}", self.message, self.status)?;
        let code = Some(&self.code).filter(|code| !code.is_empty());
        for (name, value) in
            [("code", code), ("param", self.param.as_ref()), ("request", self.request_id.as_ref())]
        {
            if let Some(value) = value {
                write!(f, ", {name} {value}")?;
            }
        }
        f.write_str(")")
    }
}

impl Error {
    /// Returns the error as the API answered it, if it did.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::NotFound(problem)
            | Self::Conflict(problem)
            | Self::VersionMismatch { problem, .. }
            | Self::RevisionMismatch { problem, .. }
            | Self::TooLarge(problem)
            | Self::Unavailable(problem)
            | Self::Unauthorized(problem)
            | Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    /// Returns the code of the contract, like `conversation_deleted`.
    pub fn code(&self) -> Option<&str> {
        Some(self.problem()?.code.as_str()).filter(|code| !code.is_empty())
    }

    /// Reads an answer that is no success.
    pub(crate) fn from_response(response: &Response) -> Self {
        let body = serde_json::from_slice::<Value>(&response.body).unwrap_or_default();
        // A gateway in front of the functions has an object of its own in the place of `error`, or only a text.
        let said = body.get("error").unwrap_or(&body);
        let number = |name: &str| said[name].as_u64().unwrap_or_default();
        let problem = Box::new(Problem::read(said, response));
        match (response.status, problem.code.as_str()) {
            (401 | 403, _) => Self::Unauthorized(problem),
            (404, _) => Self::NotFound(problem),
            (409, _) => Self::Conflict(problem),
            (412, "revision_mismatch") => {
                let (revision, at) = (number("revision"), problem.param.as_deref().and_then(index));
                Self::RevisionMismatch { revision, at, problem }
            }
            (412, _) => Self::VersionMismatch { version: number("version"), problem },
            (413, _) => Self::TooLarge(problem),
            (429 | 502..=504, _) => Self::Unavailable(problem),
            _ => Self::Refused(problem),
        }
    }

    /// The error for an answer whose body is not what the operation returns.
    pub(crate) fn unexpected(error: impl fmt::Display) -> Self {
        Self::Unexpected(error.to_string())
    }
}

impl Problem {
    fn read(said: &Value, response: &Response) -> Self {
        let text = |name: &str| said[name].as_str().map(str::to_owned);
        let message =
            text("message").or_else(|| text("Message")).or_else(|| said.as_str().map(str::to_owned));
        let identified = response.header("x-request-id").or_else(|| response.header("apigw-requestid"));
        let usual = || StatusCode::from_u16(response.status).ok()?.canonical_reason();
        Self {
            status: response.status,
            code: text("code").unwrap_or_default(),
            param: text("param"),
            message: message.unwrap_or_else(|| usual().unwrap_or("The request failed.").to_owned()),
            request_id: identified.map(str::to_owned),
        }
    }
}

/// The index in a path like `records[3]`.
fn index(param: &str) -> Option<usize> {
    param.strip_prefix("records[")?.split_once(']')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::HeaderMap;
    use hyper::header::HeaderName;
    use serde_json::json;

    use super::*;

    fn error(status: u16, body: impl Into<String>) -> Error {
        let name = HeaderName::from_static("x-request-id");
        let headers = HeaderMap::from_iter([(name, "req-1".parse().unwrap())]);
        let body = body.into().into();
        Error::from_response(&Response { status, headers, body, took: Duration::ZERO })
    }

    fn problem(status: u16, fields: &Value) -> Error {
        error(status, json!({ "error": fields }).to_string())
    }

    #[test]
    fn errors_are_told_apart() {
        let code = |code: &str| json!({ "message": "No.", "code": code, "param": "id", "version": 7 });
        assert!(matches!(problem(404, &code("conversation_not_found")), Error::NotFound(_)));
        assert!(matches!(problem(409, &code("conversation_deleted")), Error::Conflict(_)));
        assert!(matches!(problem(412, &code("version_mismatch")), Error::VersionMismatch { version: 7, .. }));
        assert!(matches!(problem(413, &code("request_too_large")), Error::TooLarge(_)));
        for status in [429, 502, 503, 504] {
            assert!(matches!(problem(status, &code("unavailable")), Error::Unavailable(_)));
        }
        for status in [401, 403] {
            assert!(matches!(problem(status, &code("any")), Error::Unauthorized(_)));
        }
        for status in [400, 405, 415, 500] {
            assert!(matches!(problem(status, &code("any")), Error::Refused(_)));
        }
        let error = problem(400, &code("invalid_id"));
        assert_eq!(error.to_string(), "No. (status 400, code invalid_id, param id, request req-1)");
        assert_eq!(
            (error.code(), error.problem().unwrap().param.as_deref()),
            (Some("invalid_id"), Some("id"))
        );
    }

    #[test]
    fn a_mismatch_of_a_batch_says_where() {
        for (param, expected) in [("records[3]", Some(3)), ("if-match", None), ("records[x]", None)] {
            let said =
                json!({ "message": "No.", "code": "revision_mismatch", "param": param, "revision": 9 });
            let Error::RevisionMismatch { revision, at, .. } = problem(412, &said) else { panic!("{said}") };
            assert_eq!((revision, at), (9, expected));
        }
    }

    #[test]
    fn gateways_have_errors_of_their_own() {
        for (status, body, message) in [
            (403, r#"{"message":"Forbidden"}"#, "Forbidden"),
            (401, r#"{"error":"invalid token"}"#, "invalid token"),
            (
                403,
                r#"{"Message":"not authorized to perform: lambda:InvokeFunctionUrl"}"#,
                "not authorized to perform: lambda:InvokeFunctionUrl",
            ),
            (502, "<html>", "Bad Gateway"),
            (503, "null", "Service Unavailable"),
            (599, "", "The request failed."),
        ] {
            let error = error(status, body);
            let problem = error.problem().unwrap();
            assert_eq!((problem.message.as_str(), problem.code.as_str()), (message, ""));
            assert_eq!(error.code(), None);
        }
    }
}
