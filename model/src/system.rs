//! The whole as a state machine: which actions are possible, and what each does.

use stateright::{Model, Property};

use crate::command::{Command, Reply};
use crate::config::Config;
use crate::defences::Defence;
use crate::entry::{Stored, Validity};
use crate::faults::Faults;
use crate::lookup::{Lookup, Wanted};
use crate::search::Protocol;
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
    /// The intents it finds are old enough to be taken for dead.
    pub intents_dead: bool,
    /// It has a ticket newer than what it was shown.
    pub disproved: bool,
    /// Its clock is far off.
    pub clock_off: bool,
    /// Whom it asks.
    pub side: Side,
}

/// One step of somebody, or one fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A process sends its next command to Redis.
    Redis(usize, Outcome),
    /// A writer whose clock is far off sets its intent.
    BeginOff(usize),
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
    /// The validity marker comes due.
    Expire,
    /// The clock steps back behind that.
    ClockBack,
    /// So much time passes that whatever was under way is over, and that a validity marker stands no longer.
    Elapse,
    /// The old code is gone, and the cache of the new one becomes the one in use.
    Move,
}

/// A hit answers the row as it stands. So may somebody always have read it a moment before, past the cache: an answer
/// any older would be older than what was observed. Where a failover goes unnoticed it may be older for as long as a
/// validity marker stands there, and no longer.
pub const EXACT: &str = "a hit is the row";
/// What a call valid is whole, so that the next read hits.
pub const WHOLE: &str = "a valid window is whole";
/// Of writes that depend on one version one is done, and its caller is told so however often it asks.
pub const ONE_WINS: &str = "of conditional writes one wins";
/// No conversation is ever created under the id of one that was erased.
pub const STAYS_AWAY: &str = "what was erased stays away";
/// When an erasure is complete and nobody is under way, neither store has anything of the conversation, and the cache no key
/// that bears its id.
pub const NOTHING_LEFT: &str = "an erasure leaves nothing";
/// The search would mean nothing if it never hit.
pub const HITS: &str = "a hit after a write";
/// Nor would one of an erasure that never comes to its end.
pub const ERASES: &str = "an erasure is complete";

impl Model for Config {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.first_state()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (at, process) in state.processes.iter().enumerate() {
            // Old code is gone.
            if state.row.has_moved && !process.is_next() {
                continue;
            }
            match process {
                Process::Writer(writer) => writer.actions(at, state, actions),
                Process::Reader(reader) => reader.actions(at, state, actions),
                Process::Sweep(sweep) => sweep.actions(at, state, actions),
                Process::Removal(removal) => self.removal_actions(*removal, at, state, actions),
            }
        }
        actions.extend((0..state.late.len()).map(Action::Execute));
        self.misfortunes(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Redis(at, outcome) => self.redis(&mut state, at, outcome),
            Action::BeginOff(at) => self.begin_off(&mut state, at),
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
        state.settle();
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(EXACT, |config: &Self, state| config.is_exact(state)),
            Property::always(WHOLE, |_: &Self, state: &State| state.flaw != Some(Flaw::ValidWithGap)),
            Property::always(ONE_WINS, |_: &Self, state: &State| {
                !matches!(state.flaw, Some(Flaw::LostUpdate | Flaw::DeniedSuccess))
            }),
            Property::sometimes(HITS, |config: &Self, state| config.hits_after_write(state)),
        ];
        if self.erases() {
            properties.extend(Self::erasure_properties());
        }
        properties
    }
}

impl Protocol for Config {
    const ALWAYS: &'static [&'static str] = &[EXACT, WHOLE, ONE_WINS, STAYS_AWAY, NOTHING_LEFT];

    fn sometimes(&self) -> Vec<&'static str> {
        if self.erases() { vec![HITS, ERASES] } else { vec![HITS] }
    }
}

