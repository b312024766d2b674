//! The erasure of what an owner has, against the same by hand: two statements for Postgres, and keys unlinked, with nothing that keeps
//! a late writer or reader from bringing any of it back.

use std::time::{Duration, Instant};

use conversation_core::{ConversationId, ConversationKey, ConversationStore, Limit, OwnerId};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sqlx::{Connection as _, PgConnection};

use crate::measure::{Outcome, in_turn};
use crate::report::Found;
use crate::row::{Row, Target};
use crate::stage::{Stage, batch, store_at};

/// How many conversations the owner has, each of one message, and in the cache.
const CONVERSATIONS: usize = 10_000;
/// How many keys are unlinked with one command.
const UNLINKED: usize = 1_000;

pub(crate) async fn measure(stage: &Stage) -> Outcome<Found> {
    // Fewer in a short run.
    let count = CONVERSATIONS.min(stage.settings.scale / 10);
    let url = stage.database("erasure")?;
    let store = store_at(&url, &stage.valkey.url(), "")?;
    let pairs = in_turn(
        stage.settings.rounds,
        async || {
            let owner = fill(&store, "ours", count).await?;
            let (began, until) = (Instant::now(), tokio::time::Instant::now() + Duration::from_secs(60));
            store.erase_owner(&owner, "bench", until).await?;
            Ok(began.elapsed().as_secs_f64() * 1e3)
        },
        async || {
            let owner = fill(&store, "theirs", count).await?;
            let mut postgres = PgConnection::connect(&url).await?;
            let mut redis = stage.redis().await?;
            let began = Instant::now();
            by_hand(&mut postgres, &mut redis, &owner, count).await?;
            Ok(began.elapsed().as_secs_f64() * 1e3)
        },
    )
    .await?;
    let ours: Vec<f64> = pairs.iter().map(|(ours, _)| *ours).collect();
    let name = format!("erasure of {count} cached conversations");
    let mut found = Found::default();
    found.rows.push(Row::alone(
        format!("{name}, until nobody can read them"),
        "ms",
        Target::AtMost(1_000.0),
        &ours,
    ));
    found.rows.push(Row::pairs(
        format!("{name}, against deletion by hand"),
        "ms",
        Target::Informational,
        &pairs,
    ));
    Ok(found)
}

/// A new owner with so many conversations.
async fn fill(store: &ConversationStore, name: &str, count: usize) -> Outcome<OwnerId> {
    let owner = OwnerId::new(format!("{name}-{}", fastrand::u64(..)))?;
    stream::iter(0..count)
        .map(async |n| {
            let key = ConversationKey { owner: owner.clone(), id: ConversationId::new(format!("c{n}"))? };
            store.add(&key, &batch(1)?).await?;
            store.recent(&key, Limit::MAX, None).await?;
            Outcome::Ok(())
        })
        .buffer_unordered(16)
        .try_collect::<()>()
        .await?;
    Ok(owner)
}

async fn by_hand(
    postgres: &mut PgConnection,
    redis: &mut redis::aio::MultiplexedConnection,
    owner: &OwnerId,
    count: usize,
) -> Outcome<()> {
    for statement in [
        "delete from messages m using conversations c where c.owner_id = $1 and m.shard = c.shard and m.conversation_key = c.key",
        "delete from conversations where owner_id = $1",
    ] {
        sqlx::query(statement).bind(owner.as_str()).execute(&mut *postgres).await?;
    }
    let keys: Vec<String> = (0..count)
        .map(|n| format!("conversation:{{{}/c{n}}}", owner.as_str()))
        .flat_map(|entry| [format!("{entry}:messages"), entry])
        .collect();
    for keys in keys.chunks(UNLINKED) {
        redis::cmd("UNLINK").arg(keys).exec_async(redis).await?;
    }
    Ok(())
}
