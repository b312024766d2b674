//! What both stores hold of a conversation, for people to look at.

use serde::{Serialize, Serializer};

use super::conversation::{Conversation, OwnerId};
use super::read::Miss;

/// What both stores hold of a conversation.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// What Postgres has; none: it never had such a conversation.
    pub postgres: Option<RowState>,
    /// What Redis has; none: nothing.
    pub redis: Option<EntryState>,
    /// What the next read of the last messages makes of what Redis has.
    pub next_read: NextRead,
    /// Where Redis says something else than Postgres. As long as the next read is no hit, nobody reads it.
    pub differences: Vec<String>,
    /// Something was written all the while, so that the differences may be none.
    pub in_motion: bool,
}

/// A conversation's row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RowState {
    /// Whether it is a tombstone.
    pub deleted: bool,
    /// Counts every change.
    pub version: i64,
    /// The epoch; none for a tombstone, of which nobody asks.
    pub epoch: Option<i64>,
    /// The highest position ever given out.
    pub last_seq: i64,
    /// The version up to which the cached copy may be stale.
    pub pending_invalidation: Option<i64>,
    /// At how many positions the sweep has yet to remove what is deleted: the conversation was, or much of it was cut off.
    pub positions_to_remove: i64,
    /// How many records it has.
    pub records: i64,
    /// How many bytes their values take at rest.
    pub record_bytes: i64,
    /// What is answered of it.
    pub conversation: Option<Conversation>,
    /// The window's positions, the first and the last, and how many messages it has.
    pub window_first: Option<i64>,
    /// See above.
    pub window_last: Option<i64>,
    /// See above.
    pub window_length: usize,
}

/// A conversation's entry and window in Redis. Times are milliseconds by the clock of who looks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EntryState {
    /// The highest epoch known there.
    pub epoch: Option<i64>,
    /// The version of the facts.
    pub version: Option<i64>,
    /// The floor: the position that the window begins at.
    pub first: Option<i64>,
    /// How many messages there are in all.
    pub count: Option<i64>,
    /// How long ago the validity marker was made; none: there is none.
    pub validated_ms_ago: Option<i64>,
    /// The version at which the conversation was deleted, where this is a mark of that.
    pub deleted_at_version: Option<i64>,
    /// Since when a reader has the lease to fill it.
    pub leased_ms_ago: Option<i64>,
    /// The writes in flight.
    pub intents: Vec<IntentState>,
    /// The replication id of the server that the entry is valid on.
    pub held_for_server: Option<String>,
    /// The replication id of the server that it is on.
    pub server: String,
    /// Whether that is a `master` or a `slave`.
    pub role: String,
    /// How long the entry lives yet; negative: for ever, or it is not there.
    pub entry_ttl_ms: i64,
    /// How long the window does.
    pub window_ttl_ms: i64,
    /// What is answered of the conversation.
    pub conversation: Option<Conversation>,
    /// The window's positions, the first and the last, how many elements it has, and how large they are together.
    pub window_first: Option<i64>,
    /// See above.
    pub window_last: Option<i64>,
    /// See above.
    pub window_length: usize,
    /// See above.
    pub window_bytes: usize,
    /// Elements that are a position alone: of messages that with the newer ones are larger than what is cached.
    pub bare_elements: usize,
    /// Elements that are none of this store's.
    pub foreign_elements: usize,
}

/// The intent of a write in flight, or of a dead one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct IntentState {
    /// Its field.
    pub name: String,
    /// How old it is.
    pub set_ms_ago: i64,
}

/// Who has most of the store. Deleted conversations do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LargestOwners {
    /// How many owners there are.
    pub owners: i64,
    /// How many conversations all owners have together.
    pub conversations: i64,
    /// How many messages.
    pub messages: i64,
    /// The owners with the most messages, the largest first.
    pub largest: Vec<OwnerSize>,
}

/// How much of the store an owner has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OwnerSize {
    /// The owner.
    #[serde(serialize_with = "as_text")]
    pub owner: OwnerId,
    /// Where its rows are: a distributed Postgres keeps all of a shard on one node.
    pub shard: i32,
    /// How many conversations the owner has.
    pub conversations: i64,
    /// How many messages they have.
    pub messages: i64,
}

fn as_text<S: Serializer>(owner: &OwnerId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(owner.as_str())
}

/// What a read makes of what the cache has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextRead {
    /// It answers it.
    Hit,
    /// It answers that there is none.
    Deleted,
    /// It goes to Postgres.
    Miss(Miss),
}

impl std::fmt::Display for NextRead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hit => f.write_str("hit"),
            Self::Deleted => f.write_str("deleted"),
            Self::Miss(reason) => write!(f, "miss, {reason}"),
        }
    }
}

impl Serialize for NextRead {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Inspection {
    /// Whether the next read is answered something that Postgres does not have.
    pub fn is_wrong(&self) -> bool {
        !self.differences.is_empty() && !self.in_motion && !matches!(self.next_read, NextRead::Miss(_))
    }
}
