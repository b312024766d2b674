//! Conversations and the names they go by.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::error::{Invalid, Problem};

/// The most pairs that [`Metadata`] holds.
pub const METADATA_PAIRS: usize = 16;
/// The longest metadata key, in characters.
pub const METADATA_KEY_CHARS: usize = 64;
/// The longest metadata value, in characters.
pub const METADATA_VALUE_CHARS: usize = 512;
/// The longest title, in characters.
pub const TITLE_CHARS: usize = 512;
/// The longest conversation or message id, in characters.
pub const ID_CHARS: usize = 128;
/// The longest owner id, in characters.
pub const OWNER_CHARS: usize = 255;

/// Whose conversations these are: whatever the identity provider calls a user.
///
/// 1 to 255 visible ASCII characters other than `{` and `}`, which delimit the hash tag of the cache's keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OwnerId(String);

impl OwnerId {
    /// Checks an owner id.
    ///
    /// # Errors
    /// [`Problem::NotAnOwner`].
    pub fn new(id: impl Into<String>) -> Result<Self, Invalid> {
        let id = id.into();
        let fits = (1..=OWNER_CHARS).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'{' && byte != b'}');
        if fits { Ok(Self(id)) } else { Err(Problem::NotAnOwner.of("owner")) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The shard of its rows, 0 to 4095: the first two bytes of its SHA-256, and of them the lowest twelve bits. Rows are
    /// stored under it, so that it can never change. Postgres has the same as `shard_of`.
    pub fn shard(&self) -> i32 {
        let hash = Sha256::digest(self.0.as_bytes());
        i32::from(u16::from_be_bytes([hash[0], hash[1]]) & 4095)
    }
}

/// A conversation's id, chosen by the client or made by the store; unique for its owner and never reused.
///
/// 1 to 128 visible ASCII characters other than ``/ ? # % \ { } < > " ' & ` ``, and not only dots.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConversationId(String);

impl ConversationId {
    /// Whether an id may have this byte: visible ASCII but what ends a part of a path or begins an escape there, delimits the
    /// hash tag of a cache key, or has a meaning in HTML or in a JSON string.
    pub fn may_contain(byte: u8) -> bool {
        byte.is_ascii_graphic() && !b"/?#%\\{}<>\"'&`".contains(&byte)
    }

    /// Checks an id that a client chose.
    ///
    /// # Errors
    /// [`Problem::NotAnId`].
    pub fn new(id: impl Into<String>) -> Result<Self, Invalid> {
        checked_id(id.into(), "conversation_id").map(Self)
    }

    /// A new id: `conv_` and a UUIDv7.
    pub fn generate() -> Self {
        Self::from_uuid(Uuid::now_v7())
    }

