//! What an owner has, and its erasure.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::conversation::OwnerId;

/// What an owner has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnerStats {
    /// Conversations, archived ones included.
    pub conversations: i64,
    /// Messages of them.
    pub messages: i64,
    /// Records, of conversations and of the owner.
    pub records: i64,
    /// How many bytes the bodies of messages and the values of records take as they are stored.
    pub bytes: i64,
}

/// An erasure of everything that an owner has, as its receipt says it: nothing of what was erased. Times are Unix seconds.
///
/// Its JSON is what the API answers and what the command line writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "object", rename = "owner.erasure")]
pub struct Erasure {
    /// Its id.
    pub id: String,
    /// Whose data were erased.
    pub owner_hash: OwnerHash,
    /// The shard of the owner.
    pub shard: i32,
    /// Who asked for it: `owner`, or an operator by name.
    pub requested_by: String,
    /// When it was asked for.
    pub requested_at: i64,
    /// Since when nobody can read any of it; none: some is not hidden yet.
    pub hidden_at: Option<i64>,
    /// Since when nothing of it is left in either store; none: something is.
    pub completed_at: Option<i64>,
    /// How many conversations it covers, deleted ones included.
    pub conversations: i64,
    /// How many messages were removed so far.
    pub messages: i64,
    /// How many records were removed so far.
    pub records: i64,
    /// How many conversations, and the owner's own records as one more, are still to be removed.
    pub remaining: i64,
}

/// What stands for an owner in logs and receipts: the first 64 bits of the hash of the id, as 16 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct OwnerHash(String);

impl OwnerHash {
    /// Of an owner.
    pub fn of(owner: &OwnerId) -> Self {
        let hash = Sha256::digest(owner.as_str());
        Self(hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    /// As a receipt has it.
    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OwnerHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How long the rows of what was erased stay at least: longer than a function runs, so that nobody who began before it was hidden can
/// still write into the cache when its entry is removed for good.
pub const ERASURE_SETTLES: Duration = Duration::from_secs(60);
