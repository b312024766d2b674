//! A history checker on real servers: clients read and write a few conversations while everything goes wrong that may,
//! and afterwards every single read is held against what Postgres did.

mod baseline_protocols;
mod check;
mod clients;
mod erasures;
mod failovers;
mod faults;
mod options;
mod record;
mod report;
mod servers;
mod state;
mod subject;

use std::time::Duration;

use conversation_core::{ConversationStore, Limit, Message, Source};
use fastrand::Rng;
use sqlx::PgConnection;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep};

use crate::proxy::LinkMode;
use crate::{Broken, key};

pub use check::Violation;
use clients::Crew;
use erasures::Erasures;
use failovers::{BOUND, Failovers};
pub use faults::Fault;
pub use options::{Options, Protocol};
use record::{Conversation, Record};
pub use report::{Count, Report};
use servers::Servers;

/// How often the sweep runs.
const SWEEP: Duration = Duration::from_millis(1_500);
/// Longer than an intent or a lease is taken to have somebody behind it.
const INTENTS_ARE_DEAD: Duration = Duration::from_millis(5_500);

/// Runs it, and holds every read against the history.
///
/// # Errors
/// The servers cannot be started or harmed as intended, or a client panicked.
pub async fn run(options: &Options) -> Result<Report, Broken> {
    let mut rng = Rng::with_seed(options.seed);
    // One way for each client, and the last one for the sweep: nothing but the servers themselves fails it.
    let sweeper = options.clients + erasures::CLIENTS;
    let mut servers = Servers::start(sweeper + 1, options.profile).await?;
    let (records, mut noted) = unbounded_channel();
    let began = Instant::now();
    let mut crew = Crew::begin(options, &servers, began, records.clone())?;
    let strict = options.protocol != Protocol::EpochFencing;
    let mut erasures = match strict {
        true => None,
        false => Some(Erasures::begin(options, &servers, options.clients, began, records.clone())?),
    };
    let (database_url, redis_url) = servers.urls(sweeper);
    let own = erasures::during_the_run(options.profile.store_at(&database_url, &redis_url));
    let sweeps = tokio::spawn(sweep(own.clone(), began, records));
    let faults = faults::rage(&mut servers, &mut crew, &mut rng, began + options.duration).await?;
    let tally = crew.tally();
    let conversations = crew.end().await?;
    if let Some(erasures) = &mut erasures {
        erasures.end().await?;
    }
    sweeps.abort();
    let records = all(&mut noted);
    let mut connection = servers.postgres().await?;
    let failovers = Failovers::of(&records, options.profile);
    let mut verdict = check::check(&records, &mut connection, strict, &failovers).await?;
    if let Some(erasures) = &erasures {
        let (seen, excused) = erasures.seen(&failovers);
        verdict.violations.extend(seen);
        verdict.excused += excused;
        verdict.violations.extend(state::check(&mut connection, &tally).await?);
        calm(&servers);
        let stale_until =
            if options.profile.hides_servers() { Instant::now() + BOUND } else { Instant::now() };
        verdict.violations.extend(invalidate_now(&own, &conversations, &mut connection, stale_until).await?);
        verdict.violations.extend(erasures.leave_nothing(&own, &servers, stale_until).await?);
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
        way.redis.link_mode(LinkMode::Pass);
        way.postgres.link_mode(LinkMode::Pass);
    }
}

/// When all is quiet, pending invalidations are paid and dead writers' intents known for dead, then what is read is what Postgres has, and
/// soon from the cache.
async fn invalidate_now(
    store: &ConversationStore,
    conversations: &[Conversation],
    connection: &mut PgConnection,
    stale_until: Instant,
) -> Result<Vec<Violation>, Broken> {
    sleep(INTENTS_ARE_DEAD).await;
    let mut sweeps = 0;
    while store.sweep(Duration::from_secs(5)).await?.unfinished {
        sweeps += 1;
        if sweeps == 20 {
            return Err("sweeps leave something every time".into());
        }
    }
    let mut violations = Vec::new();
    for conversation in conversations {
        if let Some(what) = settled(store, conversation, connection, stale_until).await? {
            violations.push(Violation { conversation: conversation.to_string(), what });
        }
    }
    Ok(violations)
}

/// What is wrong with a conversation in the end. Until then it may be read as it was before a failover that nobody saw.
async fn settled(
    store: &ConversationStore,
    conversation: &Conversation,
    connection: &mut PgConnection,
    stale_until: Instant,
) -> Result<Option<String>, Broken> {
    let key = key(&conversation.to_string());
    let query = "select array(select m.seq from messages m where m.conversation_key = c.key
            and (m.seq > c.cut_until or m.seq <= c.cut_after) order by m.seq desc limit 100)
        from conversations c where c.conversation_id = $1 and c.deleted_at is null";
    let query = sqlx::query_scalar(query).bind(key.id.as_str());
    let stored: Option<Vec<i64>> = query.fetch_optional(connection).await?;
    let mut source = Source::Bypass;
    let (mut reads, mut began) = (0, Instant::now());
    while reads < 50 {
        reads += 1;
        let read = store.recent(&key, Limit::MAX, None).await?;
        source = read.source;
        let seqs = |page: conversation_core::MessagePage| page.items.iter().rev().map(Message::seq).collect();
        let seen: Option<Vec<i64>> = read.found.map(seqs);
        if seen != stored && source.is_hit() && began < stale_until {
            (reads, began) = (0, Instant::now());
            sleep(Duration::from_millis(100)).await;
            continue;
        }
        if seen != stored {
            return Ok(Some(format!("in the end {source:?} saw {seen:?} where Postgres has {stored:?}")));
        }
        // Of a conversation that never was nothing is remembered.
        if source.is_hit() || stored.is_none() {
            return Ok(None);
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(Some(format!("in the end it is not read from the cache: {source:?}")))
}
