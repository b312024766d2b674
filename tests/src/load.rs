//! Writers and readers that go on while something is done to the stores, and what they saw held against what was
//! promised.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use conversation_core::{CacheUpdate, ConversationStore, Limit, Message, WINDOW};
use sqlx::PgConnection;
use tokio::task::JoinHandle;

use crate::{batch, fail, key, user_as};

/// Writers and readers at work.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    clock: Arc<AtomicU64>,
    workers: Vec<JoinHandle<Vec<Event>>>,
}

/// What one of them did, and when: by a clock that only counts, so that of two that did not overlap it is known which
/// came first.
#[derive(Debug)]
struct Event {
    conversation: String,
    from: u64,
    to: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    /// A message of this id was stored at this position.
    Added { id: String, seq: i64, cache_update: CacheUpdate },
    /// A window of these positions and ids.
    Read { window: Vec<(i64, String)>, hit: bool },
}

/// What was seen in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Messages acknowledged.
    pub adds: usize,
    /// Of these, those of which the cache knew nothing, so that readers of it were promised nothing.
    pub owed: usize,
    /// Reads.
    pub reads: usize,
    /// Of these, those that the cache answered.
    pub hits: usize,
}

impl Load {
    /// Has one writer and one reader at work for each store, over these conversations of one owner.
    pub fn start(stores: Vec<ConversationStore>, conversations: &[String]) -> Self {
        let (stop, clock) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let mut workers = Vec::new();
        for (n, store) in stores.into_iter().enumerate() {
            let at = At { store, stop: Arc::clone(&stop), clock: Arc::clone(&clock) };
            workers.push(tokio::spawn(at.clone().write(n, conversations.to_vec())));
            workers.push(tokio::spawn(at.read(conversations.to_vec())));
        }
        Self { stop, clock, workers }
    }

