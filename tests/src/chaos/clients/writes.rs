//! What clients write, and how they try again.

use std::sync::atomic::Ordering;

use conversation_core::{
    CacheUpdate, Change, ConversationFields, Error, Fork, IdempotencyKey, MessageId, Precondition, Title,
};

use super::{CONVERSATIONS, Client, LONG, lock};
use crate::chaos::options::Protocol;
use crate::chaos::record::{Conversation, Record, Wrote};
use crate::chaos::state::with_records;
use crate::{batch, key, user_as};

impl Client {
    /// The version that a conversation is at, for a write that depends on it.
    async fn version(&mut self, conversation: Conversation) -> Option<i64> {
        match self.subject.positions(&key(&conversation.to_string())).await {
            Ok(found) => found.map(|(version, _)| version),
            Err(error) => {
                self.failed("read", &error);
                None
            }
        }
    }

    pub(super) async fn add(&mut self, at: usize, conditional: bool) {
        let (place, conversation) = self.place(at);
        let expected = if conditional { self.version(conversation).await } else { None };
        let count = self.rng.usize(1..4);
        let ids = self.name_messages(count);
        let messages = batch(ids.iter().map(|id| user_as(id, "text"))).only_if(at_version(expected));
        let messages = with_records(messages, &ids);
        let key = key(&conversation.to_string());
        // A client asks again what was not answered.
        for attempt in 0..3 {
            let began = (attempt == 0).then(|| self.shared.now());
            match self.subject.add(&key, &messages).await {
                Ok((version, cache_update)) => {
                    self.wrote(Wrote {
                        added: ids.clone(),
                        expected,
                        ..wrote(conversation, version, cache_update, began)
                    });
                    let mut place = lock(&self.shared.places[at]);
                    if place.generation == conversation.generation {
                        place.added += ids.len();
                        place.messages.extend(ids);
                        let old = place.messages.len().saturating_sub(60);
                        place.messages.drain(..old);
                    }
                    break;
                }
                Err(Error::ConversationDeleted) => return self.move_on(at, conversation),
                Err(Error::VersionMismatch { .. }) => {
                    return self.shared.note(Record::Mismatched { conversation, ids });
                }
                // Somebody else has deleted what an earlier attempt had stored.
                Err(Error::MessageDeleted { .. }) => break,
                Err(error) => self.failed("add", &error),
            }
        }
        if place.added > LONG && self.rng.u8(0..20) == 0 && self.shared.protocol == Protocol::EpochFencing {
            self.delete(at).await;
        }
    }

    /// Replaces the end of a conversation: by something or by nothing, at any version or at the one that was read, and known by
    /// a key or by its messages when it is tried again.
    pub(super) async fn replace(&mut self, at: usize) {
        let (_, conversation) = self.place(at);
        let key = key(&conversation.to_string());
        let (version, seqs) = match self.subject.positions(&key).await {
            Ok(Some(found)) => found,
            Ok(None) => return,
            Err(error) => return self.failed("read", &error),
        };
        let kept = self.rng.usize(0..=seqs.len());
        let after = if kept == 0 { 0 } else { seqs[kept - 1] };
        let count = self.rng.usize(0..3);
        let ids = self.name_messages(count);
        let expected = self.rng.bool().then_some(version);
        let has_key = self.rng.bool();
        let idempotency_key = has_key.then(|| IdempotencyKey::new(self.name_one()).ok()).flatten();
        let messages = batch(ids.iter().map(|id| user_as(id, "text")));
        let messages = with_records(messages.under(idempotency_key).only_if(at_version(expected)), &ids);
        for attempt in 0..3 {
            let began = (attempt == 0).then(|| self.shared.now());
            match self.subject.replace(&key, after, &messages).await {
                Ok(replaced) => {
                    // Where there was nothing to do, the version is somebody else's.
                    let began = began.filter(|_| replaced.removed > 0 || !ids.is_empty());
                    let version = replaced.conversation.version;
                    let write = wrote(conversation, version, replaced.cache_update, began);
                    self.wrote(Wrote { added: ids.clone(), expected, ..write });
                    return lock(&self.shared.places[at]).messages.extend(ids);
                }
                // Without a key a retry is told from another write only while nothing follows what it added.
                Err(Error::VersionMismatch { .. }) if attempt > 0 && !has_key => return,
                Err(Error::VersionMismatch { .. }) => {
                    return self.shared.note(Record::Mismatched { conversation, ids });
                }
                Err(Error::NotFound | Error::MessageDeleted { .. }) => return,
                Err(error) => self.failed("replacement", &error),
            }
        }
    }

