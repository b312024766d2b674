//! What the clients of the owner know of each other: what there is, what was erased, and what was seen since.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use conversation_core::{
    ConversationId, ConversationKey, Error, ExportedConversation, ExportedMessage, OwnerId,
};
use fastrand::Rng;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use crate::chaos::check::Violation;
use crate::chaos::failovers::Failovers;
use crate::chaos::record::{Read, Record};
use crate::is_outage;

/// What the clients know of each other.
#[derive(Debug)]
pub(super) struct Knowledge {
    began: Instant,
    records: UnboundedSender<Record>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Counts the beginnings and the ends of erasures.
    moment: u64,
    /// Whether none is under way, or may be.
    is_quiet: bool,
    /// Conversations that were acknowledged, and since when they may be erased, by an erasure that was not answered. None: they
    /// are not.
    live: BTreeMap<ConversationId, Option<u64>>,
    /// Conversations that are erased, and when that began at the earliest.
    erased: BTreeMap<ConversationId, u64>,
    exported: Vec<(ExportedConversation, Vec<ExportedMessage>)>,
    /// Reads that saw what was erased, with the conversation, and when its erasure began.
    sightings: Vec<(ConversationId, Read, u64)>,
}

/// An erasure that is under way: when it began, and what is to be gone when it is answered.
#[derive(Debug)]
pub(super) struct Begun {
    began: u64,
    live: Vec<ConversationId>,
}

/// What was known before something was done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    moment: u64,
    is_quiet: bool,
    /// When that was.
    at: u64,
}

/// What is known of a conversation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Known {
    /// It has to be there, if nothing happens meanwhile.
    Live,
    /// It may be.
    Unsure,
    /// It must not be: its erasure, which began at that time, was answered.
    Erased(u64),
}

impl Knowledge {
    pub(super) fn new(began: Instant, records: UnboundedSender<Record>) -> Self {
        let state = Mutex::new(State { is_quiet: true, ..State::default() });
        Self { began, records, state }
    }

    /// Nanoseconds since the run began.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(super) fn begin_erasure(&self) -> Begun {
        let mut state = self.state();
        state.moment += 1;
        state.is_quiet = false;
        let began = self.now();
        for since in state.live.values_mut() {
            since.get_or_insert(began);
        }
        Begun { began, live: state.live.keys().cloned().collect() }
    }

    /// What was there before it began is gone if it was done; otherwise it may be.
    pub(super) fn end_erasure(&self, Begun { began, live }: Begun, done: Result<(), Error>) {
        if let Err(error) = done {
            return self.failed("erasure", &error);
        }
        let mut state = self.state();
        state.moment += 1;
        state.is_quiet = true;
        for id in live {
            let since = state.live.remove(&id).flatten();
            state.erased.entry(id).or_insert(since.unwrap_or(began));
        }
        drop(state);
        self.note(Record::Erased);
    }

    pub(super) fn moment(&self) -> Moment {
        let State { moment, is_quiet, .. } = *self.state();
        Moment { moment, is_quiet, at: self.now() }
    }

    /// Notes that a conversation was created, since that moment.
    pub(super) fn created(&self, id: ConversationId, since: Moment) {
        let erased = (!self.is_still(since)).then_some(since.at);
        self.state().live.entry(id).or_insert(erased);
    }

    /// Whether no erasure was under way at that moment, and none has begun since.
    pub(super) fn is_still(&self, since: Moment) -> bool {
        since.is_quiet && self.state().moment == since.moment
    }

    /// Notes what an export had.
    pub(super) fn exported(&self, conversation: ExportedConversation, messages: Vec<ExportedMessage>) {
        let mut state = self.state();
        state.exported.push((conversation, messages));
        let old = state.exported.len().saturating_sub(100);
        state.exported.drain(..old);
    }

    /// Something that was exported, if anything was, and what is known of it.
    pub(super) fn any_export(
        &self,
        rng: &mut Rng,
    ) -> Option<(ExportedConversation, Vec<ExportedMessage>, Known)> {
        let state = self.state();
        let (conversation, messages) = rng.choice(&state.exported)?.clone();
        let known = state.known(&conversation.key.id);
        Some((conversation, messages, known))
    }

    /// A conversation that was acknowledged and is not erased, as far as is known.
    pub(super) fn any_live(&self, rng: &mut Rng) -> Option<ConversationId> {
        rng.choice(self.state().live.keys()).cloned()
    }

    /// The same, or one that is erased, and what is known of it.
    pub(super) fn any(&self, rng: &mut Rng) -> Option<(ConversationId, Known)> {
        let state = self.state();
        let erased = rng.bool().then(|| rng.choice(state.erased.keys())).flatten();
        let id = erased.or_else(|| rng.choice(state.live.keys()))?.clone();
        let known = state.known(&id);
        Some((id, known))
    }

    /// What is known of a conversation.
    pub(super) fn known(&self, id: &ConversationId) -> Known {
        self.state().known(id)
    }

    /// Notes a read that saw what was erased.
    pub(super) fn sighted(&self, id: ConversationId, read: Read, erasure_began: u64) {
        self.state().sightings.push((id, read, erasure_began));
    }

    pub(super) fn seen(&self, failovers: &Failovers) -> (Vec<Violation>, usize) {
        let state = self.state();
        let (excused, seen): (Vec<_>, Vec<_>) =
            state.sightings.iter().partition(|(_, read, began)| failovers.excuse(read, *began));
        let violation = |(id, read, _): &(ConversationId, Read, u64)| Violation {
            conversation: id.to_string(),
            what: format!("it is erased, and was read: {read:?}"),
        };
        (seen.into_iter().map(violation).collect(), excused.len())
    }

    /// All that there ever was.
    pub(super) fn all(&self, owner: &OwnerId) -> Vec<ConversationKey> {
        let state = self.state();
        let ids = state.live.keys().chain(state.erased.keys());
        ids.map(|id| ConversationKey { owner: owner.clone(), id: id.clone() }).collect()
    }

    /// Notes that something failed: as it may, or not.
    pub(super) fn failed(&self, what: &'static str, error: &Error) {
        self.note(if is_outage(error) || matches!(error, Error::ErasureUnderway) {
            Record::Failed(what)
        } else {
            Record::Odd(format!("{what}: {error:?}"))
        });
    }

    pub(super) fn note(&self, record: Record) {
        // Nobody listens any more when the run is over.
        let _ = self.records.send(record);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn known(&self, id: &ConversationId) -> Known {
        match (self.erased.get(id), self.live.get(id)) {
            (Some(began), _) => Known::Erased(*began),
            (None, Some(None)) => Known::Live,
            _ => Known::Unsure,
        }
    }
}
