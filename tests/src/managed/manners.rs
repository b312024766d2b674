//! How a front behaves, and what its connections know of it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::Access;

/// What a front presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A node of a cluster, as it is; only the way to it is the front's.
    Nodes,
    /// ElastiCache Serverless.
    Serverless,
}

/// How a front behaves.
#[derive(Clone, Debug)]
pub struct Manners {
    /// What it presents.
    pub kind: Kind,
    /// What its user may do.
    pub access: Access,
    /// The scripts of all connections are forgotten before each such call of one.
    pub forgets_before_every: Option<u32>,
    /// One call of a script in so many is answered NOSCRIPT, whatever was sent before.
    pub forgets_one_in: Option<u32>,
    /// One command in so many is throttled.
    pub throttles_one_in: Option<u32>,
    /// How long a connection may be idle until it is cut.
    pub idle: Option<Duration>,
}

impl Manners {
    /// As a cache of this kind that the template made behaves at its best.
    pub fn of(kind: Kind) -> Self {
        Self {
            kind,
            access: Access::of_the_template(),
            forgets_before_every: None,
            forgets_one_in: None,
            throttles_one_in: None,
            idle: None,
        }
    }
}

/// What its connections have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) manners: Manners,
    pub(super) target: AtomicU16,
    /// The port that it says it is at.
    pub(super) announced: AtomicU16,
    /// How many calls of scripts there were.
    pub(super) calls: AtomicU32,
    /// What was refused, each with what was said.
    pub(super) refused: Mutex<BTreeSet<String>>,
    pub(super) over: watch::Sender<bool>,
}

impl Shared {
    /// How often all scripts were forgotten until now; one more call comes.
    pub(super) fn forgotten(&self) -> u32 {
        let calls = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        self.manners.forgets_before_every.map_or(0, |every| calls / every)
    }

    pub(super) fn note(&self, what: &str, said: &str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.insert(format!("{what}: {said}"));
    }
}
