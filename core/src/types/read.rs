//! What reads return, and where from.

use std::fmt;

use super::conversation::Conversation;
use super::error::Error;
use super::page::{Cursor, Page};

/// Where a read was answered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The cache.
    Hit,
    /// The cache, on a server that does not say who it is. After a failover that it hides, what it answers may for
    /// [`UNIDENTIFIED_VALIDITY`](crate::UNIDENTIFIED_VALIDITY) be without writes that were acknowledged before.
    BoundedHit,
    /// Postgres, because of what the cache held; whether it now holds what was read.
    Miss {
        /// Why it was not answered from the cache.
        reason: Miss,
        /// Whether the cache took what was read.
        stored: bool,
    },
    /// Postgres, because the cache has no such thing.
    Bypass,
}

impl Source {
    /// Whether the cache answered.
    #[must_use]
    pub fn is_hit(self) -> bool {
        matches!(self, Self::Hit | Self::BoundedHit)
    }
}

/// The answer to a read. Nothing found: the owner has no such conversation (any more).
#[derive(Debug)]
pub struct Read<T> {
    /// What was found.
    pub found: Option<T>,
    /// Where.
    pub source: Source,
}

impl<T> Read<T> {
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Read<U> {
        Read { found: self.found.map(change), source: self.source }
    }
}

/// Why a read had to go to Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// Nothing is cached.
    Cold,
    /// A write is in flight.
    WritePending {
        /// Some write began only just now, so that its publication is worth waiting for.
        live: bool,
    },
    /// Facts are cached, but not the claim that they are all of them.
    NotValidated,
    /// The window is not whole.
    Gap,
    /// The server took over from another one, or is a replica.
    Failover,
    /// The validity marker is due for a check.
    Expired,
    /// By the reader's clock the conversation itself has expired; Postgres knows.
    ConversationExpired,
    /// The caller has seen a newer version.
    MinVersion,
    /// The messages are too large to be cached all.
    Large,
    /// The cache cannot be reached or answered an error.
    Unreachable,
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cold => "cold",
            Self::WritePending { .. } => "write-pending",
            Self::NotValidated => "not-validated",
            Self::Gap => "gap",
            Self::Failover => "failover",
            Self::Expired => "expired",
            Self::ConversationExpired => "conversation-expired",
            Self::MinVersion => "min-version",
            Self::Large => "large",
            Self::Unreachable => "unreachable",
        })
    }
}

/// A page of an owner's conversations, and the cursors to the pages beside it.
#[derive(Debug)]
pub struct Listing {
    /// The conversations, in the order asked for.
    pub page: Page<Conversation>,
    /// Leads to what comes before; none at the beginning.
    pub before: Option<Cursor>,
    /// Leads to what follows; none at the end.
    pub after: Option<Cursor>,
}

/// Checks that what Postgres has is as new as the caller asks for.
///
/// # Errors
/// [`Error::VersionAhead`].
pub(crate) fn check_version(asked: Option<i64>, stored: i64) -> Result<(), Error> {
    match asked {
        Some(asked) if asked > stored => Err(Error::VersionAhead { asked, stored }),
        _ => Ok(()),
    }
}
