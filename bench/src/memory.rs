//! What the cache takes for a conversation, and what very many readers of one that is not cached cost Postgres.

use std::sync::Arc;
use std::time::Duration;

use conversation_core::{ConversationStore, Limit, Source};
use redis::AsyncCommands as _;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::load::to_f64;
use crate::measure::Outcome;
use crate::report::Found;
use crate::row::{Row, Target};
use crate::stage::{Stage, batch, key, store_at};

/// Conversations whose memory is counted.
const COUNTED: usize = 50;
/// Readers of the cold conversation, and the instances that they share.
const READERS: usize = 500;
const INSTANCES: usize = 25;

/// Memory of a cached window against what is in it.
pub(crate) async fn window(stage: &Stage) -> Outcome<Found> {
    let (store, mut redis) = (stage.store()?, stage.redis().await?);
    let (mut used, mut payload) = (0, 0);
    for n in 0..COUNTED {
        // As conversations grow: a message at a time, beyond the window.
        let name = format!("memory{n}");
        store.add(&key(&name)?, &batch(100)?).await?;
        for _ in 0..20 {
            store.add(&key(&name)?, &batch(1)?).await?;
        }
        let read = store.recent(&key(&name)?, Limit::MAX, None).await?;
        payload += read.found.map_or(0, |page| page.items.iter().map(|item| item.json().len()).sum());
        let keys: Vec<String> = redis.keys(format!("*{name}}}*")).await?;
        for key in keys {
            let bytes: usize = redis::cmd("MEMORY")
                .arg("USAGE")
                .arg(key)
                .arg("SAMPLES")
                .arg(0)
                .query_async(&mut redis)
                .await?;
            used += bytes;
        }
    }
    let each = (to_f64(used) / to_f64(COUNTED), to_f64(payload) / to_f64(COUNTED));
    let row = Row::pairs(
        "Redis memory of a cached conversation, against its payload",
        "B",
        Target::AtMost(1.2),
        &[each],
    );
    Ok(vec![row].into())
}

/// Reads of the window in Postgres when very many ask at once for what is not cached.
pub(crate) async fn herd(stage: &Stage) -> Outcome<Found> {
    let url = stage.database("herd")?;
    let mut postgres = PgConnection::connect(&url).await?;
    sqlx::raw_sql("alter database herd set track_functions = 'all'").execute(&mut postgres).await?;
    let mut counts = Vec::new();
    let mut before = 0;
    for round in 0..stage.settings.rounds {
        let name = format!("herd{round}");
        store_at(&url, &stage.valkey.url(), "herd")?.add(&key(&name)?, &batch(100)?).await?;
        let mut redis = stage.redis().await?;
        redis::cmd("FLUSHALL").exec_async(&mut redis).await?;
        let started = windows_read(&mut postgres).await?;
        let misses = crowd(stage, &url, &name).await?;
        let ended = windows_read(&mut postgres).await?;
        if misses == 0 || started < before {
            return Err("nobody read the conversation".into());
        }
        counts.push(f64::from(ended - started));
        before = ended;
    }
    let name = format!("window reads in Postgres of {READERS} readers of one cold conversation");
    Ok(vec![Row::alone(name, "reads", Target::AtMost(3.0), &counts)].into())
}

async fn crowd(stage: &Stage, url: &str, name: &str) -> Outcome<usize> {
    let start = Arc::new(Barrier::new(READERS));
    let mut readers = JoinSet::new();
    for _ in 0..INSTANCES {
        let store = store_at(url, &stage.valkey.url(), "herd")?;
        for _ in 0..READERS / INSTANCES {
            readers.spawn(read(store.clone(), name.to_owned(), Arc::clone(&start)));
        }
    }
    let mut misses = 0;
    while let Some(source) = readers.join_next().await {
        misses += usize::from(source?? != Source::Hit);
    }
    Ok(misses)
}

async fn read(store: ConversationStore, name: String, start: Arc<Barrier>) -> Outcome<Source> {
    start.wait().await;
    Ok(store.recent(&key(&name)?, Limit::MAX, None).await?.source)
}

/// How often a window was read so far, when everybody who did has gone: a server process reports before it ends.
async fn windows_read(postgres: &mut PgConnection) -> Outcome<i32> {
    let others = "select count(*) from pg_stat_activity
        where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()";
    while sqlx::query_scalar::<_, i64>(others).fetch_one(&mut *postgres).await? > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let calls =
        "select coalesce(sum(calls), 0)::int from pg_stat_user_functions where funcname = 'snapshot_of'";
    Ok(sqlx::query_scalar(calls).fetch_one(postgres).await?)
}