    pub(super) async fn fork(&mut self, at: usize) {
        let (_, conversation) = self.place(at);
        let of = key(&conversation.to_string());
        let at = match self.subject.positions(&of).await {
            Ok(Some((_, seqs))) if self.rng.bool() => seqs.first().copied(),
            Ok(_) => None,
            Err(error) => return self.failed("read", &error),
        };
        let number = self.shared.forked.fetch_add(1, Ordering::Relaxed);
        let fork = Conversation { place: CONVERSATIONS + number, generation: 0 };
        for attempt in 0..3 {
            let began = (attempt == 0).then(|| self.shared.now());
            let origin = Fork { of: of.id.clone(), at, records_prefix: "none".into() };
            match self.subject.fork(&key(&fork.to_string()), origin).await {
                Ok((version, cache_update)) => {
                    lock(&self.shared.forks).push(fork);
                    return self.wrote(wrote(fork, version, cache_update, began));
                }
                // It was made by an earlier attempt.
                Err(Error::ConversationExists { .. }) => return lock(&self.shared.forks).push(fork),
                // It may have been deleted, or the position cut off, meanwhile.
                Err(Error::OriginNotFound) => return,
                Err(error) => self.failed("fork", &error),
            }
        }
    }

    pub(super) async fn update(&mut self, at: usize) {
        let (_, conversation) = self.place(at);
        let Ok(title) = Title::new(self.name_one()) else { return };
        let change =
            Change::from(ConversationFields { title: Some(Some(title)), ..ConversationFields::default() });
        let began = self.shared.now();
        match self.subject.update(&key(&conversation.to_string()), &change).await {
            Ok((version, cache_update)) => {
                self.wrote(wrote(conversation, version, cache_update, Some(began)));
            }
            Err(Error::NotFound) => {}
            Err(error) => self.failed("update", &error),
        }
    }

    pub(super) async fn delete_message(&mut self, at: usize) {
        let (mut place, conversation) = self.place(at);
        if place.messages.is_empty() {
            return;
        }
        let id = place.messages.swap_remove(self.rng.usize(0..place.messages.len()));
        lock(&self.shared.places[at]).messages.retain(|other| *other != id);
        let Ok(id) = MessageId::new(id) else { return };
        match self.subject.delete_message(&key(&conversation.to_string()), &id).await {
            Ok((version, cache_update)) => {
                // What was cut off already is not deleted again: the version may be somebody else's.
                self.wrote(wrote(conversation, version, cache_update, None));
            }
            Err(Error::NotFound) => {}
            Err(error) => self.failed("delete message", &error),
        }
    }

    pub(super) async fn delete(&mut self, at: usize) {
        let (_, conversation) = self.place(at);
        match self.subject.delete(&key(&conversation.to_string())).await {
            Ok(cache_update) => {
                let ended = self.shared.now();
                self.shared.note(Record::Deleted { conversation, cache_update, ended });
                self.move_on(at, conversation);
            }
            Err(Error::NotFound) => {}
            Err(error) => self.failed("delete", &error),
        }
    }
}

/// A write that adds no message and depends on no version; it ends when it is noted.
fn wrote(conversation: Conversation, version: i64, cache_update: CacheUpdate, began: Option<u64>) -> Wrote {
    Wrote { conversation, version, cache_update, added: Vec::new(), expected: None, began, ended: 0 }
}

fn at_version(expected: Option<i64>) -> Precondition {
    expected.map_or(Precondition::None, Precondition::Version)
}