    /// Waits until so many more things were done, so that what is done next meets a load.
    pub async fn goes_on(&self, events: u64) {
        let until = self.clock.load(Ordering::SeqCst) + 2 * events;
        for _ in 0..24_000 {
            if self.clock.load(Ordering::SeqCst) >= until {
                return;
            }
            if self.workers.iter().all(JoinHandle::is_finished) {
                fail(&"the load has ended");
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        fail(&"the load does not go on");
    }

    /// Ends it, and holds what was seen against Postgres and the promises: every acknowledged message is there once; a
    /// read answers a window that there was, and nothing older than what was acknowledged, or seen, before it began.
    pub async fn end(self, postgres: &mut PgConnection) -> Seen {
        self.stop.store(true, Ordering::SeqCst);
        let mut events: HashMap<String, Vec<Event>> = HashMap::new();
        for worker in self.workers {
            for event in worker.await.unwrap_or_else(|error| fail(&error)) {
                events.entry(event.conversation.clone()).or_default().push(event);
            }
        }
        let mut seen = Seen::default();
        for (conversation, events) in events {
            let stored: Vec<(i64, String)> =
                sqlx::query_as("select seq, message_id from messages m join conversations c on c.shard = m.shard and c.key = m.conversation_key where conversation_id = $1 order by seq")
                    .bind(&conversation)
                    .fetch_all(&mut *postgres)
                    .await
                    .unwrap_or_else(|error| fail(&error));
            seen.add(check(&conversation, &events, &stored));
        }
        seen
    }
}

#[derive(Clone)]
struct At {
    store: ConversationStore,
    stop: Arc<AtomicBool>,
    clock: Arc<AtomicU64>,
}

impl At {
    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    async fn write(self, writer: usize, conversations: Vec<String>) -> Vec<Event> {
        let mut events = Vec::new();
        for n in 0.. {
            if self.stop.load(Ordering::SeqCst) {
                break;
            }
            let conversation = conversations[(n + writer) % conversations.len()].clone();
            let (id, from) = (format!("w{writer}-{n}"), self.now());
            let added = self.store.add(&key(&conversation), &batch([user_as(&id, &id)])).await;
            let added = added.unwrap_or_else(|error| fail(&error));
            let what = What::Added { id, seq: added.messages[0].seq(), cache_update: added.cache_update };
            events.push(Event { conversation, from, to: self.now(), what });
        }
        events
    }

    async fn read(self, conversations: Vec<String>) -> Vec<Event> {
        let mut events = Vec::new();
        for conversation in conversations.iter().cycle() {
            if self.stop.load(Ordering::SeqCst) {
                break;
            }
            let from = self.now();
            let read = self.store.recent(&key(conversation), Limit::MAX, None).await;
            let read = read.unwrap_or_else(|error| fail(&error));
            let items = read.found.map(|page| page.items).unwrap_or_default();
            let window = items.iter().map(|message| (message.seq(), id_of(message))).collect();
            let what = What::Read { window, hit: read.source.is_hit() };
            events.push(Event { conversation: conversation.clone(), from, to: self.now(), what });
        }
        events
    }
}

fn id_of(message: &Message) -> String {
    let json: serde_json::Value = serde_json::from_str(message.json()).unwrap_or_else(|error| fail(&error));
    json["id"].as_str().unwrap_or_default().to_owned()
}

fn check(conversation: &str, events: &[Event], stored: &[(i64, String)]) -> Seen {
    let gapless = stored.iter().map(|(seq, _)| *seq).eq(1..=i64::try_from(stored.len()).unwrap_or(0));
    assert!(gapless, "{conversation}: positions have gaps");
    let mut seen = Seen::default();
    let mut owed = Vec::new();
    for event in events {
        match &event.what {
            What::Added { id, seq, cache_update } => {
                let rows = stored.iter().filter(|(_, stored)| stored == id).collect::<Vec<_>>();
                assert_eq!(rows, [&(*seq, id.clone())], "{conversation}: an acknowledged message");
                seen.adds += 1;
                if *cache_update == CacheUpdate::Deferred {
                    owed.push(*seq);
                }
            }
            What::Read { window, hit } => {
                let last = window.last().map_or(0, |(seq, _)| *seq);
                let there = &stored[..usize::try_from(last).unwrap_or(0)];
                assert_eq!(window, &there[there.len().saturating_sub(WINDOW)..], "{conversation}: a window");
                seen.reads += 1;
                seen.hits += usize::from(*hit);
            }
        }
    }
    seen.owed = owed.len();
    assert_fresh(conversation, events, &owed);
    seen
}

/// Each read must reach as far as anything that was over when it began.
fn assert_fresh(conversation: &str, events: &[Event], owed: &[i64]) {
    let reached = |event: &Event| match &event.what {
        What::Added { seq, .. } => *seq,
        What::Read { window, .. } => window.last().map_or(0, |(seq, _)| *seq),
    };
    // Nothing was promised of what is owed, but of what came before it.
    let promised = |seq: i64| (1..=seq).rev().find(|seq| !owed.contains(seq)).unwrap_or(0);
    let mut over: Vec<(u64, i64)> = events
        .iter()
        .filter(|event| !matches!(&event.what, What::Added { cache_update: CacheUpdate::Deferred, .. }))
        .map(|event| (event.to, promised(reached(event))))
        .collect();
    over.sort_unstable();
    let mut furthest = 0;
    for (_, seq) in &mut over {
        furthest = furthest.max(*seq);
        *seq = furthest;
    }
    for event in events {
        if let What::Read { hit, .. } = &event.what {
            let before = over.partition_point(|(to, _)| *to < event.from);
            let floor = before.checked_sub(1).map_or(0, |at| over[at].1);
            let last = reached(event);
            assert!(last >= floor, "{conversation}: a read (hit: {hit}) reached {last}, not {floor}");
        }
    }
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.adds += other.adds;
        self.owed += other.owed;
        self.reads += other.reads;
        self.hits += other.hits;
    }
}
