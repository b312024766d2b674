//! Conversations, and what callers set of them.

mod expires_after;
mod id;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{Invalid, Problem};

pub use expires_after::ExpiresAfter;
pub(crate) use id::checked_id;
pub use id::{ConversationId, ConversationKey, HashedId, ID_CHARS, OWNER_CHARS, OwnerId};

/// The most pairs that [`Metadata`] holds.
pub const METADATA_PAIRS: usize = 16;
/// The longest metadata key, in characters.
pub const METADATA_KEY_CHARS: usize = 64;
/// The longest metadata value, in characters.
pub const METADATA_VALUE_CHARS: usize = 512;
/// The longest title, in characters.
pub const TITLE_CHARS: usize = 512;
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
    /// Whether lists leave it out unless they are asked for what is archived.
    #[serde(default)]
    pub archived: bool,
    /// After how many seconds without a change it expires; none: it does not, by itself.
    #[serde(default)]
    pub expires_after: Option<i64>,
    /// When it expires if nothing changes: after its own time or that of the deployment, whichever is shorter.
    #[serde(default)]
    pub expires_at: Option<i64>,
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
    /// Whether lists leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archived: Option<bool>,
    /// After how long without a change it expires; an inner `None`: it does not, by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<Option<ExpiresAfter>>,
}

impl ConversationFields {
    /// A title, if there is one, and metadata; what else there is is left as it is.
    pub fn of(title: Option<Title>, metadata: Metadata) -> Self {
        Self { title: Some(title), metadata: Some(metadata), ..Self::default() }
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
            "archived" => self.archived = Some(archived_of(&value)?),
            "expires_after" => self.expires_after = Some(ExpiresAfter::of_json(&value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Whether every field is left as it is.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Each field by itself, in the order in which they stand here.
    pub(crate) fn one_by_one(&self) -> [Self; 4] {
        let Self { title, metadata, archived, expires_after } = self.clone();
        [
            Self { title, ..Self::default() },
            Self { metadata, ..Self::default() },
            Self { archived, ..Self::default() },
            Self { expires_after, ..Self::default() },
        ]
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

fn archived_of(value: &Value) -> Result<bool, Invalid> {
    match value {
        Value::Null => Ok(false),
        Value::Bool(archived) => Ok(*archived),
        _ => Err(Problem::Type { expected: "true or false" }.of("archived")),
    }
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
            archived: false,
            expires_after: None,
            expires_at: None,
        }
    }

    /// The conversation as the API returns it and the cache holds it.
    pub fn to_json(&self) -> String {
        // Every part of it has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The fields that callers have set, all of them.
    pub(crate) fn into_fields(self) -> ConversationFields {
        ConversationFields {
            title: Some(self.title.map(Title)),
            metadata: Some(self.metadata),
            archived: Some(self.archived),
            expires_after: Some(self.expires_after.map(ExpiresAfter::stored)),
        }
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
        assert_eq!(
            ConversationFields { title, ..ConversationFields::default() }.to_json(),
            r#"{"title":"a\"b"}"#
        );
        let mut fields = ConversationFields::of(None, Metadata::default());
        assert_eq!(fields.to_json(), r#"{"title":null,"metadata":{}}"#);
        fields.archived = Some(true);
        fields.expires_after = Some(Some(ExpiresAfter::new(60).unwrap()));
        assert_eq!(fields.to_json(), r#"{"title":null,"metadata":{},"archived":true,"expires_after":60}"#);
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
