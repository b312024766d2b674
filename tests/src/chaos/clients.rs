//! Clients that read and write the same few conversations, and note what they saw and when.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use conversation_core::{
    CacheUpdate, Change, ConversationFields, Error, Fork, IdempotencyKey, MessageId, Precondition, Title,
};
use fastrand::Rng;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::{Broken, Profile, batch, key, user_as};

use super::options::{Options, Protocol};
use super::record::{Conversation, Read, Record, Sight, Wrote};
use super::servers::Servers;
use super::subject::Subject;

/// How many conversations are used at a time.
const CONVERSATIONS: usize = 6;
/// A conversation with this many messages more than a window is deleted soon.
const LONG: usize = 300;

/// All clients of a run.
#[derive(Debug)]
pub(super) struct Crew {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
    replaced: u64,
}

/// What clients know of each other.
#[derive(Debug)]
struct Shared {
    protocol: Protocol,
    profile: Profile,
    seed: u64,
    began: Instant,
    places: Vec<Mutex<Place>>,
    /// Conversations that began as copies, in the order in which they did.
    forks: Mutex<Vec<Conversation>>,
    forked: AtomicUsize,
    records: UnboundedSender<Record>,
}

/// Where conversations follow one another: a deleted one makes place for the next.
#[derive(Clone, Debug, Default)]
struct Place {
    generation: u32,
    /// The highest version that any client was answered: a ticket.
    ticket: i64,
    /// That version is one whose cache update was deferred: a validity marker that it disproves may stand.
    disproves: bool,
    /// Ids of messages that may be deleted.
    messages: Vec<String>,
    added: usize,
}

struct Client {
    rng: Rng,
    shared: Arc<Shared>,
    subject: Subject,
    name: String,
    named: u32,
    /// What was seen last of a conversation, and at which version.
    held: HashMap<Conversation, (i64, Sight)>,
}

impl Crew {
    pub(super) fn begin(
        options: &Options,
        servers: &Servers,
        began: Instant,
        records: UnboundedSender<Record>,
    ) -> Result<Self, Broken> {
        let places = std::iter::repeat_with(Mutex::default).take(CONVERSATIONS).collect();
        let Options { protocol, profile, seed, clients, .. } = *options;
        let shared = Arc::new(Shared {
            protocol,
            profile,
            seed,
            began,
            places,
            forks: Mutex::default(),
            forked: AtomicUsize::new(0),
            records,
        });
        let mut crew = Self { shared, clients: Vec::new(), replaced: 0 };
        for at in 0..clients {
            let client = crew.client(at, servers)?;
            crew.clients.push(client);
        }
        Ok(crew)
    }

    /// How many there are.
    pub(super) fn size(&self) -> usize {
        self.clients.len()
    }

    /// Nanoseconds since the run began.
    pub(super) fn now(&self) -> u64 {
        self.shared.now()
    }

    /// Notes something that is no client's doing.
    pub(super) fn note(&self, record: Record) {
        self.shared.note(record);
    }

    /// Kills a client, wherever it is, and puts another in its place.
    pub(super) async fn replace(&mut self, at: usize, servers: &Servers) -> Result<(), Broken> {
        self.replaced += 1;
        let client = self.client(at, servers)?;
        let killed = std::mem::replace(&mut self.clients[at], client);
        killed.abort();
        ended(killed).await
    }

    /// Stops all of them, wherever they are.
    pub(super) async fn end(self) -> Result<Vec<Conversation>, Broken> {
        for client in self.clients {
            client.abort();
            ended(client).await?;
        }
        let places = self.shared.places.iter().enumerate();
        let mut left: Vec<_> = places
            .map(|(at, place)| Conversation { place: at, generation: lock(place).generation })
            .collect();
        left.extend(lock(&self.shared.forks).iter().rev().take(CONVERSATIONS));
        Ok(left)
    }

    /// The key of the entry of some conversation in use.
    pub(super) fn entry(&self, rng: &mut Rng) -> String {
        let at = rng.usize(0..CONVERSATIONS);
        let generation = lock(&self.shared.places[at]).generation;
        format!("conversation:{{{}/{}}}", crate::OWNER, Conversation { place: at, generation })
    }

