//! Everything that an owner has: how much it is, its export, its erasure.

use serde::Deserialize;

/// How much an owner has, and the last erasure of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct OwnerData {
    /// How many conversations, archived ones included.
    pub conversations: u64,
    /// How many messages.
    pub messages: u64,
    /// How many records, of conversations and the owner's own.
    pub records: u64,
    /// How many bytes messages and values of records take as they are stored.
    pub bytes: u64,
    /// The last erasure; None if there was none.
    pub erasure: Option<OwnerErasure>,
}

/// An erasure of everything that an owner had, and how far it has come. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct OwnerErasure {
    /// Its id.
    pub id: String,
    /// The owner, as logs have it.
    pub owner_hash: String,
    /// The shard of the owner's rows.
    pub shard: u32,
    /// Who requested it: `owner`, or the name of an operator.
    pub requested_by: String,
    /// When it was requested.
    pub requested_at: u64,
    /// Since when nobody can read any of it; None as long as some can be read.
    pub hidden_at: Option<u64>,
    /// Since when nothing of it is left in either store; None as long as something is.
    pub completed_at: Option<u64>,
    /// How many conversations it covers, deleted ones included.
    pub conversations: u64,
    /// How many messages were removed so far.
    pub messages: u64,
    /// How many records were removed so far.
    pub records: u64,
    /// How many conversations are still to be removed; the owner's own records count as one more.
    pub remaining: u64,
}

/// A page of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportPage {
    /// Lines of JSON, each with a line feed at its end, which `conversation-store import` takes as they are.
    pub text: String,
    /// The cursor to what follows the page; None at the end.
    pub after: Option<String>,
}

impl ExportPage {
    /// Returns the lines.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines()
    }
}
