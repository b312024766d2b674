//! The cache's keys and how long they live.

use std::time::Duration;

use crate::types::conversation::{ConversationId, ConversationKey, OwnerId};

/// How long an entry outlives the last write or warming of it.
pub(crate) const TTL: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How long an entry lives that only holds a reader's lease, for a conversation that may not exist.
pub(crate) const LEASED_TTL: Duration = Duration::from_secs(10);

/// How long a validity marker stands before a reader renews it from Postgres. It bounds what no fault that is known of
/// needs bounded: an isolated old primary, say.
pub(crate) const VALIDITY: Duration = Duration::from_secs(60 * 60);

/// The same where the server does not say who it is. A failover goes unnoticed there, and may have forgotten what was
/// acknowledged: this bounds for how long a reader may be answered what was before.
pub const UNIDENTIFIED_VALIDITY: Duration = Duration::from_secs(30);

/// How long a lease or an intent is taken to have somebody behind it. Time decides only when to give up waiting.
pub(crate) const PRESUMED_DEAD: Duration = Duration::from_secs(5);

/// A duration as the scripts count.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The two keys of a conversation: `conversation:{OWNER/ID}` and `conversation:{OWNER/ID}:messages`. The braces are
/// Redis Cluster's hash tag: both are in one slot. An id holds no `/` and an owner no brace, so no two conversations
/// share a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    /// The hash: what is known of the conversation, and the protocol's control fields.
    pub(crate) entry: String,
    /// The list: the window of recent messages, each as `<seq> <json>`.
    pub(crate) messages: String,
}

impl Keys {
    pub(crate) fn of(prefix: &str, key: &ConversationKey) -> Self {
        let entry = format!("{prefix}conversation:{{{}/{}}}", key.owner.as_str(), key.id);
        Self { messages: format!("{entry}:messages"), entry }
    }

    /// Whose entry has this name; none if it is no entry's.
    pub(crate) fn conversation(prefix: &str, entry: &str) -> Option<ConversationKey> {
        let tag = entry.strip_prefix(prefix)?.strip_prefix("conversation:{")?.strip_suffix('}')?;
        let (owner, id) = tag.rsplit_once('/')?;
        Some(ConversationKey { owner: OwnerId::new(owner).ok()?, id: ConversationId::new(id).ok()? })
    }
}

/// The pattern that the names of entries have, and those of windows do not.
pub(crate) fn entries(prefix: &str) -> String {
    let mut pattern = String::new();
    for c in prefix.chars() {
        // What means something else in a pattern.
        if "*?[]\\".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "conversation:{*}"
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn both_keys_share_a_hash_tag() {
        let owner = OwnerId::new("auth0|7").unwrap();
        let keys = Keys::of("", &ConversationKey { owner, id: ConversationId::new("c1").unwrap() });
        assert_eq!(keys.entry, "conversation:{auth0|7/c1}");
        assert_eq!(keys.messages, "conversation:{auth0|7/c1}:messages");
    }

    #[test]
    fn an_entry_names_its_conversation() {
        let key =
            ConversationKey { owner: OwnerId::new("a/b|7").unwrap(), id: ConversationId::new("c1").unwrap() };
        let keys = Keys::of("p*:", &key);
        assert_eq!(Keys::conversation("p*:", &keys.entry), Some(key));
        for other in
            [keys.messages.as_str(), "p*:conversation:sweep", "conversation:{a/b}", "p*:conversation:{a}"]
        {
            assert_eq!(Keys::conversation("p*:", other), None, "{other}");
        }
        assert_eq!(entries("p*:"), "p\\*:conversation:{*}");
    }
}
