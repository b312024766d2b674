//! Searching a configuration to its end, or to the first thing that must not happen.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model};

use crate::catalogue;
use crate::config::Config;
use crate::defences::Defence;
use crate::state::State;
use crate::system::{Action, EXACT, HITS, ONE_WINS, WHOLE};

/// With one thread a search is the same every time.
const ONE: NonZeroUsize = NonZeroUsize::MIN;

/// What a search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// How many states it came to.
    pub states: usize,
    /// How many actions the longest way to a state took.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// Whether it came to a hit after a write. One that does not proves nothing.
    pub hits: bool,
    /// What must not happen, and how it came to it.
    pub violation: Option<Violation>,
}

/// Something that must not happen.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which property does not hold.
    pub property: &'static str,
    /// The way to it: the states, and what was done in each.
    pub path: Vec<(State, Option<Action>)>,
}

impl Violation {
    /// How many actions lead to it.
    #[must_use]
    pub fn length(&self) -> usize {
        self.path.len().saturating_sub(1)
    }
}

/// Searches breadth first; ends soon after the first violation, which need not be a shortest one.
#[must_use]
pub fn search(config: &Config, threads: NonZeroUsize) -> Found {
    search_for(&[EXACT, WHOLE, ONE_WINS], config, threads, None)
}

/// Searches ways of up to so many steps for one that breaks some of the properties.
fn search_for(
    properties: &[&'static str],
    config: &Config,
    threads: NonZeroUsize,
    steps: Option<usize>,
) -> Found {
    let began = Instant::now();
    let sought = HasDiscoveries::AnyOf(properties.iter().copied().collect());
    let mut checker = config.clone().checker().threads(threads.get()).finish_when(sought);
    if let Some(steps) = steps {
        // Depth counts states, and those at the target are left out.
        checker = checker.target_max_depth(steps + 2);
    }
    let found = checker.spawn_bfs().join();
    let mut violations = properties.iter().filter_map(|&property| {
        found.discovery(property).map(|path| Violation { property, path: path.into_vec() })
    });
    Found {
        states: found.unique_state_count(),
        depth: found.max_depth().saturating_sub(1),
        took: began.elapsed(),
        hits: found.discovery(HITS).is_some(),
        violation: violations.next(),
    }
}

/// A shortest way to break the same property, the same way every time.
#[must_use]
pub fn shortest(config: &Config, violation: Violation) -> Violation {
    let mut shortest = violation;
    while let Some(steps) = shortest.length().checked_sub(1)
        && let Some(shorter) = search_for(&[shortest.property], config, ONE, Some(steps)).violation
    {
        shortest = shorter;
    }
    shortest
}

/// Takes a defence away and searches for what it is for: the first configuration that shows it, and what was found. An
/// answer that is not the row is worse than a window that is not whole, and looked for first.
#[must_use]
pub fn miss(defence: Defence) -> Option<(Config, Found)> {
    let configs = catalogue::showing(defence);
    let soonest = configs.first()?.clone();
    let stale = search_for(&[EXACT], &soonest, ONE, None);
    if stale.violation.is_some() {
        return Some((soonest, stale));
    }
    let mut searched = configs.into_iter().map(|config| {
        let found = search(&config, ONE);
        (config, found)
    });
    searched.find(|(_, found)| found.violation.is_some())
}
