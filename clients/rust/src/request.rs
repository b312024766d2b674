//! A request, and how ids and keys stand in its path.

use std::fmt::Display;

use hyper::Method;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::error::Error;

/// What is percent-encoded in a query.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What is percent-encoded in a key in a path.
const KEY: &AsciiSet = &QUERY.remove(b'/');
/// What is percent-encoded in an id in a path.
const ID: &AsciiSet = &QUERY
    .remove(b'!')
    .remove(b'$')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@')
    .remove(b'[')
    .remove(b']')
    .remove(b'|');

/// A request. It can be sent again after a lost answer: it reads, deletes, or has an `Idempotency-Key`.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) method: Method,
    /// The path, percent-encoded, with its query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    /// A request to a path, which is percent-encoded and may have a query.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, target: path.into(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// Adds a parameter to the query.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl Display) -> Self {
        self.target.push(if self.target.contains('?') { '&' } else { '?' });
        let value = value.to_string();
        self.target.extend(utf8_percent_encode(name, QUERY));
        self.target.push('=');
        self.target.extend(utf8_percent_encode(&value, QUERY));
        self
    }

    /// Adds a parameter to the query, if it has a value.
    #[must_use]
    pub fn query_if(self, name: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Sets a header, whose name is in lower case.
    ///
    /// # Errors
    /// It cannot be one.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, Error> {
        let wrong = || Error::Invalid(format!("{name} is not a valid header"));
        let name = HeaderName::from_lowercase(name.as_bytes()).map_err(|_| wrong())?;
        let value = HeaderValue::from_str(value).map_err(|_| wrong())?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Sets a body of JSON.
    ///
    /// # Errors
    /// The value cannot be written as JSON.
    pub fn json(self, body: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_vec(body).map_err(|error| Error::Invalid(error.to_string()))?;
        Ok(self.body(HeaderValue::from_static("application/json"), body))
    }

    /// Sets a body of any type.
    #[must_use]
    pub fn body(mut self, content_type: HeaderValue, body: impl Into<Bytes>) -> Self {
        self.headers.insert(CONTENT_TYPE, content_type);
        self.body = body.into();
        self
    }
}

/// The path of a conversation, or one below it.
pub(crate) fn conversation(id: &str, below: &str) -> Result<String, Error> {
    Ok(format!("/v1/conversations/{}{below}", segment(id)?))
}

/// The path of an item.
pub(crate) fn item(conversation_id: &str, id: &str) -> Result<String, Error> {
    Ok(format!("{}/{}", conversation(conversation_id, "/items")?, segment(id)?))
}

/// A key as it stands in a path. `/` stays as it is.
pub(crate) fn key(key: &str) -> impl Display {
    utf8_percent_encode(key, KEY)
}

/// Returns whether gateways leave a key as it is in a path. Others go through a query or a batch.
pub(crate) fn fits_path(key: &str) -> bool {
    !key.contains(|c: char| c.is_ascii_control() || matches!(c, '?' | '#' | '%' | '\\'))
        && !key.split('/').any(|segment| matches!(segment, "" | "." | ".."))
}

/// An id as it stands in a path. Gateways decode a path, so what is no id might lead to other data: `a/items/b` to an item.
fn segment(id: &str) -> Result<impl Display, Error> {
    let visible = id.bytes().all(|byte| byte.is_ascii_graphic() && !br##"/?#%\{}<>"'&`"##.contains(&byte));
    if !visible || id.bytes().all(|byte| byte == b'.') {
        return Err(Error::Invalid(format!("{id:?} is not an id")));
    }
    Ok(utf8_percent_encode(id, ID))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_queries_are_encoded() {
        let every = "!$()*+,-.0:;=@A[]^_a|~";
        assert_eq!(
            conversation(every, "").unwrap(),
            format!("/v1/conversations/{}", every.replace('^', "%5E"))
        );
        assert_eq!(item("c", "m:1").unwrap(), "/v1/conversations/c/items/m:1");
        assert_eq!(key("a/b c").to_string(), "a/b%20c");
        let request = Request::new(Method::GET, "/v1/conversations").query("metadata[a b]", "x&y=z");
        let request = request.query_if("limit", Some(3)).query_if("after", None::<&str>);
        assert_eq!(request.target, "/v1/conversations?metadata%5Ba%20b%5D=x%26y%3Dz&limit=3");
    }

    #[test]
    fn what_is_no_id_leads_nowhere_else() {
        for id in ["", ".", "..", "...", "a/items/b", "a?b", "a#b", "a%2Fb", "a\\b", "a b", "é", "a\nb"] {
            assert!(conversation(id, "/records").is_err() && item("c", id).is_err(), "{id}");
        }
        assert!(conversation("..a", "").is_ok());
    }

    #[test]
    fn keys_that_gateways_change_do_not_fit_into_a_path() {
        for key in ["a", "a/b c", "naïve ☃", "...", ".a", "a+b&c"] {
            assert!(fits_path(key), "{key}");
        }
        for key in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "../up",
            "a/./b",
            "what?",
            "#1",
            "50%",
            "back\\slash",
            "a\nb",
            "\u{7f}",
        ] {
            assert!(!fits_path(key), "{key:?}");
        }
    }

    #[test]
    fn headers_are_checked() {
        let request = || Request::new(Method::PUT, "/v1/records/a");
        let keyed = request().header("idempotency-key", "k").unwrap().json(&[1]).unwrap();
        assert_eq!((keyed.headers.len(), &keyed.body[..]), (2, &b"[1]"[..]));
        assert!(request().header("idempotency-key", "a\nb").is_err());
    }
}