    pub(crate) fn from_uuid(uuid: Uuid) -> Self {
        Self(format!("conv_{}", uuid.simple()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The rule that conversation and message ids share.
pub(crate) fn checked_id(id: String, param: &str) -> Result<String, Invalid> {
    // Of a path, what is only dots is resolved by some clients.
    let is_more_than_dots = id.bytes().any(|byte| byte != b'.');
    let fits = is_more_than_dots && id.len() <= ID_CHARS && id.bytes().all(ConversationId::may_contain);
    if fits { Ok(id) } else { Err(Problem::NotAnId.of(param)) }
}

/// The full name of a conversation: no id means anything without its owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConversationKey {
    /// Whose it is.
    pub owner: OwnerId,
    /// Which of theirs.
    pub id: ConversationId,
}

/// Up to 16 pairs of strings that a client attaches to a conversation, with OpenAI's limits: keys to 64 characters,
/// values to 512. Without U+0000, which Postgres text cannot hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metadata(BTreeMap<String, String>);

impl Metadata {
    /// Checks metadata.
    ///
    /// # Errors
    /// [`Problem::TooManyPairs`], [`Problem::TooLong`] or [`Problem::HasNul`], for `metadata` or one of its pairs.
    pub fn new(pairs: BTreeMap<String, String>) -> Result<Self, Invalid> {
        if pairs.len() > METADATA_PAIRS {
            return Err(Problem::TooManyPairs { max: METADATA_PAIRS }.of("metadata"));
        }
        for (key, value) in &pairs {
            check_text(key, METADATA_KEY_CHARS, "metadata")?;
            check_text(value, METADATA_VALUE_CHARS, &format!("metadata.{key}"))?;
        }
        Ok(Self(pairs))
    }

    /// The pairs, by key.
    pub fn pairs(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

/// A title: at most 512 characters, without U+0000.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Title(String);

impl Title {
    /// Checks a title.
    ///
    /// # Errors
    /// [`Problem::TooLong`] or [`Problem::HasNul`].
    pub fn new(title: impl Into<String>) -> Result<Self, Invalid> {
        let title = title.into();
        check_text(&title, TITLE_CHARS, "title")?;
        Ok(Self(title))
    }

    /// The title as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_text(text: &str, max: usize, param: &str) -> Result<(), Invalid> {
    if text.contains('\0') {
        return Err(Problem::HasNul.of(param));
    }
    if text.chars().count() > max {
        return Err(Problem::TooLong { max }.of(param));
    }
    Ok(())
}

/// A conversation without its messages. Times are Unix seconds.
///
/// Its JSON is what the API returns, what the cache holds and what Postgres returns (`sql/conversation.sql`). It is read
/// leniently: older and newer code share a cache during a deployment, so unknown fields are ignored and missing ones have
/// their default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// Always `conversation`.
    #[serde(default)]
    pub object: Kind,
    /// A title, if it has one.
    #[serde(default)]
    pub title: Option<String>,
    /// What the client attached.
    #[serde(default)]
    pub metadata: Metadata,
    /// How many messages it holds.
    #[serde(default)]
    pub message_count: i64,
    /// How often it changed: what `min_version` is compared with.
    #[serde(default)]
    pub version: i64,
    /// When it was created.
    #[serde(default)]
    pub created_at: i64,
    /// When it last changed in any way: lists are ordered by this.
    #[serde(default)]
    pub updated_at: i64,
    /// When a message was last added.
    #[serde(default)]
    pub last_message_at: Option<i64>,
    /// The conversation that it began as a copy of.
    #[serde(default)]
    pub forked_from: Option<String>,
    /// The last position that was copied.
    #[serde(default)]
    pub forked_at: Option<i64>,
}

/// The fields of a conversation that callers set. `None` leaves a field as it is.
///
/// Its JSON is what `set_conversation_fields` takes in Postgres.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ConversationFields {
    /// A title; an inner `None` removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Option<Title>>,
    /// Metadata, in place of all that there was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

impl ConversationFields {
    /// A title, if there is one, and metadata; what else there is is left as it is.
    pub fn of(title: Option<Title>, metadata: Metadata) -> Self {
        Self { title: Some(title), metadata: Some(metadata) }
    }

    /// Sets the field of that name from its JSON, as callers and exports write it; null removes what it holds. Whether
    /// there is such a field.
    ///
    /// # Errors
    /// The value breaks the field's rule.
    pub fn set(&mut self, name: &str, value: Value) -> Result<bool, Invalid> {
        match name {
            "title" => self.title = Some(title_of(value)?),
            "metadata" => self.metadata = Some(metadata_of(value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whether every field is left as it is.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The fields to set, as JSON.
    pub(crate) fn to_json(&self) -> String {
        // Every part of it has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn title_of(value: Value) -> Result<Option<Title>, Invalid> {
    match value {
        Value::Null => Ok(None),
        Value::String(title) => Title::new(title).map(Some),
        _ => Err(Problem::Type { expected: "a string" }.of("title")),
    }
}

fn metadata_of(value: Value) -> Result<Metadata, Invalid> {
    let pairs: Option<BTreeMap<String, String>> = serde_json::from_value(value)
        .map_err(|_| Problem::Type { expected: "an object with string values" }.of("metadata"))?;
    Metadata::new(pairs.unwrap_or_default())
}

impl Conversation {
    /// A conversation of that id in which nothing was set or stored yet.
    pub(crate) fn empty(id: ConversationId) -> Self {
        Self {
            id,
            object: Kind::Conversation,
            title: None,
            metadata: Metadata::default(),
            message_count: 0,
            version: 0,
            created_at: 0,
            updated_at: 0,
            last_message_at: None,
            forked_from: None,
            forked_at: None,
        }
    }

    /// The conversation as the API returns it and the cache holds it.
    pub fn to_json(&self) -> String {
        // Every part of it has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The fields that callers have set, all of them.
    pub(crate) fn into_fields(self) -> ConversationFields {
        ConversationFields { title: Some(self.title.map(Title)), metadata: Some(self.metadata) }
    }
}

/// The `object` field of a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The one value it takes.
    #[default]
    Conversation,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_has_the_same_shard_for_ever() {
        let vectors = include_str!("../../sql/shard_of.csv").lines().filter_map(|line| line.rsplit_once(','));
        let mut tried = 0;
        for (owner, shard) in vectors.skip(1) {
            assert_eq!(OwnerId::new(owner).unwrap().shard().to_string(), shard, "{owner}");
            tried += 1;
        }
        assert_eq!(tried, 8);
    }

    #[test]
    fn ids_keep_to_what_needs_no_escaping() {
        for good in [
            "a",
            "conv_1",
            "user:42@example.com",
            "0198c2f0-7e1a",
            "A.b~c+d",
            "-1001234567890",
            "+14155550100",
            "_V1StGXR8_Z5jdHi6B-myT",
            "19:meeting_MjdhNjM4@thread.v2;messageid=1",
            "a:1|29:1XJKJMvc5GBtc2JwZq0oj8tHZmzrQgFmB39ATiQWA85gQtHieVkKilBZ9XHoq9j7Zaqt7CZ",
            "wamid.HBgLMTY0NjcwNDM1OTUVAgARGBI1RjQyNUE3NEYxMzAzMzQ5MkEA==",
            "!room:matrix.org",
            "$(a)*,^[b]",
            ".hidden",
            &"x".repeat(128),
        ] {
            assert!(ConversationId::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            " a",
            "a b",
            "a\u{7}",
            ".",
            "..",
            "...",
            "a/b",
            "a\\b",
            "a{b}",
            "<b>",
            "a\"",
            "a'",
            "a&b",
            "a`b",
            "a?b",
            "a#b",
            "é",
            "a%20",
            &"x".repeat(129),
        ] {
            assert_eq!(ConversationId::new(bad).unwrap_err().problem, Problem::NotAnId, "{bad:?}");
        }
    }

    #[test]
    fn what_other_code_has_cached_is_read_leniently() {
        // By code that knows a field more, and by code that knows fewer.
        let newer = r#"{"id":"c","object":"conversation","title":"t","metadata":{"k":"v"},"message_count":1,"version":2,
            "created_at":3,"updated_at":4,"last_message_at":5,"pinned":true}"#;
        let read: Conversation = serde_json::from_str(newer).unwrap();
        assert_eq!((read.title.as_deref(), read.version, read.last_message_at), (Some("t"), 2, Some(5)));
        let older: Conversation = serde_json::from_str(r#"{"id":"c","version":2}"#).unwrap();
        assert_eq!((older.title, older.message_count, older.metadata), (None, 0, Metadata::default()));
    }

    #[test]
    fn only_fields_that_are_set_stand_in_the_json() {
        let title = Some(Some(Title::new("a\"b").unwrap()));
        assert_eq!(ConversationFields { title, metadata: None }.to_json(), r#"{"title":"a\"b"}"#);
        let fields = ConversationFields { title: Some(None), metadata: Some(Metadata::default()) };
        assert_eq!(fields.to_json(), r#"{"title":null,"metadata":{}}"#);
        assert!(ConversationFields::default().is_empty() && !fields.is_empty());
    }

    #[test]
    fn owners_are_what_identity_providers_give() {
        for good in ["local", "auth0|5f7c8ec7c33c6c004bbafe82", "spiffe://example.org/a", "a=b"] {
            assert!(OwnerId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a{b", "a}b", "ü", "a\n", &"x".repeat(256)] {
            assert!(OwnerId::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn metadata_counts_characters_not_bytes() {
        let pair = |key: String, value: String| Metadata::new(BTreeMap::from([(key, value)]));
        assert!(pair("ключ".repeat(16), "😀".repeat(512)).is_ok());
        assert_eq!(pair("k".repeat(65), String::new()).unwrap_err().problem, Problem::TooLong { max: 64 });
        let too_long = pair("k".into(), "v".repeat(513)).unwrap_err();
        assert_eq!(
            (too_long.param.as_str(), too_long.problem),
            ("metadata.k", Problem::TooLong { max: 512 })
        );
        assert_eq!(pair("k".into(), "a\0b".into()).unwrap_err().problem, Problem::HasNul);
        let many = (0..17).map(|n| (n.to_string(), String::new())).collect();
        assert_eq!(Metadata::new(many).unwrap_err().problem, Problem::TooManyPairs { max: 16 });
    }
}
