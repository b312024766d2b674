//! A read past the cache, as `core/src/store/read.rs` does it: lease, read, fill; and the sweep.

use crate::command::{Command, Reply};
use crate::config::Config;
use crate::defences::Defence;
use crate::entry::{Dead, Epoch, Leased, Token};
use crate::state::{Grant, Process, Reader, ReaderStep, Side, State, Sweep};
use crate::system::{Action, Asking, Outcome};

/// How many leases one reader may ask for.
pub(crate) const LEASES: Token = 16;

impl Reader {
    pub(crate) fn actions(&self, at: usize, state: &State, actions: &mut Vec<Action>) {
        if self.turns == 0 {
            return;
        }
        match &self.step {
            ReaderStep::Lease => {
                let home = if self.is_next { Side::Next } else { Side::Primary };
                Self::ask(at, home, state, actions);
                if state.isolated.is_some() {
                    Self::ask(at, Side::Isolated, state, actions);
                }
            }
            ReaderStep::Read(_) => actions.push(Action::Postgres(at)),
            // A fill that is lost is a reader that takes no further step.
            ReaderStep::Fill(_, side) => {
                actions.push(Action::Redis(at, Outcome::Answered));
                if state.left.late > 0 && *side == Side::Primary {
                    actions.push(Action::Redis(at, Outcome::Late));
                }
            }
        }
    }

    /// All ways to ask for the lease. It may be asked for under a validity marker too: the miss that sent the reader here
    /// was some time ago.
    fn ask(at: usize, side: Side, state: &State, actions: &mut Vec<Action>) {
        let node = match side {
            Side::Primary => Some(&state.redis),
            Side::Isolated => state.isolated.as_ref(),
            Side::Next => state.next.as_ref(),
        };
        let entry = node.and_then(|node| node.cache.entry.as_ref());
        let can_expire = state.left.expire > 0 && entry.is_some_and(|entry| !entry.intents.is_empty());
        let flags = (0..8_u8).map(|flags| (flags & 1 > 0, flags & 2 > 0, flags & 4 > 0));
        for (intents_dead, disproved, clock_off) in flags {
            if intents_dead && !can_expire
                || disproved && state.left.ticket == 0
                || clock_off && state.left.clock_off == 0
            {
                continue;
            }
            let asking = Asking { intents_dead, disproved, clock_off, side };
            actions.push(Action::Lease(at, asking, Outcome::Answered));
            if side == Side::Primary {
                let outcomes = Outcome::possible(state, true);
                let faults = outcomes.filter(|outcome| matches!(outcome, Outcome::Late | Outcome::Resent));
                actions.extend(faults.map(|outcome| Action::Lease(at, asking, outcome)));
            }
        }
    }

    /// The command that asks for the lease. One that is held may always have been held for too long.
    pub(crate) fn ask_with(&self, asking: Asking) -> Command {
        let dead = Dead { intents: asking.intents_dead, lease: true };
        Command::Lease { token: self.token(), dead, due: asking.clock_off }
    }

    /// This read is over.
    fn rested(mut self) -> Process {
        self.turns -= 1;
        self.asked = if self.turns == 0 { 0 } else { self.asked + 1 };
        self.step = ReaderStep::Lease;
        Process::Reader(self)
    }

    /// Even, so that a call sent again has a name of its own to take.
    fn token(&self) -> Token {
        Token::from(self.id) * LEASES + Token::from(self.asked) * 2
    }
}

impl Config {
    /// Asks for the lease. Without it a reader answers from Postgres, which changes nothing.
    pub(crate) fn lease(&self, state: &mut State, at: usize, asking: Asking, outcome: Outcome) {
        let Process::Reader(mut reader) = state.processes[at].clone() else { return };
        let Asking { intents_dead, disproved, clock_off, side } = asking;
        state.left.clock_off -= u8::from(clock_off);
        state.left.expire -= u8::from(intents_dead);
        state.left.ticket -= u8::from(disproved);
        let (token, command) = (reader.token(), reader.ask_with(asking));
        let before = state.clone();
        let reply = self.send(state, side, &command, outcome);
        state.processes[at] = match reply {
            Some(Reply::Leased(leased)) if leased.granted => {
                let renamed = outcome == Outcome::Resent && self.holds(state, token + 1);
                let token = token + Token::from(renamed);
                reader.step = ReaderStep::Read(leased.grant(token, asking, self.may_be_absent()));
                Process::Reader(reader)
            }
            // Refused, and nothing was touched.
            Some(_) if *state == before => return,
            _ => reader.rested(),
        };
    }

