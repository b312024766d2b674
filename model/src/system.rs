//! The whole as a state machine: which actions are possible, and what each does.

use stateright::{Model, Property};

use crate::command::{Command, Reply};
use crate::config::Config;
use crate::defences::Defence;
use crate::entry::{Certificate, Stored};
use crate::faults::Faults;
use crate::look::{Look, Wanted};
use crate::state::{Flaw, Node, Process, Side, State, WriterStep};

/// What becomes of a command that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is executed and answered.
    Answered,
    /// It is not executed.
    Lost,
    /// It is executed, and the answer lost.
    ReplyLost,
    /// Its sender gives up; it is executed at some later time.
    Late,
    /// Its sender loses the connection and sends it again on another; the first is executed at some later time.
    Resent,
}

/// How a reader asks for the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    /// The fences it finds are old enough to be taken for dead.
    pub fences_dead: bool,
    /// It has a ticket newer than what it was shown.
    pub disproved: bool,
    /// Whom it asks.
    pub side: Side,
}

/// One step of somebody, or one fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A process sends its next command to Redis.
    Redis(usize, Outcome),
    /// A reader asks for the lease.
    Lease(usize, Asking, Outcome),
    /// A process calls Postgres.
    Postgres(usize),
    /// A writer dies.
    Crash(usize),
    /// A client asks again.
    Retry(usize),
    /// A late command executes.
    Execute(usize),
    /// The entry is evicted.
    EvictEntry,
    /// The window is evicted.
    EvictWindow,
    /// The replica catches up.
    Replicate,
    /// The replica takes over.
    Failover,
    /// The replica takes over, and the old primary does not notice.
    Split,
    /// The certificate comes due.
    CheckBy,
    /// The clock steps back behind that.
    ClockBack,
}

/// A hit answers the row as it stands. So may somebody always have read it a moment before, past the cache: an answer
/// any older would be older than what was observed.
pub const EXACT: &str = "a hit is the row";
/// What a call certified is whole, so that the next read hits.
pub const WHOLE: &str = "a certified window is whole";
/// The search would mean nothing if it never hit.
pub const HITS: &str = "a hit after a write";

impl Model for Config {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.first_state()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (at, process) in state.processes.iter().enumerate() {
            match process {
                Process::Writer(writer) => writer.step.actions(at, state, actions),
                Process::Reader(reader) => reader.actions(at, state, actions),
                Process::Sweep(sweep) => sweep.actions(at, state, actions),
            }
        }
        actions.extend((0..state.late.len()).map(Action::Execute));
        self.misfortunes(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Redis(at, outcome) => self.redis(&mut state, at, outcome),
            Action::Lease(at, asking, outcome) => self.lease(&mut state, at, asking, outcome),
            Action::Postgres(at) => self.postgres(&mut state, at),
            Action::Crash(at) => state.end_writer(at, |left| left.crash -= 1),
            Action::Retry(at) => state.retry(at),
            Action::Execute(at) => {
                let command = state.late.remove(at);
                self.execute(&mut state, Side::Primary, &command);
            }
            _ => self.befall(&mut state, action),
        }
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(EXACT, |config: &Self, state| config.is_exact(state)),
            Property::always(WHOLE, |_: &Self, state: &State| state.flaw.is_none()),
            Property::sometimes(HITS, |config: &Self, state| config.hits_after_write(state)),
        ]
    }
}

impl Config {
    /// Executes a command on a server, and notes if it certified what is not whole.
    pub(crate) fn execute(&self, state: &mut State, side: Side, command: &Command) -> Option<Reply> {
        let node = match side {
            Side::Primary => &mut state.redis,
            Side::Isolated => state.isolated.as_mut()?,
        };
        let server = self.server(node);
        let reply = node.cache.execute(&server, command);
        if reply == Reply::Stored(Stored::Certified) && !node.cache.complete(&server) {
            state.flaw = Some(Flaw::CertifiedWithGap);
        }
        Some(reply)
    }

    /// Sends a command; none if no answer came of it.
    pub(crate) fn send(
        &self,
        state: &mut State,
        side: Side,
        command: &Command,
        outcome: Outcome,
    ) -> Option<Reply> {
        match outcome {
            Outcome::Answered => self.execute(state, side, command),
            Outcome::Lost => {
                state.left.lost -= 1;
                None
            }
            Outcome::ReplyLost => {
                state.left.lost -= 1;
                self.execute(state, side, command);
                None
            }
            Outcome::Late => {
                state.left.late -= 1;
                state.send_late(command.clone());
                None
            }
            Outcome::Resent => {
                state.left.resent -= 1;
                state.send_late(command.clone());
                self.execute(state, side, &self.sent_again(command))
            }
        }
    }

