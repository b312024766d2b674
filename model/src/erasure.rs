//! The erasure of a conversation after its commit, as `core/src/store/sweep.rs` does it: when nobody is under way any more who
//! began before, first the entry goes, then the row.
//!
//! That time is longer than a function runs. It is none that a command keeps which was given up and executes late, or a replica
//! that takes over: what these bring back is never answered, and lives no longer than any entry.

use stateright::Property;

use crate::command::Command;
use crate::config::Config;
use crate::defences::Defence;
use crate::entry::{Cache, Entry};
use crate::row::{Erasure, Row};
use crate::state::{Process, Removal, Side, State, WriterStep};
use crate::system::{Action, ERASES, NOTHING_LEFT, Outcome, STAYS_AWAY};

impl Config {
    pub(crate) fn removal_actions(
        &self,
        removal: Removal,
        at: usize,
        state: &State,
        actions: &mut Vec<Action>,
    ) {
        let is_first = removal == Removal::Unlink || !self.defences.has(Defence::UnlinksErased);
        if removal == Removal::Over || is_first && !self.is_settled(state) {
            return;
        }
        match removal {
            Removal::Unlink => {
                actions.extend(Outcome::possible(state, false).map(|outcome| Action::Redis(at, outcome)));
            }
            _ => actions.push(Action::Postgres(at)),
        }
    }

    fn is_settled(&self, state: &State) -> bool {
        let is_hidden = state.row.erasure == Some(Erasure::Hidden);
        is_hidden && (state.unsettled == 0 || !self.defences.has(Defence::SettlesFirst))
    }

    /// What a writer does that found a conversation to erase. One that was deleted needs no intent: nobody is answered it from
    /// the cache. The entry takes over the row's epoch, as it does when a commit was refused.
    pub(crate) fn list(&self, state: &State) -> WriterStep {
        if state.row.deleted || !self.defences.has(Defence::IntentBeforeErasure) {
            return WriterStep::CommitWithoutIntent;
        }
        WriterStep::Begin { hint: Some(state.row.epoch), over: None }
    }

    /// Removes the entry; unless that is answered, the next sweep tries again.
    pub(crate) fn unlink(&self, state: &mut State, at: usize, outcome: Outcome) {
        if self.send(state, Side::Primary, &Command::Invalidate, outcome).is_some() {
            state.processes[at] = Process::Removal(Removal::Row);
        }
    }

    pub(crate) fn remove_row(&self, state: &mut State, at: usize) {
        let erasure = Some(Erasure::Complete);
        state.row = Row { erasure, has_moved: state.row.has_moved, ..Row::default() };
        state.floor = 0;
        state.past.clear();
        state.processes[at] = Process::Removal(Removal::Over);
    }

    pub(crate) fn erasure_properties() -> [Property<Self>; 3] {
        [
            Property::always(STAYS_AWAY, |_: &Self, state: &State| {
                !state.row.is_gone() || state.row.version == 0
            }),
            Property::always(NOTHING_LEFT, |config: &Self, state: &State| {
                !state.row.is_gone() || config.leaves_nothing(state)
            }),
            Property::sometimes(ERASES, |_: &Self, state: &State| state.row.is_gone()),
        ]
    }

    /// A write that dies after the erasure, or cannot withdraw its intent, leaves that for the sweep, which takes it for dead.
    fn leaves_nothing(&self, state: &State) -> bool {
        let (all, left) = (&self.faults, &state.left);
        let outlasts = left.late < all.late || left.resent < all.resent || left.failover < all.failover;
        let leaves_intents = left.crash < all.crash || left.lost < all.lost;
        if outlasts || !state.is_at_rest(|_| true) {
            return true;
        }
        let Cache { entry, window } = &state.redis.cache;
        let goes = |entry: &Entry| entry.is_brief || leaves_intents && !entry.intents.is_empty();
        let is_empty = entry.as_ref().is_none_or(|entry| entry.knows_nothing() && goes(entry));
        is_empty && window.is_empty() && state.row.pending_invalidation.is_none()
    }
}

impl State {
    /// Which processes are in the midst of something.
    pub(crate) fn under_way(&self) -> u8 {
        let busy = self.processes.iter().enumerate().filter(|(_, process)| !process.is_at_rest());
        busy.fold(0, |busy, (at, _)| busy | 1 << at)
    }

    /// Whoever has come to an end since is under way no more.
    pub(crate) fn settle(&mut self) {
        if self.unsettled != 0 {
            self.unsettled &= self.under_way();
        }
    }
}
