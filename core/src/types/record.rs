//! Records: bytes under keys, beside the messages of a conversation, or an owner's own. Postgres alone has them.

mod query;

use std::collections::HashSet;

use sha2::{Digest as _, Sha256};

use super::conversation::{ConversationKey, OwnerId};
use super::error::{Invalid, Problem};
use super::idempotency::{IdempotencyKey, RequestFingerprint};
use super::precondition::Precondition;

pub use query::{DeletedRecords, RecordDeletion, RecordLimit, RecordQuery};

/// The longest key of a record, in bytes.
pub const RECORD_KEY_BYTES: usize = 512;
/// The largest value of a record, in bytes, unless a deployment allows less.
pub const RECORD_BYTES: usize = 4 * 1024 * 1024;
/// The most records that are written together.
pub const RECORD_BATCH: usize = 100;
/// The most records that one deletion by prefix takes.
pub const RECORD_DELETION: usize = 100_000;
/// The longest content type, in characters.
const CONTENT_TYPE_CHARS: usize = 255;

/// What a record is called among those of one conversation or owner: 1 to 512 bytes of text, without U+0000. Keys are ordered by
/// their bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordKey(String);

impl RecordKey {
    /// Checks a key.
    ///
    /// # Errors
    /// [`Problem::NotARecordKey`].
    pub fn new(key: impl Into<String>) -> Result<Self, Invalid> {
        let key = key.into();
        let fits = (1..=RECORD_KEY_BYTES).contains(&key.len()) && !key.contains('\0');
        if fits { Ok(Self(key)) } else { Err(Problem::NotARecordKey.of("key")) }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a record belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordScope {
    /// A conversation: the record is deleted with it.
    Conversation(ConversationKey),
    /// An owner.
    Owner(OwnerId),
}

impl RecordScope {
    /// Whose it is.
    pub fn owner(&self) -> &OwnerId {
        match self {
            Self::Conversation(key) => &key.owner,
            Self::Owner(owner) => owner,
        }
    }

    /// The conversation's id, if it is one's.
    pub fn conversation_id(&self) -> Option<&str> {
        match self {
            Self::Conversation(key) => Some(key.id.as_str()),
            Self::Owner(_) => None,
        }
    }
}

/// What kind of bytes a value is, as an HTTP header says it: 1 to 255 characters of ASCII with a `/` in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType(String);

impl ContentType {
    /// Any bytes.
    pub const BYTES: &str = "application/octet-stream";

    /// Checks a content type.
    ///
    /// # Errors
    /// [`Problem::NotAContentType`].
    pub fn new(name: impl Into<String>) -> Result<Self, Invalid> {
        let name = name.into();
        let fits = name.len() <= CONTENT_TYPE_CHARS
            && name.contains('/')
            && name.trim() == name
            && name.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if fits { Ok(Self(name)) } else { Err(Problem::NotAContentType.of("content_type")) }
    }

    /// Any bytes: `application/octet-stream`.
    pub fn bytes() -> Self {
        Self(Self::BYTES.into())
    }

    /// Text in UTF-8.
    pub fn text() -> Self {
        Self("text/plain; charset=utf-8".into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As Postgres stores it: the commonest one is null.
    pub(crate) fn stored(&self) -> Option<&str> {
        (self.0 != Self::BYTES).then_some(&self.0)
    }

    pub(crate) fn of_stored(stored: Option<String>) -> Self {
        stored.map_or_else(Self::bytes, Self)
    }
}

/// What is stored under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordValue {
    /// The bytes, which are returned as they are.
    pub bytes: Vec<u8>,
    /// What they are.
    pub content_type: ContentType,
}

/// A record to be written, or deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordChange {
    /// Its key.
    pub key: RecordKey,
    /// Its new value; none: it is deleted.
    pub value: Option<RecordValue>,
    /// What must hold of it; a version is a revision of the record.
    pub precondition: Precondition,
}

/// Records that are written together or not at all, up to a hundred. No key stands twice.
#[derive(Clone, Debug, Default)]
pub struct RecordBatch {
    changes: Vec<RecordChange>,
    idempotency_key: Option<IdempotencyKey>,
}

impl RecordBatch {
    /// Checks what holds for the records together. There may be none.
    ///
    /// # Errors
    /// [`Problem::TooManyRecords`] or [`Problem::RepeatedKey`].
    pub fn new(changes: Vec<RecordChange>) -> Result<Self, Invalid> {
        if changes.len() > RECORD_BATCH {
            return Err(Problem::TooManyRecords { max: RECORD_BATCH }.of("records"));
        }
        let mut seen = HashSet::new();
        for (at, change) in changes.iter().enumerate() {
            if !seen.insert(&change.key) {
                return Err(Problem::RepeatedKey.of(format!("records[{at}].key")));
            }
        }
        Ok(Self { changes, idempotency_key: None })
    }

    /// The same, written once however often it is tried under this key.
    #[must_use]
    pub fn under(self, key: Option<IdempotencyKey>) -> Self {
        Self { idempotency_key: key, ..self }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The records, in order.
    pub fn changes(&self) -> &[RecordChange] {
        &self.changes
    }

    pub(crate) fn idempotency_key(&self) -> Option<&IdempotencyKey> {
        self.idempotency_key.as_ref()
    }

    /// Checks that no value is larger than so many bytes.
    ///
    /// # Errors
    /// [`Problem::RecordTooLarge`].
    pub(crate) fn check_sizes(&self, max: usize) -> Result<(), Invalid> {
        let is_large = |value: &RecordValue| value.bytes.len() > max;
        match self.changes.iter().position(|change| change.value.as_ref().is_some_and(is_large)) {
            Some(at) => Err(Problem::RecordTooLarge { max }.of(format!("records[{at}].value"))),
            None => Ok(()),
        }
    }

    /// What tells these records from others; empty where there are none.
    pub(crate) fn digest(&self) -> String {
        if self.is_empty() {
            return String::new();
        }
        let mut hash = Sha256::new();
        hash.update(b"records");
        let mut part = |bytes: &[u8]| {
            hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(bytes);
        };
        for RecordChange { key, value, precondition } in &self.changes {
            part(key.as_str().as_bytes());
            part(format!("{precondition:?}").as_bytes());
            if let Some(RecordValue { bytes, content_type }) = value {
                part(content_type.as_str().as_bytes());
                part(bytes);
            } else {
                part(&[]);
            }
        }
        let digits: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        format!(" records {digits}")
    }

    /// What tells the request to write these records from others under its key.
    pub(crate) fn fingerprint(&self) -> RequestFingerprint {
        RequestFingerprint::of_kind(&self.digest())
    }

    /// What was done of each, from the numbers that the commit answered.
    pub(crate) fn written(&self, numbers: &[i64]) -> Vec<WrittenRecord> {
        let written = |(change, &number): (&RecordChange, &i64)| WrittenRecord {
            key: change.key.clone(),
            outcome: match &change.value {
                Some(RecordValue { bytes, content_type }) => RecordOutcome::Stored {
                    revision: number,
                    size: bytes.len(),
                    content_type: content_type.clone(),
                },
                None => RecordOutcome::Deleted(number > 0),
            },
        };
        self.changes.iter().zip(numbers).map(written).collect()
    }
}

/// What a write did to a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenRecord {
    /// Its key.
    pub key: RecordKey,
    /// What was done.
    pub outcome: RecordOutcome,
}

/// What was done to a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordOutcome {
    /// It was stored.
    Stored {
        /// The revision that it has now.
        revision: i64,
        /// The length of its value, in bytes.
        size: usize,
        /// What its value is.
        content_type: ContentType,
    },
    /// It was deleted; false: there was none.
    Deleted(bool),
}

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its key.
    pub key: RecordKey,
    /// Counts the commits that wrote records of its conversation or owner: it grows with each write, and is never given twice.
    pub revision: i64,
    /// The length of its value, in bytes.
    pub size: usize,
    /// What its value is.
    pub content_type: ContentType,
    /// When it was written, in Unix seconds.
    pub updated_at: i64,
    /// Its value, if that was asked for and the caller has not got it.
    pub value: Option<Vec<u8>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(key: &str, value: Option<&str>) -> RecordChange {
        let value = value.map(|text| RecordValue { bytes: text.into(), content_type: ContentType::text() });
        RecordChange { key: RecordKey::new(key).unwrap(), value, precondition: Precondition::None }
    }

