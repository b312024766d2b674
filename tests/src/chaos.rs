//! A history checker on real servers: clients read and write a few conversations while everything goes wrong that may,
//! and afterwards every single read is held against what Postgres did.

mod check;
mod clients;
mod faults;
mod record;
mod report;
mod servers;
mod subject;
mod weaker;

use std::time::Duration;

use clap::ValueEnum;
use conversation_core::{ConversationStore, Limit, Source};
use fastrand::Rng;
use sqlx::PgConnection;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep};

use crate::proxy::Conduct;
use crate::{Broken, key, store_at};

pub use check::Violation;
use clients::Crew;
pub use faults::Fault;
use record::{Conversation, Record};
pub use report::{Count, Report};
use servers::Servers;

/// How often the sweep runs.
const SWEEP: Duration = Duration::from_millis(1_500);
/// Longer than a fence or a lease is taken to have somebody behind it.
const FENCES_ARE_DEAD: Duration = Duration::from_millis(5_500);

/// What keeps Redis and Postgres together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// The store's own.
    EpochFencing,
    /// Commit; read the list, append to it, write it back.
    Naive,
    /// Commit; delete the list. Readers fill it.
    CacheAside,
    /// Commit; add to the list, in one script. Readers fill it, and believe it if it has no gap.
    CommitThenPublish,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is tried.
    pub protocol: Protocol,
    /// How long things go wrong.
    pub duration: Duration,
    /// What the clients' choices and the order of faults follow from. The interleaving does not.
    pub seed: u64,
    /// How many clients there are.
    pub clients: usize,
}

/// Runs it, and holds every read against the history.
///
/// # Errors
/// The servers cannot be started or harmed as intended, or a client panicked.
pub async fn run(options: &Options) -> Result<Report, Broken> {
    let mut rng = Rng::with_seed(options.seed);
    // One way more than clients, for the sweep: nothing but the servers themselves fails it.
    let mut servers = Servers::start(options.clients + 1).await?;
    let (records, mut noted) = unbounded_channel();
    let began = Instant::now();
    let mut crew = Crew::begin(options, &servers, began, records.clone())?;
    let (database_url, redis_url) = servers.urls(options.clients);
    let own = store_at(&database_url, &redis_url);
    let sweeps = tokio::spawn(sweep(own.clone(), began, records));
    let faults = faults::rage(&mut servers, &mut crew, &mut rng, began + options.duration).await?;
    let conversations = crew.end().await?;
    sweeps.abort();
    let records = all(&mut noted);
    let mut connection = servers.postgres().await?;
    let strict = options.protocol != Protocol::EpochFencing;
    let mut verdict = check::check(&records, &mut connection, strict).await?;
    if !strict {
        calm(&servers);
        verdict.violations.extend(settle(&own, &conversations, &mut connection).await?);
    }
    Ok(Report::new(options, &records, faults, verdict))
}

fn all(noted: &mut UnboundedReceiver<Record>) -> Vec<Record> {
    std::iter::from_fn(|| noted.try_recv().ok()).collect()
}

/// Sweeps, and notes when a sweep left nothing.
async fn sweep(store: ConversationStore, began: Instant, records: UnboundedSender<Record>) {
    let now = || u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    loop {
        sleep(SWEEP).await;
        let began = now();
        // A server that is down fails a sweep; the next one does its work.
        if store.sweep(Duration::from_secs(5)).await.is_ok_and(|swept| !swept.unfinished)
            && records.send(Record::Swept { began, ended: now() }).is_err()
        {
            return;
        }
    }
}

fn calm(servers: &Servers) {
    for way in &servers.ways {
        way.redis.conduct(Conduct::Pass);
        way.postgres.conduct(Conduct::Pass);
    }
}

/// When all is quiet, debts are paid and dead writers' fences known for dead, then the read after a read is a hit, and
/// is what Postgres has; and of all that was ever acknowledged nothing is lost or doubled.
async fn settle(
    store: &ConversationStore,
    conversations: &[Conversation],
    connection: &mut PgConnection,
) -> Result<Vec<Violation>, Broken> {
    sleep(FENCES_ARE_DEAD).await;
    while store.sweep(Duration::from_secs(5)).await?.unfinished {}
    let mut violations = Vec::new();
    for conversation in conversations {
        let key = key(&conversation.to_string());
        store.recent(&key, Limit::MAX, None).await?;
        let read = store.recent(&key, Limit::MAX, None).await?;
        let query = "select m.seq from messages m join conversations c on m.conversation_key = c.key
            where c.conversation_id = $1 and c.deleted_at is null order by m.seq desc limit 100";
        let stored: Vec<i64> =
            sqlx::query_scalar(query).bind(key.id.as_str()).fetch_all(&mut *connection).await?;
        let seen: Vec<i64> = read
            .found
            .iter()
            .flat_map(|page| page.items.iter().rev())
            .map(conversation_core::Message::seq)
            .collect();
        let exists = read.found.is_some();
        if exists && (read.source != Source::Hit || seen != stored) {
            let what = format!("in the end {:?} saw {seen:?} where Postgres has {stored:?}", read.source);
            violations.push(Violation { conversation: conversation.to_string(), what });
        }
    }
    Ok(violations)
}
