//! What everybody does, step by step.

use super::Config;
use super::state::{
    Action, CallerStep, CreatorStep, ErasureId, Flaw, Process, Round, RoundStep, Set, State, SweepStep,
    Visibility,
};
use crate::defences::Defence;

impl Config {
    fn has(&self, defence: Defence) -> bool {
        self.defences.has(defence)
    }

    /// What a process can do now.
    pub(super) fn possible(&self, state: &State, at: usize, process: &Process, actions: &mut Vec<Action>) {
        if self.can_step(state, at, process) {
            actions.push(Action::Step(at));
            if let Some(Round { step: RoundStep::Hide(listed), .. }) = process.round()
                && state.left.refused > 0
            {
                let listed = (0..state.conversations.len()).filter(|one| listed & 1 << one != 0);
                actions.extend(listed.map(|one| Action::HideBut(at, one)));
            }
        }
        let can_die = matches!(process, Process::Caller { step, .. } if step.is_under_way());
        if can_die && state.left.crash > 0 {
            actions.push(Action::Crash(at));
        }
    }

    /// Whether it has something to do and no lock to wait for.
    fn can_step(&self, state: &State, at: usize, process: &Process) -> bool {
        let is_free = state.locked_by.is_none_or(|by| by == at);
        match process {
            Process::Caller { step: CallerStep::Answered | CallerStep::Dead, .. } => false,
            Process::Caller { step: CallerStep::Ask, .. } => is_free || !self.has(Defence::AsksUnderLock),
            Process::Caller { step: CallerStep::Register { waited, .. }, .. } => {
                is_free || waited.is_none() && !self.has(Defence::OwnerRowStays)
            }
            Process::Sweep(SweepStep::Find) => state.erasing.is_some(),
            Process::Creator { step, creates } => match step {
                CreatorStep::Look => state.erasing.is_none() || !self.has(Defence::CreationWaits),
                CreatorStep::Over => false,
                // Whoever knows of a conversation may copy it.
                CreatorStep::Copy => state.conversations[*creates]
                    .origin
                    .is_some_and(|origin| state.conversations[origin].visibility != Visibility::Absent),
                CreatorStep::Commit => true,
            },
            _ => match process.round() {
                Some(Round { step: RoundStep::Hide(listed), .. }) => is_free && !state.is_locked(listed),
                Some(Round { step: RoundStep::Look | RoundStep::End, .. }) => is_free,
                _ => true,
            },
        }
    }

    pub(super) fn act(&self, state: &mut State, action: Action) {
        match action {
            Action::Step(at) => self.step(state, at, None),
            Action::HideBut(at, one) => {
                state.left.refused -= 1;
                self.step(state, at, Some(one));
            }
            Action::Crash(at) => {
                state.left.crash -= 1;
                state.unlock(at);
                if let Process::Caller { step, .. } = &mut state.processes[at] {
                    *step = CallerStep::Dead;
                }
            }
        }
    }

    fn step(&self, state: &mut State, at: usize, refused: Option<usize>) {
        let process = match state.processes[at].clone() {
            Process::Caller { caller, step } => {
                let step = self.call(state, at, caller, step, refused);
                if step == CallerStep::Answered {
                    state.answered |= 1 << caller;
                }
                Process::Caller { caller, step }
            }
            Process::Sweep(SweepStep::Find) => {
                let round = |erasure| SweepStep::Round(Round { erasure, step: RoundStep::List });
                Process::Sweep(state.erasing.map_or(SweepStep::Find, round))
            }
            Process::Sweep(SweepStep::Round(round)) => Process::Sweep(
                self.round(state, at, round, refused).map_or(SweepStep::Find, SweepStep::Round),
            ),
            Process::Creator { creates, step } => {
                Process::Creator { creates, step: self.create(state, creates, step) }
            }
        };
        state.processes[at] = process;
    }

    fn call(
        &self,
        state: &mut State,
        at: usize,
        caller: u8,
        step: CallerStep,
        refused: Option<usize>,
    ) -> CallerStep {
        match step {
            CallerStep::Ask => {
                for conversation in state.conversations.iter_mut().filter(|c| c.is_live()) {
                    conversation.was_there_for |= 1 << caller;
                }
                state.asked |= 1 << caller;
                CallerStep::List { ended: state.ended() }
            }
            CallerStep::List { ended } => CallerStep::Register { ended, listed: state.live(), waited: None },
            CallerStep::Register { ended, listed, waited: None } if !self.has(Defence::OwnerRowStays) => {
                CallerStep::Register { ended, listed, waited: Some(state.registered()) }
            }
            CallerStep::Register { ended, listed, waited } => {
                let hide = |erasure| Round { erasure, step: RoundStep::Hide(listed) };
                self.register(state, caller, ended, waited)
                    .map(hide)
                    .map_or(CallerStep::Answered, CallerStep::Round)
            }
            CallerStep::Round(round) => {
                self.round(state, at, round, refused).map_or(CallerStep::Answered, CallerStep::Round)
            }
            over => over,
        }
    }

