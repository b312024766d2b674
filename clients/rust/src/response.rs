//! An answer as it came.

use std::time::Duration;

use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::header::ETAG;
use serde::de::DeserializeOwned;

/// An answer of the server, or of a gateway in front of it, as it came.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers, like `cache-status` and `x-request-id`.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How long it took, from the request to the last byte.
    pub took: Duration,
}

impl Response {
    /// Returns whether the status is one of a success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns a header, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the version or revision in the header `ETag`.
    pub fn etag(&self) -> Option<u64> {
        let tag = self.header(ETAG.as_str())?;
        // Proxies that compress an answer make its tag a weak one.
        tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"').parse().ok()
    }

    /// Parses the body.
    ///
    /// # Errors
    /// It is not JSON, or not that of a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_is_a_number_in_quotes() {
        let etag = |value: &'static str| {
            let headers = HeaderMap::from_iter([(ETAG, value.parse().unwrap())]);
            Response { status: 200, headers, body: Bytes::new(), took: Duration::ZERO }.etag()
        };
        assert_eq!(etag("\"7\""), Some(7));
        assert_eq!(etag("\"9223372036854775807\""), Some(9_223_372_036_854_775_807));
        assert_eq!(etag("W/\"7\""), Some(7));
        assert_eq!(etag("\"abc\""), None);
    }
}
