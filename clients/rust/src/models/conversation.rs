//! Conversations, and the state of the API.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

/// A conversation without its messages. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Conversation {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: Option<String>,
    /// Its pairs of metadata.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// How many messages it has.
    pub message_count: u64,
    /// Counts its changes: for `if_match`, and as `min_version` of later reads.
    pub version: u64,
    /// When it was created.
    pub created_at: u64,
    /// When it was changed last, in any way. Lists are ordered by it.
    pub updated_at: u64,
    /// When the last message was added.
    pub last_message_at: Option<u64>,
    /// The conversation of which it began as a copy.
    pub forked_from: Option<String>,
    /// The last position that was copied.
    pub forked_at: Option<u64>,
    /// Whether lists leave it out unless they are asked for it.
    #[serde(default)]
    pub archived: bool,
    /// After how many seconds without a change it expires; None, by itself never.
    pub expires_after: Option<u64>,
    /// When it expires if nothing changes: after `expires_after`, or after the deployment's time if that is shorter.
    pub expires_at: Option<u64>,
}

/// Which conversations are listed or deleted, by whether they are archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Archived {
    /// Those that are not archived.
    Without,
    /// Only those that are archived.
    Only,
    /// Both.
    Any,
}

impl fmt::Display for Archived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Without => "false",
            Self::Only => "true",
            Self::Any => "any",
        })
    }
}

/// What a deletion of many conversations did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ConversationDeletions {
    /// Whether the conversations were only counted.
    pub dry_run: bool,
    /// How many conversations were found, up to 1,000.
    pub matched: u64,
    /// How many of them were deleted: those that had not changed since they were found.
    pub deleted: u64,
    /// Whether there are more.
    pub has_more: bool,
}

/// A page of conversations.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ConversationPage {
    /// The conversations.
    pub data: Vec<Conversation>,
    /// Whether there are more in the direction of the page.
    pub has_more: bool,
    /// The cursor to the page before this one; None at the beginning.
    pub before: Option<String>,
    /// The cursor to the page after this one; None at the end.
    pub after: Option<String>,
}

/// The state of the API, and with `deep` of its stores.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Health {
    /// `ok`, or `degraded` if it works without Redis.
    pub status: String,
    /// The version of the contract that it speaks.
    pub version: String,
    /// With `deep`: `ok`.
    pub postgres: Option<String>,
    /// With `deep`: `ok` or `unreachable`.
    pub redis: Option<String>,
}
