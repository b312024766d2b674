//! Records: bytes under keys.

use std::str::Utf8Error;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::Bytes;
use serde::{Deserialize, Serialize, Serializer};

use super::condition::{Condition, Match};

/// Whose records.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Those of a conversation, which are deleted with it.
    Conversation(String),
    /// The owner's own, outside of any conversation.
    Owner,
}

impl From<&str> for Scope {
    fn from(conversation_id: &str) -> Self {
        Self::Conversation(conversation_id.to_owned())
    }
}

impl From<&String> for Scope {
    fn from(conversation_id: &String) -> Self {
        Self::Conversation(conversation_id.clone())
    }
}

impl From<String> for Scope {
    fn from(conversation_id: String) -> Self {
        Self::Conversation(conversation_id)
    }
}

/// The value of a record: text, which is stored in UTF-8, or bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text, by default of the type `text/plain; charset=utf-8`.
    Text(String),
    /// Bytes, by default of the type `application/octet-stream`.
    Bytes(Bytes),
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<&[u8]> for Content {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Bytes::copy_from_slice(bytes))
    }
}

impl<const N: usize> From<&[u8; N]> for Content {
    fn from(bytes: &[u8; N]) -> Self {
        Self::Bytes(Bytes::copy_from_slice(bytes))
    }
}

/// A record to store or to delete, in a batch or beside messages.
#[derive(Clone, Debug)]
#[must_use]
pub struct Change {
    pub(crate) key: String,
    /// What to store; None deletes.
    pub(crate) content: Option<Content>,
    pub(crate) content_type: Option<String>,
    pub(crate) condition: Option<Condition>,
}

impl Change {
    /// Stores a record.
    pub fn put(key: impl Into<String>, content: impl Into<Content>) -> Self {
        Self { content: Some(content.into()), ..Self::delete(key) }
    }

    /// Deletes a record.
    pub fn delete(key: impl Into<String>) -> Self {
        Self { key: key.into(), content: None, content_type: None, condition: None }
    }

    /// Sets the content type.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Changes the record only if it is at this revision, or stores it at 0 only if there is none; otherwise nothing of the request is
    /// stored.
    pub fn if_match(mut self, revision: impl Into<Match>) -> Self {
        let revision = revision.into();
        let stores = self.content.is_some();
        self.condition = Some(if stores { Condition::or_absent(revision) } else { Condition::Is(revision) });
        self
    }

    /// Stores the record only if there is none of this key; otherwise nothing of the request is stored.
    pub fn if_absent(mut self) -> Self {
        self.condition = Some(Condition::IsAbsent);
        self
    }
}

/// A change as the contract has it.
#[derive(Serialize)]
struct Spelled<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delete: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_match: Option<Match>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_none_match: Option<&'static str>,
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (value, base64) = match &self.content {
            Some(Content::Text(text)) => (Some(text.as_str()), None),
            Some(Content::Bytes(bytes)) => (None, Some(STANDARD.encode(bytes))),
            None => (None, None),
        };
        let (if_match, if_none_match) = match self.condition {
            Some(Condition::Is(revision)) => (Some(revision), None),
            Some(Condition::IsAbsent) => (None, Some("*")),
            None => (None, None),
        };
        let delete = self.content.is_none().then_some(true);
        let content_type = self.content_type.as_deref();
        let spelled =
            Spelled { key: &self.key, value, base64, delete, content_type, if_match, if_none_match };
        spelled.serialize(serializer)
    }
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Listed")]
#[non_exhaustive]
pub struct Record {
    /// Its key.
    pub key: String,
    /// Its revision, for `if_match`.
    pub revision: u64,
    /// The length of its value, in bytes.
    pub size: u64,
    /// Its content type.
    pub content_type: String,
    /// When it was stored, in Unix seconds; None where the value was read by its key.
    pub updated_at: Option<u64>,
    /// Its value; None in a list without values.
    pub value: Option<Bytes>,
}

impl Record {
    /// Returns the value as text; empty where there is none.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn text(&self) -> Result<&str, Utf8Error> {
        std::str::from_utf8(self.value.as_deref().unwrap_or_default())
    }
}

