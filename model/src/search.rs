//! Searching a configuration to its end, or to the first thing that must not happen.

use std::fmt::{self, Debug, Display};
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model};

/// With one thread a search is the same every time.
const ONE: NonZeroUsize = NonZeroUsize::MIN;

/// What is searched: a configuration of one of the models.
pub trait Protocol:
    Model<
        State: Clone + Debug + PartialEq + Hash + Send + Sync + 'static,
        Action: Clone + Debug + PartialEq + Send + Sync,
    > + Clone
    + Display
    + PartialEq
    + Send
    + Sync
    + 'static
{
    /// The properties of every state, the gravest first.
    const ALWAYS: &'static [&'static str];

    /// The properties of some state, without which a search proves nothing.
    fn sometimes(&self) -> Vec<&'static str>;
}

/// What tells how it came to a violation.
pub trait Story: Protocol {
    /// Writes a violation, a numbered sentence for each action with what it changed, and what is wrong in the end.
    ///
    /// # Errors
    /// What it is written to takes no more.
    fn write(&self, story: &mut String, violation: &Violation<Self>) -> fmt::Result;

    /// A violation as a story that can be read.
    fn tell(&self, violation: &Violation<Self>) -> String {
        let mut story = String::new();
        // A string takes all that is written to it.
        let _ = self.write(&mut story, violation);
        story
    }
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Found<P: Protocol> {
    /// How many states it came to.
    pub states: usize,
    /// How many actions the longest way to a state took.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// Whether it came to all that it must come to, or it proves nothing.
    pub proves: bool,
    /// What must not happen, and how it came to it.
    pub violation: Option<Violation<P>>,
}

/// Something that must not happen.
#[derive(Clone, Debug)]
pub struct Violation<P: Protocol> {
    /// Which property does not hold.
    pub property: &'static str,
    /// The way to it: the states, and what was done in each.
    pub path: Vec<(P::State, Option<P::Action>)>,
}

impl<P: Protocol> Violation<P> {
    /// How many actions lead to it.
    #[must_use]
    pub fn length(&self) -> usize {
        self.path.len().saturating_sub(1)
    }
}

/// Searches breadth first; ends soon after the first violation, which need not be a shortest one.
#[must_use]
pub fn search<P: Protocol>(config: &P, threads: NonZeroUsize) -> Found<P> {
    search_for(P::ALWAYS, config, threads, None)
}

/// Searches ways of up to so many steps for one that breaks some of the properties.
fn search_for<P: Protocol>(
    properties: &[&'static str],
    config: &P,
    threads: NonZeroUsize,
    steps: Option<usize>,
) -> Found<P> {
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
        proves: config.sometimes().iter().all(|property| found.discovery(property).is_some()),
        violation: violations.next(),
    }
}

/// A shortest way to break the same property, the same way every time.
#[must_use]
pub fn shortest<P: Protocol>(config: &P, violation: Violation<P>) -> Violation<P> {
    let mut shortest = violation;
    while let Some(steps) = shortest.length().checked_sub(1)
        && let Some(shorter) = search_for(&[shortest.property], config, ONE, Some(steps)).violation
    {
        shortest = shorter;
    }
    shortest
}

/// Searches configurations without a defence for what it is for: the first one that shows it, and what was found. The gravest
/// comes first.
#[must_use]
pub fn miss<P: Protocol>(configs: Vec<P>) -> Option<(P, Found<P>)> {
    let soonest = configs.first()?.clone();
    let gravest = search_for(&P::ALWAYS[..1], &soonest, ONE, None);
    if gravest.violation.is_some() {
        return Some((soonest, gravest));
    }
    let mut searched = configs.into_iter().map(|config| {
        let found = search(&config, ONE);
        (config, found)
    });
    searched.find(|(_, found)| found.violation.is_some())
}