    fn client(&self, at: usize, servers: &Servers) -> Result<JoinHandle<()>, Broken> {
        let name = format!("{at}x{}", self.replaced);
        let (database_url, redis_url) = servers.urls(at);
        let client = Client {
            rng: Rng::with_seed(self.shared.seed ^ (self.replaced << 8) ^ at as u64),
            shared: Arc::clone(&self.shared),
            subject: Subject::new(self.shared.protocol, self.shared.profile, (&database_url, &redis_url))?,
            name,
            named: 0,
            held: HashMap::new(),
        };
        Ok(tokio::spawn(client.work()))
    }
}

/// Waits for the end of a client that was killed. One that panicked fails the run.
async fn ended(client: JoinHandle<()>) -> Result<(), Broken> {
    match client.await {
        Err(error) if error.is_panic() => Err(error.into()),
        _ => Ok(()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Nanoseconds since the run began.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn note(&self, record: Record) {
        // Nobody listens any more when the run is over.
        let _ = self.records.send(record);
    }
}

impl Client {
    async fn work(mut self) {
        let weaker = self.shared.protocol != Protocol::EpochFencing;
        loop {
            let at = self.choose();
            match self.rng.u32(0..1_000) {
                0..640 => self.read(at, false).await,
                640..740 if !weaker => self.poll(at).await,
                740..840 if !weaker => self.read(at, true).await,
                840..930 => self.add(at, false).await,
                930..950 if !weaker => self.add(at, true).await,
                950..965 if !weaker => self.replace(at).await,
                965..983 if !weaker => self.update(at).await,
                983..994 if !weaker => self.delete_message(at).await,
                994..998 if !weaker => self.fork(at).await,
                998.. if !weaker => self.delete(at).await,
                _ => self.read(at, false).await,
            }
        }
    }

    /// Some conversation; rather one of which a client has a ticket that the cache may not know.
    fn choose(&mut self) -> usize {
        let disproved = self.shared.places.iter().position(|place| lock(place).disproves);
        let any = self.rng.usize(0..CONVERSATIONS);
        disproved.filter(|_| self.rng.bool()).unwrap_or(any)
    }

    fn place(&self, at: usize) -> (Place, Conversation) {
        let place = lock(&self.shared.places[at]).clone();
        let conversation = Conversation { place: at, generation: place.generation };
        (place, conversation)
    }

    async fn read(&mut self, at: usize, row: bool) {
        let (place, mut conversation) = self.place(at);
        let mut min_version =
            (place.ticket > 0 && (place.disproves || self.rng.u8(0..10) < 4)).then_some(place.ticket);
        if conversation.generation > 0 && self.rng.u8(0..40) == 0 {
            conversation.generation -= 1;
            min_version = None;
        } else if self.rng.u8(0..20) == 0 {
            let forks = lock(&self.shared.forks);
            if let Some(fork) = forks.iter().rev().nth(self.rng.usize(0..4)) {
                (conversation, min_version) = (*fork, None);
            }
        }
        let key = key(&conversation.to_string());
        let began = self.shared.now();
        let seen = if row {
            self.subject.row(&key, min_version).await.map(|(sight, source)| (sight, None, source))
        } else {
            let short = self.rng.u8(0..5) == 0;
            self.subject.window(&key, short, min_version).await
        };
        let ended = self.shared.now();
        match seen {
            Ok((sight, version, source)) => {
                if let (Some(version), Sight::Full(_)) = (version, sight) {
                    self.held.insert(conversation, (version, sight));
                }
                if min_version.is_some() {
                    lock(&self.shared.places[at]).disproves = false;
                }
                let read = Read { conversation, began, ended, sight, min_version, source, unchanged: false };
                self.shared.note(Record::Read(read));
            }
            Err(error) => self.failed("read", &error),
        }
    }

    /// Asks whether what was seen last is still what there is.
    async fn poll(&mut self, at: usize) {
        let (place, conversation) = self.place(at);
        let Some((version, sight)) = self.held.get(&conversation).copied() else {
            return self.read(at, false).await;
        };
        let min_version = (self.rng.u8(0..10) < 4).then_some(place.ticket);
        let began = self.shared.now();
        let seen = self.subject.row(&key(&conversation.to_string()), min_version).await;
        let ended = self.shared.now();
        match seen {
            Ok((Sight::Row(now, _), source)) if now == version => {
                let read = Read { conversation, began, ended, sight, min_version, source, unchanged: true };
                self.shared.note(Record::Read(read));
            }
            Ok((sight, source)) => {
                self.held.remove(&conversation);
                let read = Read { conversation, began, ended, sight, min_version, source, unchanged: false };
                self.shared.note(Record::Read(read));
            }
            Err(error) => self.failed("poll", &error),
        }
    }

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

    async fn add(&mut self, at: usize, conditional: bool) {
        let (place, conversation) = self.place(at);
        let expected = if conditional { self.version(conversation).await } else { None };
        let ids: Vec<String> = (0..self.rng.usize(1..4)).map(|_| self.name_one()).collect();
        let messages = batch(ids.iter().map(|id| user_as(id, "text"))).only_if(at_version(expected));
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
    async fn replace(&mut self, at: usize) {
        let (_, conversation) = self.place(at);
        let key = key(&conversation.to_string());
        let (version, seqs) = match self.subject.positions(&key).await {
            Ok(Some(found)) => found,
            Ok(None) => return,
            Err(error) => return self.failed("read", &error),
        };
        let kept = self.rng.usize(0..=seqs.len());
        let after = if kept == 0 { 0 } else { seqs[kept - 1] };
        let ids: Vec<String> = (0..self.rng.usize(0..3)).map(|_| self.name_one()).collect();
        let expected = self.rng.bool().then_some(version);
        let has_key = self.rng.bool();
        let idempotency_key = has_key.then(|| IdempotencyKey::new(self.name_one()).ok()).flatten();
        let messages = batch(ids.iter().map(|id| user_as(id, "text")));
        let messages = messages.under(idempotency_key).only_if(at_version(expected));
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

    async fn fork(&mut self, at: usize) {
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
            let origin = Fork { of: of.id.clone(), at };
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

    async fn update(&mut self, at: usize) {
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

    async fn delete_message(&mut self, at: usize) {
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

    async fn delete(&mut self, at: usize) {
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

    /// Goes on with the next conversation, if that was the one in use.
    fn move_on(&self, at: usize, from: Conversation) {
        let mut place = lock(&self.shared.places[at]);
        if place.generation == from.generation {
            *place = Place { generation: from.generation + 1, ..Place::default() };
        }
    }

    fn wrote(&self, write: Wrote) {
        let Wrote { conversation, version, cache_update, .. } = write;
        self.shared.note(Record::Wrote(Wrote { ended: self.shared.now(), ..write }));
        let Some(place) = self.shared.places.get(conversation.place) else { return };
        let mut place = lock(place);
        if place.generation == conversation.generation {
            place.disproves |= cache_update == CacheUpdate::Deferred && version > place.ticket;
            place.ticket = place.ticket.max(version);
        }
    }

    fn failed(&self, what: &'static str, error: &Error) {
        let expected = matches!(
            error,
            Error::OutcomeUnknown(_) | Error::DatabaseUnavailable(_) | Error::CacheUnavailable(_)
        );
        self.shared.note(if expected {
            Record::Failed(what)
        } else {
            Record::Odd(format!("{what}: {error:?}"))
        });
    }

    fn name_one(&mut self) -> String {
        self.named += 1;
        format!("{}-{}", self.name, self.named)
    }
}

/// A write that adds no message and depends on no version; it ends when it is noted.
fn wrote(conversation: Conversation, version: i64, cache_update: CacheUpdate, began: Option<u64>) -> Wrote {
    Wrote { conversation, version, cache_update, added: Vec::new(), expected: None, began, ended: 0 }
}

fn at_version(expected: Option<i64>) -> Precondition {
    expected.map_or(Precondition::None, Precondition::Version)
}
