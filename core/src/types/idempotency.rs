//! Requests that are done once, however often they are tried.

use sha2::{Digest as _, Sha256};
use uuid::Builder;

use super::conversation::{ConversationFields, ConversationId, OwnerId};
use super::error::{Invalid, Problem};

/// The longest idempotency key, in characters.
pub const IDEMPOTENCY_KEY_CHARS: usize = 255;

/// What a client calls one request, however often it tries it; unique for its owner.
///
/// 1 to 255 visible ASCII characters. A request that bears the key of another one is refused; the same request again is
/// answered with what it did the first time. The key is known for as long as its conversation is there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Checks a key.
    ///
    /// # Errors
    /// [`Problem::NotAnIdempotencyKey`].
    pub fn new(key: impl Into<String>) -> Result<Self, Invalid> {
        let key = key.into();
        let fits = (1..=IDEMPOTENCY_KEY_CHARS).contains(&key.len())
            && key.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(key)) } else { Err(Problem::NotAnIdempotencyKey.of("idempotency-key")) }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the database knows the key by: 128 bits of its hash, so that it holds no word of a client's.
    pub(crate) fn stored(&self) -> String {
        let Fingerprint(hash) = Fingerprint::of([self.as_str()]);
        hash[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The id of the conversation that a request under this key creates if it names none: every try must mean the same
    /// one. `conv_` and a UUIDv8.
    pub(crate) fn conversation_id(&self, owner: &OwnerId) -> ConversationId {
        let Fingerprint(hash) = Fingerprint::of([owner.as_str(), self.as_str()]);
        let mut half = [0; 16];
        half.copy_from_slice(&hash[..16]);
        ConversationId::from_uuid(Builder::from_custom_bytes(half).into_uuid())
    }
}

/// What tells one request from another, as it is stored under its key: a hash of all its parts, 16 bytes, then one of each part,
/// 4 bytes, by which a part is found that another request does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestFingerprint(Vec<u8>);

/// A part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// What it does.
    Kind,
    /// Where in the history.
    Position,
    Title,
    Metadata,
    Archived,
    ExpiresAfter,
    /// One of its messages, from 0.
    Message(usize),
}

impl Part {
    /// What it is called in the request; nothing where it is no field, or one of many.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Metadata => "metadata",
            Self::Archived => "archived",
            Self::ExpiresAfter => "expires_after",
            Self::Kind | Self::Position | Self::Message(_) => "",
        }
    }
}

impl RequestFingerprint {
    const WHOLE: usize = 16;
    const PART: usize = 4;

    /// Of what a request does, where, the fields that it sets, and its messages, each under the one name of its value.
    pub(crate) fn of_request(
        kind: &str,
        position: Option<i64>,
        fields: &ConversationFields,
        messages: impl Iterator<Item = String>,
    ) -> Self {
        let position = position.map_or_else(String::new, |position| position.to_string());
        let fields = fields.one_by_one().map(|field| field.to_json());
        let parts = [kind.to_owned(), position].into_iter().chain(fields).chain(messages);
        Self::of(&parts.collect::<Vec<_>>())
    }

    /// Of a request that is known as a whole.
    pub(crate) fn of_kind(kind: &str) -> Self {
        Self::of_request(kind, None, &ConversationFields::default(), std::iter::empty())
    }

    fn of(parts: &[String]) -> Self {
        let Fingerprint(whole) = Fingerprint::of(parts);
        let mut bytes = whole[..Self::WHOLE].to_vec();
        for part in parts {
            let Fingerprint(hash) = Fingerprint::of([part]);
            bytes.extend_from_slice(&hash[..Self::PART]);
        }
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// A fingerprint as it was stored.
    pub(crate) fn stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The parts that the request of another fingerprint does not have so, in order. A message that only one of them has is
    /// among them.
    pub(crate) fn differences(&self, other: &Self) -> Vec<Part> {
        let (ours, theirs) = (self.parts(), other.parts());
        let differing = (0..ours.len().max(theirs.len())).filter(|at| ours.get(*at) != theirs.get(*at));
        let part = |at| match at {
            0 => Part::Kind,
            1 => Part::Position,
            2 => Part::Title,
            3 => Part::Metadata,
            4 => Part::Archived,
            5 => Part::ExpiresAfter,
            at => Part::Message(at - 6),
        };
        differing.map(part).collect()
    }

    /// How many messages the request has.
    pub(crate) fn messages(&self) -> usize {
        self.parts().len().saturating_sub(4)
    }

    fn parts(&self) -> Vec<&[u8]> {
        self.0.get(Self::WHOLE..).unwrap_or_default().chunks(Self::PART).collect()
    }
}

/// The SHA-256 of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(pub(crate) [u8; 32]);

impl Fingerprint {
    /// Of texts, each with its length before it, so that no two sequences of texts run into one.
    pub(crate) fn of<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Self {
        let mut hash = Sha256::new();
        for text in texts {
            let text = text.as_ref();
            hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(text);
        }
        Self(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_visible_ascii() {
        for good in ["a", "0d1b-\"quoted\"~", &"k".repeat(IDEMPOTENCY_KEY_CHARS)] {
            assert_eq!(IdempotencyKey::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "\u{e9}", "a\n", &"k".repeat(IDEMPOTENCY_KEY_CHARS + 1)] {
            assert_eq!(IdempotencyKey::new(bad).unwrap_err().problem, Problem::NotAnIdempotencyKey);
        }
    }

    #[test]
    fn texts_do_not_run_into_one() {
        assert_ne!(Fingerprint::of(["ab", "c"]), Fingerprint::of(["a", "bc"]));
        assert_ne!(Fingerprint::of(["a"]), Fingerprint::of(["a", ""]));
    }

    #[test]
    fn a_conversation_is_named_by_owner_and_key() {
        let id = |owner, key| {
            let owner = OwnerId::new(owner).unwrap();
            IdempotencyKey::new(key).unwrap().conversation_id(&owner)
        };
        assert_eq!(id("ann", "1"), id("ann", "1"));
        assert_ne!(id("ann", "1"), id("bob", "1"));
        assert_ne!(id("ann", "1"), id("ann", "2"));
    }
}