    fn holds(&self, state: &State, token: Token) -> bool {
        state.redis.cache.entry.as_ref().is_some_and(|entry| entry.lease == Some(token))
    }

    /// The read. What was deleted is marked so, and what is not there goes from the cache.
    pub(crate) fn read(&self, state: &mut State, at: usize, mut reader: Reader) {
        let ReaderStep::Read(grant) = reader.step else { return };
        let side = grant.side;
        let command = if state.row.is_absent(self.defences) {
            self.drop_absent(grant.epoch)
        } else if state.row.deleted {
            Command::WriteTombstone(state.row.version)
        } else {
            let is_current = state.row.has_moved == reader.is_next;
            let may_validate = is_current || !self.defences.has(Defence::GenerationOfReader);
            let news = state.row.read(self.capacity, grant.takes_epoch && may_validate, self.defences);
            grant.fill(news)
        };
        reader.step = ReaderStep::Fill(command, side);
        state.processes[at] = Process::Reader(reader);
    }

    /// Without that rule only what must be from before a restore goes.
    fn drop_absent(&self, seen: Option<Epoch>) -> Command {
        if seen.is_some() || self.defences.has(Defence::DropsAbsent) {
            Command::DropAhead(seen)
        } else {
            Command::Release
        }
    }

    pub(crate) fn fill(&self, state: &mut State, at: usize, reader: Reader, outcome: Outcome) {
        if let ReaderStep::Fill(command, side) = &reader.step {
            self.send(state, *side, command, outcome);
            state.processes[at] = reader.rested();
        }
    }

    /// The sweep's command: clears the cache of a conversation that has a pending invalidation.
    pub(crate) fn sweep(&self, state: &mut State, at: usize, sweep: &Sweep, outcome: Outcome) {
        if let Sweep::Clear(version) = *sweep {
            let reply = self.send(state, Side::Primary, &Command::Invalidate, outcome);
            let next = if reply.is_some() { Sweep::Forget(version) } else { Sweep::Over };
            state.processes[at] = Process::Sweep(next);
        }
    }

    /// The sweep's calls to Postgres: looks for a pending invalidation, and forgets it.
    pub(crate) fn sweep_invalidation(&self, state: &mut State, at: usize, sweep: &Sweep) {
        let next = match *sweep {
            Sweep::Lookup => state.row.pending_invalidation.map_or(Sweep::Lookup, Sweep::Clear),
            Sweep::Forget(version) => {
                self.clear_pending_invalidation(state, version);
                Sweep::Over
            }
            Sweep::Clear(_) | Sweep::Over => return,
        };
        state.processes[at] = Process::Sweep(next);
    }
}

impl Leased {
    /// What its holder goes on with: whether what it reads must be read under a new epoch.
    fn grant(self, token: Token, asking: Asking, may_be_absent: bool) -> Grant {
        let dead_intent = asking.intents_dead && !self.intents.is_empty();
        let takes_epoch = dead_intent || asking.disproved || !self.valid && self.intents.is_empty();
        let epoch = self.epoch.filter(|_| may_be_absent);
        Grant { token, seen: self.intents, takes_epoch, side: asking.side, epoch }
    }
}

impl Sweep {
    pub(crate) fn actions(&self, at: usize, state: &State, actions: &mut Vec<Action>) {
        match self {
            Self::Lookup if state.row.pending_invalidation.is_some() => actions.push(Action::Postgres(at)),
            Self::Forget(_) => actions.push(Action::Postgres(at)),
            Self::Clear(_) => actions.extend(Outcome::possible(state, false).map(|o| Action::Redis(at, o))),
            Self::Lookup | Self::Over => {}
        }
    }
}
