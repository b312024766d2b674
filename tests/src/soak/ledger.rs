//! What was acknowledged, and whether it is there.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// All conversations of a run.
#[derive(Debug)]
pub(super) struct Ledger(Vec<Mutex<Place>>);

/// One conversation after the other, under a number.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    pub(super) id: String,
    /// Its deletion was asked for.
    pub(super) closing: bool,
    /// Messages that were acknowledged: the id, and the text.
    pub(super) acknowledged: HashMap<String, String>,
    /// Ids of all that was ever asked to be added.
    asked: HashSet<String>,
}

/// What was found in the end.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    /// Messages that were acknowledged, in conversations that were not deleted.
    pub(super) acknowledged: usize,
    /// Conversations with messages in them.
    pub(super) conversations: usize,
    /// Messages that are there although no answer said so.
    pub(super) unacknowledged: usize,
    /// What is not as it should be.
    pub(super) wrong: Vec<String>,
}

impl Ledger {
    pub(super) fn new(places: usize) -> Self {
        let place = |n: usize| Place { id: format!("soak-{n}-0"), ..Place::default() };
        Self((0..places).map(|n| Mutex::new(place(n))).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn place(&self, at: usize) -> MutexGuard<'_, Place> {
        self.0[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an answer about this conversation may say that there is none, or that it is gone.
    pub(super) fn may_be_gone(&self, at: usize, id: &str) -> bool {
        let place = self.place(at);
        place.id != id || place.closing || place.acknowledged.is_empty()
    }
}

impl Place {
    /// The next conversation has this number's place.
    pub(super) fn reopen(&mut self) {
        let (number, generation) = self.id.rsplit_once('-').unwrap_or((&self.id, "0"));
        let generation = generation.parse::<u64>().unwrap_or(0) + 1;
        *self = Self { id: format!("{number}-{generation}"), ..Self::default() };
    }

    pub(super) fn ask(&mut self, messages: &[(String, String)]) {
        self.asked.extend(messages.iter().map(|(id, _)| id.clone()));
    }

    pub(super) fn acknowledge(&mut self, messages: Vec<(String, String)>) {
        self.acknowledged.extend(messages);
    }

    pub(super) fn compare(&self, history: &[Value], kept: &mut Kept) {
        let mut seen = HashSet::new();
        for (at, message) in history.iter().enumerate() {
            let id = message["id"].as_str().unwrap_or_default();
            if !seen.insert(id) {
                kept.wrong.push(format!("{}: {id} is there twice", self.id));
            }
            if message["seq"].as_u64() != Some(at as u64 + 1) {
                kept.wrong.push(format!("{}: {id} is not at its place", self.id));
            }
            match self.acknowledged.get(id) {
                Some(text) if message["content"] == text.as_str() => {}
                Some(_) => kept.wrong.push(format!("{}: {id} says something else", self.id)),
                None if self.asked.contains(id) => kept.unacknowledged += 1,
                None => kept.wrong.push(format!("{}: nobody sent {id}", self.id)),
            }
        }
        let lost = self.acknowledged.keys().filter(|id| !seen.contains(id.as_str()));
        kept.wrong.extend(lost.map(|id| format!("{}: {id} was acknowledged and is lost", self.id)));
    }
}
