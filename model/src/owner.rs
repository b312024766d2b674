//! The erasure of everything that an owner has, as far as it concerns Postgres and several conversations: `core/sql/erasure.sql`,
//! and `core/src/store/erase.rs`, which asks for it.
//!
//! An erasure is registered in the owner's row. Then it goes in rounds: a list of what is not hidden, and a commit that hides
//! it, but for conversations whose epoch has changed since. When a list is empty, the erasure ends, and its caller is answered.
//! The sweep goes on with any that has not ended, whether its caller is dead or only slow. Others create conversations
//! meanwhile, and fork them.
//!
//! Postgres reads committed data: a statement sees what was committed when it began, and one that waited for a lock sees the
//! row that it locks as it is then; none, if that was removed. So a list and the commit that goes by it are two steps, as are what a
//! creation finds and its commit, what a fork copies and its commit, and the last look of an erasure and its end. Locks on several
//! conversations are taken in one step, when all of them are free.
//!
//! The cache is left out: whether a hidden conversation is still answered from it is what the other model is about. There an
//! intent that was lost is a conversation that is not hidden with the others.

mod catalogue;
mod state;
mod steps;
mod story;

use std::fmt;

use stateright::{Model, Property};

pub use catalogue::{configs, showing};
pub use state::{
    Action, CallerStep, Conversation, CreatorStep, ErasureId, Faults, Flaw, Process, Round, RoundStep, Set,
    State, SweepStep, Visibility,
};

use crate::defences::Defences;
use crate::faults::several;
use crate::search::Protocol;

/// What there was when an erasure was asked for, is hidden when that is answered.
pub const HIDDEN: &str = "what is erased is hidden";
/// So is every copy of it, when no erasure is under way.
pub const NO_COPY: &str = "no copy of it is left";
/// What was created after an erasure had ended, or while one was under way, is hidden for none who asked before. Who asks later
/// may mean it.
pub const STAYS: &str = "what is created afterwards stays";
/// Without an erasure that ends a search proves nothing.
const ANSWERED: &str = "an erasure is answered";
/// Nor does one of a creation that is refused for ever.
const CREATED: &str = "a conversation is created after an erasure";

/// One who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Asks for the erasure of all that the owner has.
    Caller,
    /// Goes on with erasures that have not ended.
    Sweep,
    /// Creates a conversation, or imports one.
    Creator,
    /// Creates one as a copy of the one before it.
    Fork,
}

/// What is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Who takes part.
    pub roles: Vec<Role>,
    /// What may go wrong.
    pub faults: Faults,
    /// What stands against it.
    pub defences: Defences,
}

impl Model for Config {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.first_state()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (at, process) in state.processes.iter().enumerate() {
            self.possible(state, at, process, actions);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.act(&mut state, action);
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(HIDDEN, |_: &Self, state: &State| !state.leaves_what_there_was()),
            Property::always(NO_COPY, |_: &Self, state: &State| !state.leaves_a_copy()),
            Property::always(STAYS, |_: &Self, state: &State| state.flaw != Some(Flaw::HidesLater)),
            Property::sometimes(ANSWERED, |_: &Self, state: &State| state.answered != 0),
            Property::sometimes(CREATED, |_: &Self, state: &State| {
                state.conversations.iter().any(|c| c.is_live() && c.began_after_end != 0)
            }),
        ]
    }
}

impl Protocol for Config {
    const ALWAYS: &'static [&'static str] = &[HIDDEN, NO_COPY, STAYS];

    fn sometimes(&self) -> Vec<&'static str> {
        if self.roles.contains(&Role::Creator) { vec![ANSWERED, CREATED] } else { vec![ANSWERED] }
    }
}

impl Config {
    /// One conversation, and no erasure.
    fn first_state(&self) -> State {
        let mut conversations =
            vec![Conversation { visibility: Visibility::Live, ..Conversation::default() }];
        let mut callers = 0;
        let mut processes = Vec::new();
        for role in &self.roles {
            let creates = conversations.len();
            processes.push(match role {
                Role::Caller => {
                    callers += 1;
                    Process::Caller { caller: callers - 1, step: CallerStep::Ask }
                }
                Role::Sweep => Process::Sweep(SweepStep::Find),
                Role::Creator | Role::Fork => Process::Creator { creates, step: CreatorStep::Look },
            });
            if matches!(role, Role::Creator | Role::Fork) {
                let origin = (*role == Role::Fork).then(|| creates - 1);
                conversations.push(Conversation { origin, ..Conversation::default() });
            }
        }
        State { conversations, processes, left: self.faults, ..State::default() }
    }
}

/// Says who takes part and what may go wrong: `owner: 2 erasures, sweep, fork; crash`.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = self.roles.chunk_by(|role, next| role == next).map(|alike| {
            let (one, many) = alike[0].title();
            several(u8::try_from(alike.len()).unwrap_or(u8::MAX), one, many)
        });
        let who = who.collect::<Vec<_>>().join(", ");
        let Faults { crash, refused } = self.faults;
        let faults = [(crash, "crash", "crashes"), (refused, "refused", "refused")];
        let faults = faults.into_iter().filter(|(times, ..)| *times > 0);
        let faults: Vec<_> = faults.map(|(times, one, many)| several(times, one, many)).collect();
        let sign = if faults.is_empty() { "" } else { "; " };
        f.pad(&format!("owner: {who}{sign}{}", faults.join(", ")))
    }
}

impl Role {
    /// What one and what several are called.
    fn title(self) -> (&'static str, &'static str) {
        match self {
            Self::Caller => ("erasure", "erasures"),
            Self::Sweep => ("sweep", "sweeps"),
            Self::Creator => ("create", "creates"),
            Self::Fork => ("fork", "forks"),
        }
    }
}
