//! The hit check, as `core/src/cache/look.rs` does it.

use crate::defences::Defence;
use crate::entry::{Cache, Facts, Seq, Server, Validity, Version};

/// What a reader asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The row and the window.
    Window,
    /// The row alone, for which the window need not be whole.
    Row,
}

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// It may be answered.
    Hit(Facts, Vec<Seq>),
    /// The conversation was deleted.
    Deleted,
    /// It may not be answered.
    Miss(Miss),
}

/// Why a read has to go to Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// Nothing is cached.
    Cold,
    /// The server took over from another one.
    Failover,
    /// A write is in flight.
    WritePending,
    /// There is no validity marker.
    NotValidated,
    /// The validity marker is due for a check.
    Expired,
    /// The caller has seen a newer version.
    MinVersion,
    /// The window is not whole.
    Gap,
}

impl Cache {
    /// May this be answered to a reader who has seen `min_version`?
    #[must_use]
    pub fn lookup(&self, server: &Server, wanted: Wanted, min_version: Option<Version>) -> Lookup {
        let Some(entry) = &self.entry else { return Lookup::Miss(Miss::Cold) };
        if entry.tombstone.is_some() {
            return Lookup::Deleted;
        }
        if entry.replid != server.replid && server.defences.has(Defence::ReplicationId) {
            return Lookup::Miss(Miss::Failover);
        }
        if !entry.intents.is_empty() {
            return Lookup::Miss(Miss::WritePending);
        }
        match entry.validity {
            None => return Lookup::Miss(Miss::NotValidated),
            Some(Validity::Expired) => return Lookup::Miss(Miss::Expired),
            Some(Validity::Current) => {}
        }
        if min_version > entry.facts.map(|facts| facts.version) {
            return Lookup::Miss(Miss::MinVersion);
        }
        match entry.facts {
            Some(facts) if wanted == Wanted::Row => Lookup::Hit(facts, Vec::new()),
            Some(facts) if self.complete(server) => Lookup::Hit(facts, self.window.clone()),
            _ => Lookup::Miss(Miss::Gap),
        }
    }
}