    #[test]
    fn keys_are_text_of_512_bytes() {
        for good in ["a", "a/b c?", "\u{e9}", &"k".repeat(RECORD_KEY_BYTES)] {
            assert_eq!(RecordKey::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "a\0", &"\u{e9}".repeat(RECORD_KEY_BYTES / 2 + 1)] {
            assert_eq!(RecordKey::new(bad).unwrap_err().problem, Problem::NotARecordKey);
        }
    }

    #[test]
    fn content_types_are_header_values() {
        for good in ["text/plain; charset=utf-8", "application/x-msgpack", "a/b"] {
            assert_eq!(ContentType::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "text", " a/b", "a/b\n", "\u{e9}/b", &format!("a/{}", "b".repeat(254))] {
            assert_eq!(ContentType::new(bad).unwrap_err().problem, Problem::NotAContentType);
        }
        assert_eq!(
            ContentType::of_stored(ContentType::bytes().stored().map(str::to_owned)),
            ContentType::bytes()
        );
    }

    #[test]
    fn a_batch_has_up_to_100_records_and_no_key_twice() {
        let many = |count: usize| (0..count).map(|n| change(&n.to_string(), None)).collect::<Vec<_>>();
        assert!(RecordBatch::new(many(100)).is_ok() && RecordBatch::new(vec![]).is_ok());
        let problem = |changes| RecordBatch::new(changes).unwrap_err();
        assert_eq!(problem(many(101)).problem, Problem::TooManyRecords { max: 100 });
        assert_eq!(problem(vec![change("a", None), change("a", Some(""))]).param, "records[1].key");
    }

    #[test]
    fn whatever_differs_has_another_digest() {
        let digest = |changes| RecordBatch::new(changes).unwrap().digest();
        let conditional = RecordChange { precondition: Precondition::Absent, ..change("a", Some("b")) };
        let all = [
            digest(vec![]),
            digest(vec![change("a", Some("b"))]),
            digest(vec![change("a", None)]),
            digest(vec![change("a", Some(""))]),
            digest(vec![change("a", Some("b")), change("c", None)]),
            digest(vec![conditional]),
        ];
        assert_eq!(HashSet::from(all).len(), 6);
    }
}
