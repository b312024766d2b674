//! Clients that read and write the same few conversations, and note what they saw and when.

mod counter;
mod writes;

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use conversation_core::{CacheUpdate, ConversationIndex, Error};
use fastrand::Rng;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::{Broken, Profile, is_outage, key};

use super::options::{Options, Protocol};
use super::record::{Conversation, Read, Record, Sight, Wrote};
use super::servers::Servers;
use super::state::{Tally, WITH_RECORD};
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
    tally: Arc<Tally>,
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
            tally: Arc::default(),
            records,
        });
        let mut crew = Self { shared, clients: Vec::new(), replaced: 0 };
        for at in 0..clients {
            let client = crew.client(at, servers)?;
            crew.clients.push(client);
        }
        Ok(crew)
    }

    /// What became of the increments of the counter.
    pub(super) fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.shared.tally)
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
pub(super) async fn ended(client: JoinHandle<()>) -> Result<(), Broken> {
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
                965..975 if !weaker => self.update(at).await,
                975..983 if !weaker => self.count().await,
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
            Ok((row, source)) => {
                let unchanged = matches!(row, Sight::Row(now, _) if now == version);
                if !unchanged {
                    self.held.remove(&conversation);
                }
                let sight = if unchanged { sight } else { row };
                let read = Read { conversation, began, ended, sight, min_version, source, unchanged };
                self.shared.note(Record::Read(read));
            }
            Err(error) => self.failed("poll", &error),
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

    fn index(&self) -> &ConversationIndex {
        self.subject.index()
    }

    fn tally(&self) -> &Tally {
        &self.shared.tally
    }

    fn failed(&self, what: &'static str, error: &Error) {
        self.shared.note(if is_outage(error) {
            Record::Failed(what)
        } else {
            Record::Odd(format!("{what}: {error:?}"))
        });
    }

    fn name_one(&mut self) -> String {
        self.named += 1;
        format!("{}-{}", self.name, self.named)
    }

    /// Names for messages, some of which are stored with a record.
    fn name_messages(&mut self, count: usize) -> Vec<String> {
        let mut name =
            || if self.rng.bool() { format!("{}{WITH_RECORD}", self.name_one()) } else { self.name_one() };
        std::iter::repeat_with(&mut name).take(count).collect()
    }
}