    /// What is sent in a command's place when the connection was lost.
    pub(crate) fn sent_again(&self, command: &Command) -> Command {
        if !self.defences.has(Defence::FreshOnResend) {
            return command.clone();
        }
        command.renamed(self.defences.has(Defence::FenceNamesAttempt))
    }

    fn is_exact(&self, state: &State) -> bool {
        self.answers_exactly(state, &state.redis, state.floor)
            && state.isolated.as_ref().is_none_or(|node| self.answers_exactly(state, node, 0))
    }

    /// Whether every hit on a server is a view of the row at a version from `floor` on: a read of the window, and one of
    /// the row alone.
    pub(crate) fn answers_exactly(&self, state: &State, node: &Node, floor: u16) -> bool {
        let now = state.row.view(self.capacity);
        let mut views = state.past.iter().chain([&now]).filter(|view| view.facts.version >= floor);
        let server = self.server(node);
        match node.cache.look(&server, Wanted::Row, None) {
            Look::Hit(facts, _) => match node.cache.look(&server, Wanted::Window, None) {
                Look::Hit(_, window) => {
                    views.any(|view| !view.gone && view.facts == facts && view.window == window)
                }
                _ => views.any(|view| !view.gone && view.facts == facts),
            },
            Look::Gone => views.any(|view| view.gone),
            Look::Miss(_) => true,
        }
    }

    fn hits_after_write(&self, state: &State) -> bool {
        let look = state.redis.cache.look(&self.server(&state.redis), Wanted::Window, None);
        !matches!(look, Look::Miss(_)) && state.row.version > self.first_state().row.version
    }

    fn misfortunes(&self, state: &State, actions: &mut Vec<Action>) {
        let left = &state.left;
        let cache = &state.redis.cache;
        let certificate = cache.entry.as_ref().and_then(|entry| entry.certificate);
        let possible = [
            (Action::EvictEntry, left.evict > 0 && cache.entry.is_some()),
            (Action::EvictWindow, left.evict > 0 && !cache.window.is_empty()),
            (Action::Replicate, state.replica.as_ref().is_some_and(|replica| replica != cache)),
            (Action::Failover, left.failover > 0),
            (Action::Split, left.failover > 0 && left.isolated > 0),
            (Action::CheckBy, left.check_by > 0 && certificate == Some(Certificate::InDate)),
            (Action::ClockBack, left.clock_back > 0 && certificate == Some(Certificate::Due)),
        ];
        actions.extend(possible.into_iter().filter(|(_, possible)| *possible).map(|(action, _)| action));
    }

    fn befall(&self, state: &mut State, action: Action) {
        let (left, cache) = (&mut state.left, &mut state.redis.cache);
        match action {
            Action::EvictEntry => {
                left.evict -= 1;
                cache.entry = None;
            }
            Action::EvictWindow => {
                left.evict -= 1;
                cache.window.clear();
            }
            Action::Replicate => state.replica = Some(cache.clone()),
            Action::Failover => state.fail_over(false),
            Action::Split => state.fail_over(true),
            Action::CheckBy | Action::ClockBack => {
                let due = action == Action::CheckBy;
                *(if due { &mut left.check_by } else { &mut left.clock_back }) -= 1;
                if let Some(entry) = &mut cache.entry {
                    entry.certificate = Some(if due { Certificate::Due } else { Certificate::InDate });
                }
            }
            _ => {}
        }
    }
}

impl State {
    fn fail_over(&mut self, splits: bool) {
        let Some(replica) = self.replica.take() else { return };
        self.left.failover -= 1;
        if self.left.failover > 0 {
            self.replica = Some(replica.clone());
        }
        let new = Node { replid: self.redis.replid + 1, cache: replica };
        let old = std::mem::replace(&mut self.redis, new);
        if splits {
            self.left.isolated -= 1;
            self.isolated = Some(old);
        }
    }

    fn end_writer(&mut self, at: usize, spend: impl FnOnce(&mut Faults)) {
        spend(&mut self.left);
        if let Process::Writer(writer) = &mut self.processes[at] {
            writer.step = WriterStep::Unanswered;
        }
    }

    fn retry(&mut self, at: usize) {
        self.left.retry -= 1;
        if let Process::Writer(writer) = &mut self.processes[at] {
            writer.attempt += 1;
            writer.step = WriterStep::BEGIN;
        }
    }
}