/// A record in a list, with its value as text or as base64.
#[derive(Deserialize)]
struct Listed {
    key: String,
    revision: u64,
    size: u64,
    content_type: String,
    updated_at: Option<u64>,
    value: Option<String>,
    base64: Option<String>,
}

impl TryFrom<Listed> for Record {
    type Error = base64::DecodeError;

    fn try_from(listed: Listed) -> Result<Self, Self::Error> {
        let Listed { key, revision, size, content_type, updated_at, value, base64 } = listed;
        let decoded = base64.map(|text| STANDARD.decode(text)).transpose()?;
        let value = value.map(String::into_bytes).or(decoded).map(Bytes::from);
        Ok(Self { key, revision, size, content_type, updated_at, value })
    }
}

/// Records in the order of the bytes of their keys, or its reverse.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct RecordPage {
    /// The records.
    pub data: Vec<Record>,
    /// Whether there are more in the order of the list.
    pub has_more: bool,
    /// The key of the first record.
    pub first_id: Option<String>,
    /// The key of the last record, which begins the next page.
    pub last_id: Option<String>,
}

/// A record as it is stored now, after a write.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct StoredRecord {
    /// Its key.
    pub key: String,
    /// Its revision.
    pub revision: u64,
    /// The length of the value that was sent, in bytes.
    pub size: u64,
    /// Its content type.
    pub content_type: String,
}

/// What a deletion of records did.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct RecordDeletion {
    /// The key, where it is one change of several.
    pub key: Option<String>,
    /// How many records were deleted.
    pub deleted: u64,
    /// Whether there are more to delete by the same request.
    #[serde(default)]
    pub has_more: bool,
}

/// What was done of one change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "object")]
#[non_exhaustive]
pub enum Written {
    /// A record was stored.
    #[serde(rename = "record")]
    Stored(StoredRecord),
    /// A record was deleted.
    #[serde(rename = "record.deletion")]
    Deleted(RecordDeletion),
}

impl Written {
    /// Returns the record, if it was stored.
    pub fn stored(&self) -> Option<&StoredRecord> {
        match self {
            Self::Stored(record) => Some(record),
            Self::Deleted(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_are_spelled_as_the_contract_has_them() {
        for (change, expected) in [
            (Change::put("a", "x").if_match(3), json!({ "key": "a", "value": "x", "if_match": 3 })),
            (
                Change::put("a", b"\xff").if_match(Match::Any),
                json!({ "key": "a", "base64": "/w==", "if_match": "*" }),
            ),
            (
                Change::put("a", vec![0]).content_type("image/png").if_absent(),
                json!({ "key": "a", "base64": "AA==", "content_type": "image/png", "if_none_match": "*" }),
            ),
            (Change::delete("a").if_match(1), json!({ "key": "a", "delete": true, "if_match": 1 })),
        ] {
            assert_eq!(serde_json::to_value(change).unwrap(), expected);
        }
    }

    #[test]
    fn values_are_text_or_base64() {
        let record = |more: &str| {
            let json =
                format!(r#"{{"key":"k","revision":4,"size":2,"content_type":"t","new_field":1{more}}}"#);
            serde_json::from_str::<Record>(&json)
        };
        assert_eq!(record("").unwrap().value, None);
        assert_eq!(record(r#","value":"é""#).unwrap().text(), Ok("é"));
        assert_eq!(
            record(r#","base64":"/wA=","updated_at":5"#).unwrap().value.as_deref(),
            Some(&b"\xff\0"[..])
        );
        assert!(record(r#","base64":"?""#).is_err());
    }

    #[test]
    fn what_was_written_is_told_apart() {
        let written = json!([
            { "object": "record", "key": "a", "revision": 2, "size": 1, "content_type": "t" },
            { "object": "record.deletion", "key": "b", "deleted": 0 },
        ]);
        let written: Vec<Written> = serde_json::from_value(written).unwrap();
        assert_eq!(written[0].stored().map(|record| record.revision), Some(2));
        let deletion = RecordDeletion { key: Some("b".into()), deleted: 0, has_more: false };
        assert_eq!(written[1], Written::Deleted(deletion));
    }
}
