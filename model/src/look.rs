//! The hit check, as `core/src/cache/look.rs` does it.

use crate::defences::Defence;
use crate::entry::{Cache, Certificate, Facts, Seq, Server, Version};

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
pub enum Look {
    /// It may be answered.
    Hit(Facts, Vec<Seq>),
    /// The conversation was deleted.
    Gone,
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
    Fenced,
    /// There is no certificate.
    Uncertified,
    /// The certificate is due for a check.
    Check,
    /// The caller has seen a newer version.
    MinVersion,
    /// The window is not whole.
    Gap,
}

impl Cache {
    /// May this be answered to a reader who has seen `min_version`?
    #[must_use]
    pub fn look(&self, server: &Server, wanted: Wanted, min_version: Option<Version>) -> Look {
        let Some(entry) = &self.entry else { return Look::Miss(Miss::Cold) };
        if entry.gone.is_some() {
            return Look::Gone;
        }
        if entry.replid != server.replid && server.defences.has(Defence::ReplicationId) {
            return Look::Miss(Miss::Failover);
        }
        if !entry.fences.is_empty() {
            return Look::Miss(Miss::Fenced);
        }
        match entry.certificate {
            None => return Look::Miss(Miss::Uncertified),
            Some(Certificate::Due) => return Look::Miss(Miss::Check),
            Some(Certificate::InDate) => {}
        }
        if min_version > entry.facts.map(|facts| facts.version) {
            return Look::Miss(Miss::MinVersion);
        }
        match entry.facts {
            Some(facts) if wanted == Wanted::Row => Look::Hit(facts, Vec::new()),
            Some(facts) if self.complete(server) => Look::Hit(facts, self.window.clone()),
            _ => Look::Miss(Miss::Gap),
        }
    }
}
