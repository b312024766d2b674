//! Searching a configuration to its end, or to the first thing that must not happen.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model};

use crate::catalogue;
use crate::config::Config;
use crate::defences::Defence;
use crate::state::State;
use crate::system::{Action, EXACT, HITS, WHOLE};

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
    search_up_to(config, threads, None)
}

fn search_up_to(config: &Config, threads: NonZeroUsize, steps: Option<usize>) -> Found {
    let began = Instant::now();
    let mut checker =
        config.clone().checker().threads(threads.get()).finish_when(HasDiscoveries::AnyFailures);
    if let Some(steps) = steps {
        // Depth counts states, and those at the target are left out.
        checker = checker.target_max_depth(steps + 2);
    }
    let found = checker.spawn_bfs().join();
    let violations = [EXACT, WHOLE].into_iter().filter_map(|property| {
        found.discovery(property).map(|path| Violation { property, path: path.into_vec() })
    });
    Found {
        states: found.unique_state_count(),
        depth: found.max_depth().saturating_sub(1),
        took: began.elapsed(),
        hits: found.discovery(HITS).is_some(),
        violation: violations.min_by_key(Violation::length),
    }
}

/// A shortest way to a violation, the same one every time; none if there is no violation.
#[must_use]
pub fn shortest(config: &Config) -> Option<Violation> {
    let one = NonZeroUsize::MIN;
    let mut shortest = search(config, one).violation?;
    while let Some(steps) = shortest.length().checked_sub(1)
        && let Some(shorter) = search_up_to(config, one, Some(steps)).violation
    {
        shortest = shorter;
    }
    Some(shortest)
}

/// Takes a defence away and searches for what it is for: the first configuration that shows it, and what was found.
#[must_use]
pub fn miss(defence: Defence) -> Option<(Config, Found)> {
    let configs = catalogue::showing(defence).into_iter();
    let mut searched = configs.map(|config| {
        let found = search(&config, NonZeroUsize::MIN);
        (config, found)
    });
    searched.find(|(_, found)| found.violation.is_some())
}
