//! What is tried, and for how long.

use std::time::Duration;

use clap::ValueEnum;

use crate::Profile;

/// What keeps Redis and Postgres together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// The store's own.
    EpochFencing,
    /// Commit; read the list, append to it, write it back.
    Naive,
    /// Commit; delete the list. Readers fill it.
    CacheAside,
    /// Commit; add to the list, in one script. Readers fill it, and believe it if it has no gap.
    CommitThenPublish,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is tried.
    pub protocol: Protocol,
    /// With what kind of cache. The usual protocols are tried with a plain one.
    pub profile: Profile,
    /// How long things go wrong.
    pub duration: Duration,
    /// What the clients' choices and the order of faults follow from. The interleaving does not.
    pub seed: u64,
    /// How many clients there are.
    pub clients: usize,
}