impl Config {
    /// Executes a command on a server, and notes if it valid what is not whole.
    pub(crate) fn execute(&self, state: &mut State, side: Side, command: &Command) -> Option<Reply> {
        let node = match side {
            Side::Primary => &mut state.redis,
            Side::Isolated => state.isolated.as_mut()?,
            Side::Next => state.next.as_mut()?,
        };
        let server = self.server(node);
        let reply = node.cache.execute(&server, command);
        if reply == Reply::Stored(Stored::Validated) && !node.cache.complete(&server) {
            state.flaw = Some(Flaw::ValidWithGap);
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
        command.renamed(self.defences.has(Defence::IntentNamesAttempt))
    }

    fn is_exact(&self, state: &State) -> bool {
        let floor = if state.is_blind { 0 } else { state.floor };
        let is_gone = state.row.has_moved;
        (is_gone || self.answers_exactly(state, &state.redis, floor))
            && state.isolated.as_ref().is_none_or(|node| self.answers_exactly(state, node, 0))
            && state.next.as_ref().is_none_or(|node| self.answers_exactly(state, node, floor))
    }

    /// Whether every hit on a server is a view of the row at a version from `floor` on: a read of the window, and one of
    /// the row alone.
    pub(crate) fn answers_exactly(&self, state: &State, node: &Node, floor: u16) -> bool {
        let now = state.row.view(self.capacity);
        let mut views = state.past.iter().chain([&now]).filter(|view| view.facts.version >= floor);
        let server = self.server(node);
        match node.cache.lookup(&server, Wanted::Row, None) {
            Lookup::Hit(facts, _) => match node.cache.lookup(&server, Wanted::Window, None) {
                Lookup::Hit(_, window) => {
                    views.any(|view| !view.deleted && view.facts == facts && view.window == window)
                }
                _ => views.any(|view| !view.deleted && view.facts == facts),
            },
            Lookup::Deleted => views.any(|view| view.deleted),
            Lookup::Miss(_) => true,
        }
    }

    fn hits_after_write(&self, state: &State) -> bool {
        let node = if state.row.has_moved { state.next.as_ref() } else { Some(&state.redis) };
        let look = node.map(|node| node.cache.lookup(&self.server(node), Wanted::Window, None));
        let hits = look.is_some_and(|look| !matches!(look, Lookup::Miss(_)));
        hits && state.row.version > self.first_state().row.version
            && (state.next.is_none() || state.row.has_moved)
    }

    fn misfortunes(&self, state: &State, actions: &mut Vec<Action>) {
        let left = &state.left;
        let cache = &state.redis.cache;
        let validity = cache.entry.as_ref().and_then(|entry| entry.validity);
        let possible = [
            (Action::EvictEntry, left.evict > 0 && cache.entry.is_some()),
            (Action::EvictWindow, left.evict > 0 && !cache.window.is_empty()),
            (Action::Replicate, state.replica.as_ref().is_some_and(|replica| replica != cache)),
            (Action::Failover, left.failover > 0),
            (Action::Split, left.failover > 0 && left.isolated > 0),
            (Action::Expire, left.expiries > 0 && validity == Some(Validity::Current)),
            (Action::ClockBack, left.clock_back > 0 && validity == Some(Validity::Expired)),
            (Action::Elapse, left.elapse > 0 && state.is_at_rest(|_| true)),
            (
                Action::Move,
                state.next.is_some() && !state.row.has_moved && state.is_at_rest(|p| !p.is_next()),
            ),
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
            Action::Failover => state.fail_over(false, self.hidden),
            Action::Split => state.fail_over(true, self.hidden),
            Action::Elapse => self.elapse(state),
            Action::Move => state.row.has_moved = true,
            Action::Expire | Action::ClockBack => {
                let due = action == Action::Expire;
                *(if due { &mut left.expiries } else { &mut left.clock_back }) -= 1;
                if let Some(entry) = &mut cache.entry {
                    entry.validity = Some(if due { Validity::Expired } else { Validity::Current });
                }
            }
            _ => {}
        }
    }

    /// Certificates come due wherever they are, and what a failover forgot is behind everybody.
    fn elapse(&self, state: &mut State) {
        state.left.elapse -= 1;
        state.is_blind = false;
        if !self.defences.has(Defence::ShortValidity) {
            return;
        }
        let caches = std::iter::once(&mut state.redis.cache).chain(state.replica.as_mut());
        for entry in caches.filter_map(|cache| cache.entry.as_mut()) {
            entry.validity = entry.validity.map(|_| Validity::Expired);
        }
    }
}

impl State {
    /// Whether nothing is under way, and none of these is in the midst of something.
    pub(crate) fn is_at_rest(&self, of: impl Fn(&Process) -> bool) -> bool {
        self.late.is_empty() && self.processes.iter().filter(|process| of(process)).all(Process::is_at_rest)
    }

    fn fail_over(&mut self, splits: bool, hidden: bool) {
        let Some(replica) = self.replica.take() else { return };
        self.left.failover -= 1;
        if self.left.failover > 0 {
            self.replica = Some(replica.clone());
        }
        self.is_blind |= hidden;
        let new = Node { replid: self.redis.replid + u8::from(!hidden), cache: replica };
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
            writer.step = WriterStep::first(writer.change);
        }
    }
}
