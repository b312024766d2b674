//! What is noted of a run.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use conversation_core::{CacheUpdate, Message, Source};

/// A conversation: those in one place follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Conversation {
    pub(super) place: usize,
    pub(super) generation: u32,
}

impl fmt::Display for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}-{}", self.place, self.generation)
    }
}

/// How many messages a short read asks for.
pub(super) const SHORT: usize = 10;
/// How many a full one does.
pub(super) const FULL: usize = 100;

/// What a reader saw, as small as can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sight {
    /// The last [`FULL`] messages: a hash of their positions and ids.
    Full(u64),
    /// The last [`SHORT`] ones.
    Short(u64),
    /// The row: its version, and a hash of the title and the number of messages.
    Row(i64, u64),
    /// There is no such conversation.
    Nothing,
}

/// The same for the same messages.
pub(super) fn hash_of(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// A read that was answered. Times are nanoseconds since the run began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    pub(super) conversation: Conversation,
    pub(super) began: u64,
    pub(super) ended: u64,
    pub(super) sight: Sight,
    pub(super) min_version: Option<i64>,
    pub(super) source: Source,
    /// It was answered that nothing has changed since that was seen.
    pub(super) unchanged: bool,
}

/// A write that was acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Wrote {
    pub(super) conversation: Conversation,
    pub(super) version: i64,
    pub(super) cache_update: CacheUpdate,
    /// The messages that it added.
    pub(super) added: Vec<String>,
    /// The version that it depended on.
    pub(super) expected: Option<i64>,
    /// None: the version may be that of an earlier attempt, or of somebody else's write.
    pub(super) began: Option<u64>,
    pub(super) ended: u64,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub(super) enum Record {
    Read(Read),
    Wrote(Wrote),
    /// A write was refused, since the conversation was at another version: none of these messages is stored.
    Mismatched {
        conversation: Conversation,
        ids: Vec<String>,
    },
    /// The deletion of a conversation was acknowledged.
    Deleted {
        conversation: Conversation,
        cache_update: CacheUpdate,
        ended: u64,
    },
    /// The erasure of what an owner had was answered.
    Erased,
    /// A sweep paid all pending invalidations that were noted before it began.
    Swept {
        began: u64,
        ended: u64,
    },
    /// A replica that had fallen behind took over.
    FailedOver {
        began: u64,
        ended: u64,
    },
    /// An operation failed as it may.
    Failed(&'static str),
    /// An operation failed as it may not.
    Odd(String),
}

/// A message's position and id.
pub(super) type Named = (i64, String);

/// What a reader makes of the newest messages.
pub(super) fn sight(messages: &[Named], short: bool) -> Sight {
    let newest = |count: usize| hash_of(&messages[messages.len().saturating_sub(count)..]);
    if short { Sight::Short(newest(SHORT)) } else { Sight::Full(newest(FULL)) }
}

pub(super) fn named(message: &Message) -> Named {
    let id = serde_json::from_str::<serde_json::Value>(message.json())
        .ok()
        .and_then(|json| json["id"].as_str().map(str::to_owned));
    (message.seq(), id.unwrap_or_default())
}
