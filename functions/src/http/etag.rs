//! Entity tags: a conversation's version, or a record's revision, by which reads and writes are conditional (RFC 9110, section 13.1).

use conversation_core::Precondition;
use http::header::{IF_MATCH, IF_NONE_MATCH};

use super::failure::Failure;
use super::request::ApiRequest;

/// The tag of a version.
pub(crate) fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// The version that a tag is of: it is written just as [`etag`] writes it.
fn version(tag: &str) -> Option<i64> {
    let version = tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()?;
    (version > 0 && etag(version) == tag).then_some(version)
}

impl ApiRequest {
    /// What must hold of the conversation for the write to be done.
    ///
    /// # Errors
    /// A header is no condition on a write, or there are two.
    pub(crate) fn precondition(&self) -> Result<Precondition, Failure> {
        // What is not text is no tag either.
        let header = |name| self.has_header(&name).then(|| self.header(&name).unwrap_or_default().trim());
        match (header(IF_MATCH), header(IF_NONE_MATCH)) {
            (None, None) => Ok(Precondition::None),
            (Some(_), Some(_)) => Err(Failure::bad_param(
                "if-none-match",
                "If-Match and If-None-Match exclude each other; give one of them.",
            )),
            (Some("*"), None) => Ok(Precondition::Exists),
            (Some(tag), None) => version(tag).map(Precondition::Version).ok_or_else(|| {
                Failure::bad_etag(
                    "if-match",
                    "If-Match must be one ETag as it was answered, such as \"7\", or *.",
                )
            }),
            (None, Some("*")) => Ok(Precondition::Absent),
            (None, Some(_)) => {
                Err(Failure::bad_etag("if-none-match", "If-None-Match must be * where something is written."))
            }
        }
    }

    /// The header that is the condition of the write.
    pub(crate) fn condition_name(&self) -> &'static str {
        if self.has_header(&IF_MATCH) { "if-match" } else { "if-none-match" }
    }

    /// The revisions of a record that the caller has, -1 standing for any.
    pub(crate) fn known_revisions(&self) -> Vec<i64> {
        let tags = self.header(&IF_NONE_MATCH).unwrap_or_default().split(',').map(str::trim);
        let revision =
            |tag: &str| if tag == "*" { Some(-1) } else { version(tag.strip_prefix("W/").unwrap_or(tag)) };
        tags.filter_map(revision).collect()
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_written_in_one_way() {
        assert_eq!([1, 7, i64::MAX].map(|at| version(&etag(at))), [Some(1), Some(7), Some(i64::MAX)]);
        for none in [
            "",
            "7",
            "\"\"",
            "\"0\"",
            "\"-1\"",
            "\"+1\"",
            "\"01\"",
            "W/\"7\"",
            "\"7\", \"8\"",
            "\"x\"",
            "\"9223372036854775808\"",
        ] {
            assert_eq!(version(none), None, "{none}");
        }
    }
}
