//! The names that owners and conversations go by.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::types::error::{Invalid, Problem};

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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

    /// The id as it stands in logs.
    pub fn hashed(&self) -> HashedId<'_> {
        HashedId(&self.0)
    }
}

/// What stands for a conversation's id in logs, which outlive what is erased: the first 64 bits of its hash.
#[derive(Clone, Copy, Debug)]
pub struct HashedId<'a>(&'a str);

impl<'a> HashedId<'a> {
    /// Of an id, or of what was to be one.
    pub fn of(id: &'a str) -> Self {
        Self(id)
    }
}

impl fmt::Display for HashedId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Sha256::digest(self.0).iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))
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
