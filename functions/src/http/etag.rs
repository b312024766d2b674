//! Entity tags: a conversation's version, by which a read is conditional (RFC 9110, section 13.1.2).

use http::header::IF_NONE_MATCH;

use super::request::ApiRequest;

/// The tag of a version.
pub(crate) fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

impl ApiRequest {
    /// Whether the caller says which version it has.
    pub(crate) fn knows_some_version(&self) -> bool {
        self.header(&IF_NONE_MATCH).is_some()
    }

    /// Whether the caller has that version. A tag that a proxy made weak is the same.
    pub(crate) fn knows(&self, version: i64) -> bool {
        let ours = etag(version);
        let is_ours = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == ours;
        self.header(&IF_NONE_MATCH).is_some_and(|tags| tags.split(',').any(|tag| is_ours(tag.trim())))
    }
}