    /// Registers an erasure or joins one; none: one has ended since this caller asked, and that is enough.
    fn register(&self, state: &mut State, caller: u8, ended: u8, waited: Option<u8>) -> Option<ErasureId> {
        // Who waited for a row that was removed meanwhile finds none.
        let finds_row = waited.is_none_or(|waited| waited == state.registered());
        let joined = state.erasing.filter(|_| finds_row);
        if joined.is_none() && finds_row && state.ended() > ended && self.has(Defence::RegistersOnce) {
            return None;
        }
        let erasure = joined.unwrap_or_else(|| state.registered());
        if joined.is_none() {
            state.asked_by.push(0);
            state.erasing = Some(erasure);
        }
        state.asked_by[usize::from(erasure)] |= 1 << caller;
        Some(erasure)
    }

    /// The next step of a round; none: the erasure has ended.
    fn round(&self, state: &mut State, at: usize, round: Round, refused: Option<usize>) -> Option<Round> {
        let Round { erasure, step } = round;
        let has_ended = state.erasing != Some(erasure) && self.has(Defence::EndedHidesNothing);
        let step = match step {
            RoundStep::Hide(_) if has_ended => return None,
            RoundStep::Hide(listed) => {
                state.hide(erasure, listed & !refused.map_or(0, |one| 1 << one));
                if self.has(Defence::LooksAgain) { RoundStep::List } else { RoundStep::End }
            }
            RoundStep::List if state.live() != 0 => RoundStep::Hide(state.live()),
            RoundStep::List => RoundStep::Look,
            RoundStep::Look if state.live() != 0 => RoundStep::List,
            RoundStep::Look => {
                if self.has(Defence::EndsUnderLock) {
                    state.locked_by = Some(at);
                }
                RoundStep::End
            }
            RoundStep::End => {
                if state.erasing == Some(erasure) {
                    state.asked_before_end = state.asked;
                    state.erasing = None;
                }
                state.unlock(at);
                return None;
            }
        };
        Some(Round { erasure, step })
    }

    fn create(&self, state: &mut State, creates: usize, step: CreatorStep) -> CreatorStep {
        let (asked, before_end, registered) = (state.asked, state.asked_before_end, state.registered());
        let origin = state.conversations[creates].origin;
        let conversation = &mut state.conversations[creates];
        match (step, origin) {
            (CreatorStep::Look, _) => {
                conversation.began_after_callers = asked;
                conversation.began_after_erasures = (1 << registered) - 1;
                conversation.began_after_end = before_end;
                if origin.is_some() { CreatorStep::Copy } else { CreatorStep::Commit }
            }
            (CreatorStep::Copy, Some(origin)) => {
                let origin = &mut state.conversations[origin];
                origin.is_locked = origin.is_live() && self.has(Defence::ForkLocksOrigin);
                if origin.is_live() { CreatorStep::Commit } else { CreatorStep::Over }
            }
            (CreatorStep::Commit, origin) => {
                conversation.visibility = Visibility::Live;
                if let Some(origin) = origin {
                    state.conversations[origin].is_locked = false;
                }
                CreatorStep::Over
            }
            _ => CreatorStep::Over,
        }
    }
}

impl State {
    fn is_locked(&self, set: Set) -> bool {
        self.conversations.iter().enumerate().any(|(at, c)| c.is_locked && set & 1 << at != 0)
    }

    fn unlock(&mut self, at: usize) {
        self.locked_by = self.locked_by.filter(|by| *by != at);
    }

    /// Hides conversations. An erasure may hide one only for a caller that asked since its creation began; if that was before the
    /// erasure was registered, for any but those for whom another one had ended by then.
    fn hide(&mut self, erasure: ErasureId, set: Set) {
        let asked_by = self.asked_by[usize::from(erasure)];
        for (at, c) in self.conversations.iter_mut().enumerate() {
            if set & 1 << at == 0 || !c.is_live() {
                continue;
            }
            c.visibility = Visibility::Hidden;
            let is_registered = c.began_after_erasures & 1 << erasure != 0;
            let before = if is_registered { c.began_after_callers } else { c.began_after_end };
            if asked_by & !before == 0 {
                self.flaw = Some(Flaw::HidesLater);
            }
        }
    }
}

impl Process {
    /// Where it is in the rounds of an erasure.
    pub(super) fn round(&self) -> Option<Round> {
        match self {
            Self::Caller { step: CallerStep::Round(round), .. } | Self::Sweep(SweepStep::Round(round)) => {
                Some(*round)
            }
            _ => None,
        }
    }
}

impl CallerStep {
    fn is_under_way(&self) -> bool {
        !matches!(self, Self::Ask | Self::Answered | Self::Dead)
    }
}
