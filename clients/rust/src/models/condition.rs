//! What a write depends on, and what makes it one that can be sent again.

use std::fmt;

use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::error::Error;
use crate::request::Request;

/// Which version of a conversation, or revision of a record, a write is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// This one.
    At(u64),
    /// Any, but it must be there.
    Any,
}

impl From<u64> for Match {
    fn from(version: u64) -> Self {
        Self::At(version)
    }
}

impl Serialize for Match {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::At(version) => serializer.serialize_u64(*version),
            Self::Any => serializer.serialize_str("*"),
        }
    }
}

/// What a write depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Is(Match),
    IsAbsent,
}

impl Condition {
    /// Of a write that creates what is not there: there is nothing at version 0.
    pub(crate) fn or_absent(at: Match) -> Self {
        if at == Match::At(0) { Self::IsAbsent } else { Self::Is(at) }
    }

    /// Adds the condition to a request, if there is one.
    pub(crate) fn add(condition: Option<Self>, request: Request) -> Result<Request, Error> {
        match condition {
            None => Ok(request),
            Some(Self::Is(Match::At(version))) => request.header("if-match", &format!("\"{version}\"")),
            Some(Self::Is(Match::Any)) => request.header("if-match", "*"),
            Some(Self::IsAbsent) => request.header("if-none-match", "*"),
        }
    }
}

/// What makes a write take effect once, however often it is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Key {
    /// A new one for each call.
    #[default]
    New,
    Given(String),
    None,
}

impl Key {
    /// Adds the key to a request.
    pub(crate) fn add(&self, request: Request) -> Result<Request, Error> {
        match self {
            Self::New => request.header("idempotency-key", &Uuid::new_v4().to_string()),
            Self::Given(key) => request.header("idempotency-key", key),
            Self::None => Ok(request),
        }
    }
}

/// The order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Oldest first, or by the bytes of the keys.
    Ascending,
    /// Newest first, or the reverse of the keys' order.
    Descending,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ascending => "asc",
            Self::Descending => "desc",
        })
    }
}
