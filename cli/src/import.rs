//! `import`: writes parts of conversations to the store, several conversations at a time.

use std::collections::BTreeSet;
use std::io::{BufReader, stdin};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Error, Result};
use clap::Args;
use conversation_core::{
    CacheConfig, CacheUpdate, ConversationIndex, ConversationStore, DatabaseConfig, Error as StoreError,
    ImportSource, Imported, OwnerId, conversation_index, store,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::arguments::owner;
use crate::from::{self, Kind, Origin};
use crate::progress::{Counts, Progress, grouped};
use crate::source::{self, Content, Lines, Of, Part, Parts};
use crate::terminal::note;

/// How often progress is saved.
const CHECKPOINTS: Duration = Duration::from_secs(1);
/// How often a part is tried at most, with growing pauses: about a minute in all.
const ATTEMPTS: u32 = 10;
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The message when a task ended without a result.
const STOPPED: &str = "the import stopped";
/// How many workers share the connections of one store.
const PER_STORE: usize = 4;

/// Stores conversations of an export, or of another store's tables, with their ids, positions and times.
///
/// Messages that are stored already are not stored again, so an import may be repeated. An import of a file resumes after a
/// crash. It may run while the store is in use: cached copies of changed conversations are dropped, and reads stay fresh.
/// Needs DATABASE_URL and REDIS_URL.
#[derive(Args, Debug)]
pub struct Import {
    /// The NDJSON of an export (default: stdin, not resumable).
    #[arg(value_name = "FILE", conflicts_with = "from")]
    file: Option<PathBuf>,
    /// Reads the tables of another store instead of an export.
    #[arg(long, value_enum, requires_all = ["source", "owner"])]
    from: Option<Kind>,
    /// With --from: the database of those tables, as postgres://user:password@host:5432/database.
    #[arg(long, value_name = "URL", requires = "from", env = "SOURCE_DATABASE_URL", hide_env_values = true)]
    source: Option<String>,
    /// With --from: the owner of the imported conversations.
    #[arg(long, value_parser = owner, requires = "from")]
    owner: Option<OwnerId>,
    /// With --from: the table of messages, if it is not the usual one.
    #[arg(long, value_name = "NAME", requires = "from")]
    table: Option<String>,
    /// How many conversations are written at a time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: u16,
    /// Stores at most this many messages a second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Ignore saved progress and start over.
    #[arg(long)]
    restart: bool,
}

/// A conversation on its way to a worker.
struct Job {
    began: u64,
    parts: mpsc::Receiver<Part>,
}

/// The state that workers and their feed share.
struct Run {
    counts: Arc<Counts>,
    stored: AtomicU64,
    refused: AtomicU64,
    left_out: AtomicU64,
    not_updated: AtomicU64,
    reach: Mutex<Reach>,
}

/// How far everything is stored.
#[derive(Default)]
struct Reach {
    /// The positions of conversations that are not stored yet.
    begun: BTreeSet<u64>,
    /// The end of the last conversation that is stored.
    ended: u64,
}

impl Reach {
    fn position(&self) -> u64 {
        self.begun.first().copied().unwrap_or(self.ended)
    }
}

/// Imports conversations. Returns whether all of them were stored.
///
/// # Errors
/// The source cannot be read or is not valid, or a store cannot be written.
pub async fn import(what: &Import) -> Result<bool> {
    let (database, cache) = (DatabaseConfig::from_env()?, CacheConfig::from_env()?);
    let workers = usize::from(what.parallel);
    let stores: Vec<_> = (0..workers.div_ceil(PER_STORE)).map(|_| store(&database, &cache)).collect();
    let index = conversation_index(&database);
    let feed = Feed::open(what, &index).await?;
    let progress = Progress::start("import", feed.total(), feed.from());
    let run = Arc::new(Run {
        counts: progress.counts(),
        stored: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        left_out: AtomicU64::new(0),
        not_updated: AtomicU64::new(0),
        reach: Mutex::new(Reach { begun: BTreeSet::new(), ended: feed.from() }),
    });
    let source = feed.source();
    let notes =
        source.clone().map(|source| tokio::spawn(checkpoint(index.clone(), source, Arc::clone(&run))));
    let done = pump(feed, &stores, workers, what.rate, &run).await;
    if let Some(notes) = notes {
        notes.abort();
    }
    drop(progress);
    if let (Ok(()), Some(source)) = (&done, &source) {
        index.forget_import_position(source).await?;
    }
    run.report();
    done.map(|()| run.refused.load(Ordering::Relaxed) + run.left_out.load(Ordering::Relaxed) == 0)
}

/// The source of an import.
enum Feed {
    Lines(Lines, u64),
    Stdin,
    Tables(Origin),
}

impl Feed {
    async fn open(what: &Import, index: &ConversationIndex) -> Result<Self> {
        if let (Some(kind), Some(url), Some(owner)) = (what.from, &what.source, &what.owner) {
            let origin = Origin::open(kind, url, owner, what.table.as_deref()).await?;
            return Ok(Self::Tables(origin));
        }
        match what.file.as_deref() {
            None => Ok(Self::Stdin),
            Some(path) if path == Path::new("-") => Ok(Self::Stdin),
            Some(path) => {
                let lines = Lines::open(path)?;
                let position = match what.restart {
                    true => None,
                    false => index.import_position(&lines.source).await?,
                };
                let from = position.and_then(|at| u64::try_from(at).ok()).unwrap_or(0);
                if from > 0 {
                    note(&format!("resuming at byte {} of {}", grouped(from), grouped(lines.length)));
                }
                Ok(Self::Lines(lines, from))
            }
        }
    }

    /// Returns the size of the source, if it is known: bytes of a file, messages of tables.
    fn total(&self) -> Option<u64> {
        match self {
            Self::Lines(lines, _) => Some(lines.length),
            Self::Stdin => None,
            Self::Tables(origin) => Some(origin.total),
        }
    }

    fn from(&self) -> u64 {
        if let Self::Lines(_, from) = self { *from } else { 0 }
    }

    /// Returns the name under which progress is saved.
    fn source(&self) -> Option<ImportSource> {
        if let Self::Lines(lines, _) = self { Some(lines.source.clone()) } else { None }
    }

    async fn read(self, parts: Parts, run: Arc<Run>) -> Result<()> {
        match self {
            Self::Lines(lines, from) => lines.read(from, parts).await,
            Self::Stdin => source::read(BufReader::new(stdin()), 0, parts).await,
            Self::Tables(origin) => from::read(origin, parts, &run.left_out).await,
        }
    }
}

/// Saves progress, again and again.
async fn checkpoint(index: ConversationIndex, source: ImportSource, run: Arc<Run>) {
    loop {
        sleep(CHECKPOINTS).await;
        let position = run.reach().position();
        if let Err(error) = index.set_import_position(&source, i64::try_from(position).unwrap_or(0)).await {
            // The next run reads a little more that is stored already.
            tracing::warn!(%error, "how far the import has come could not be saved");
        }
    }
}

/// Reads parts and stores them, until all are stored or something fails.
async fn pump(
    feed: Feed,
    stores: &[ConversationStore],
    workers: usize,
    rate: Option<u32>,
    run: &Arc<Run>,
) -> Result<()> {
    let (sender, parts) = mpsc::channel(workers * 2);
    let (jobs, waiting) = mpsc::channel(1);
    let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
    let mut tasks = JoinSet::new();
    let source = tokio::spawn(feed.read(sender, Arc::clone(run)));
    tasks.spawn(distribute(parts, jobs, rate, Arc::clone(run)));
    for (_, store) in (0..workers).zip(stores.iter().cycle()) {
        tasks.spawn(work(store.clone(), Arc::clone(&waiting), Arc::clone(run)));
    }
    drop(waiting);
    while let Some(task) = tasks.join_next().await {
        if let Err(error) = task.context(STOPPED).flatten() {
            source.abort();
            return Err(error);
        }
    }
    // Should the source have failed, the parts that it had sent are stored all the same.
    source.await.context(STOPPED).flatten()
}

/// Gives each conversation with all of its parts to the next free worker.
async fn distribute(
    mut parts: mpsc::Receiver<Part>,
    jobs: mpsc::Sender<Job>,
    rate: Option<u32>,
    run: Arc<Run>,
) -> Result<()> {
    let mut due = Instant::now();
    let mut current: Option<mpsc::Sender<Part>> = None;
    while let Some(part) = parts.recv().await {
        if let Some(rate) = rate {
            sleep_until(due).await;
            let messages = part.content.len().max(1) as f64;
            due = due.max(Instant::now()) + Duration::from_secs_f64(messages / f64::from(rate));
        }
        if part.first {
            let (sender, receiver) = mpsc::channel(1);
            run.reach().begun.insert(part.began);
            if jobs.send(Job { began: part.began, parts: receiver }).await.is_err() {
                return Ok(());
            }
            current = Some(sender);
        }
        // A worker that takes no more has failed, which `pump` reports.
        if let Some(current) = &current {
            let _ = current.send(part).await;
        }
    }
    Ok(())
}

/// Stores the conversations of a worker, one after the other.
async fn work(
    store: ConversationStore,
    jobs: Arc<tokio::sync::Mutex<mpsc::Receiver<Job>>>,
    run: Arc<Run>,
) -> Result<()> {
    loop {
        let job = jobs.lock().await.recv().await;
        let Some(mut job) = job else { return Ok(()) };
        let (mut end, mut refused, mut is_whole, mut is_owner) = (job.began, false, false, false);
        while let Some(part) = job.parts.recv().await {
            (end, is_whole, is_owner) = (part.end, part.last, matches!(*part.of, Of::Owner(_)));
            refused = refused || !run.store(&store, &part).await?;
        }
        // Without its last part it is the source that failed.
        if is_whole {
            run.ended(job.began, end, is_owner);
        }
    }
}

impl Run {
    fn reach(&self) -> std::sync::MutexGuard<'_, Reach> {
        self.reach.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self, began: u64, end: u64, is_owner: bool) {
        let mut reach = self.reach();
        reach.begun.remove(&began);
        reach.ended = reach.ended.max(end);
        drop(reach);
        if !is_owner {
            self.counts.conversations.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Stores a part, and tries again while a store is unavailable. Returns false if the conversation is refused.
    async fn store(&self, store: &ConversationStore, part: &Part) -> Result<bool> {
        let mut attempt = 0;
        loop {
            let stored = match (&*part.of, &part.content) {
                (Of::Conversation(of), Content::Messages(messages, last)) => {
                    store.import(of, messages, *last).await.map(|imported| self.note(imported))
                }
                (of, Content::Records(records)) => {
                    store.index().import_records(&of.scope(), of.record_revision(), records).await
                }
                (Of::Owner(_), Content::Messages(..)) => Ok(0),
            };
            match stored {
                Ok(stored) => {
                    self.count(part, u64::try_from(stored).unwrap_or(0));
                    return Ok(true);
                }
                Err(error) if is_passing(&error) && attempt < ATTEMPTS => {
                    attempt += 1;
                    sleep((Duration::from_millis(100) * 2_u32.pow(attempt)).min(LONGEST_PAUSE)).await;
                }
                Err(error) if is_of_conversation(&error) => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    note(&format!("refused: {}: {error}", part.of));
                    return Ok(false);
                }
                Err(error) => {
                    return Err(Error::from(error).context(part.of.to_string()));
                }
            }
        }
    }

    /// Counts what the cache does not know of; how many messages were stored.
    fn note(&self, imported: Imported) -> i64 {
        if imported.changed && imported.cache_update != CacheUpdate::Applied {
            self.not_updated.fetch_add(1, Ordering::Relaxed);
        }
        imported.stored
    }

    fn count(&self, part: &Part, stored: u64) {
        self.counts.done.fetch_add(part.length, Ordering::Relaxed);
        let count = match &part.content {
            Content::Messages(..) => &self.counts.messages,
            Content::Records(_) => &self.counts.records,
        };
        count.fetch_add(part.content.len() as u64, Ordering::Relaxed);
        self.stored.fetch_add(stored, Ordering::Relaxed);
    }

    fn report(&self) {
        let (stored, seconds) = (self.stored.load(Ordering::Relaxed), self.counts.elapsed().as_secs_f64());
        let has_records = self.counts.records.load(Ordering::Relaxed) > 0;
        let what = if has_records { "messages and records" } else { "messages" };
        note(&format!("read {} in {seconds:.1} s; {} {what} were new", self.counts.text(), grouped(stored)));
        let (refused, not_updated) =
            (self.refused.load(Ordering::Relaxed), self.not_updated.load(Ordering::Relaxed));
        let left_out = self.left_out.load(Ordering::Relaxed);
        if left_out > 0 {
            note(&format!("{left_out} messages cannot be stored here and were left out"));
        }
        if refused > 0 {
            note(&format!("{refused} conversations were refused"));
        }
        if not_updated > 0 {
            note(&format!(
                "Redis was not updated for {not_updated} batches; the sweep will invalidate them, and readers go to Postgres \
                 until then"
            ));
        }
    }
}

/// Whether trying again may help.
fn is_passing(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::DatabaseUnavailable(_)
            | StoreError::OutcomeUnknown(_)
            | StoreError::CacheUnavailable(_)
            | StoreError::CacheMoving
            | StoreError::ErasureUnderway
    )
}

/// Whether the error concerns this conversation alone.
fn is_of_conversation(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::MessageConflict { .. }
            | StoreError::RecordConflict { .. }
            | StoreError::ConversationDeleted
            | StoreError::NotFound
            | StoreError::Invalid(_)
    )
}
