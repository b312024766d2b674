//! What dead writers leave in the cache is taken away although nobody reads it.

use std::time::Duration;

use conversation_core::{CacheConfig, ConversationStore, DatabaseConfig, Limit, Precondition};
use conversation_tests::{ClusterStack, Profile, Stack, batch, in_each_profile, key, user};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands as _, cmd};

in_each_profile!(
    intents_of_dead_writers_are_cleared_and_live_ones_stand,
    a_sweep_goes_on_where_the_last_one_stopped,
);

const BUDGET: Duration = Duration::from_secs(20);
/// How many entries a sweep goes through on one server.
const MESSAGE_RANGE: usize = 10_000;

/// Where a sweep notes how far it came on each server.
const CURSORS: &str = "conversation:sweep";

async fn cursors(redis: &mut MultiplexedConnection) -> Vec<u64> {
    redis.hvals(CURSORS).await.unwrap()
}

async fn intents_cleared(store: &ConversationStore) -> usize {
    let swept = store.sweep(BUDGET).await.unwrap();
    assert!(!swept.unfinished);
    swept.intents_cleared
}

/// The server's clock, in milliseconds.
async fn now(redis: &mut MultiplexedConnection) -> u64 {
    let (seconds, _): (u64, u64) = cmd("TIME").query_async(redis).await.unwrap();
    seconds * 1_000
}

async fn is_hit(store: &ConversationStore, id: &str) -> bool {
    store.recent(&key(id), Limit::MAX, None).await.unwrap().source.is_hit()
}

async fn intents_of_dead_writers_are_cleared_and_live_ones_stand(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    // A prefix that would be a pattern, beside keys that only look like ours.
    let store = stack.store_with(&[("CACHE_KEY_PREFIX", "[a]*:")]);
    let mut redis = stack.redis().await;
    let now = now(&mut redis).await;
    let entry = |id: &str| format!("[a]*:conversation:{{local/{id}}}");
    for (id, intents) in [
        ("dead", &[("intent:1:0", now - 60_000), ("intent:2:0", now - 6_000)][..]),
        ("future", &[("intent:1:0", now + 60_000)]),
        ("live", &[("intent:1:0", now + 1_000)]),
        ("none", &[]),
    ] {
        store.add(&key(id), &batch([user("x")])).await.unwrap();
        for (intent, since) in intents {
            redis.hset::<_, _, _, ()>(entry(id), intent, since).await.unwrap();
        }
    }
    for other in ["a:conversation:{local/dead}", "conversation:{local/dead}", "[a]*:conversation:{nobody}"] {
        redis.hset::<_, _, _, ()>(other, "intent:1:0", 1).await.unwrap();
    }
    redis.set::<_, _, ()>("[a]*:conversation:{local/string}", "x").await.unwrap();
    assert_eq!(intents_cleared(&store).await, 3);
    for (id, hit) in [("dead", true), ("future", true), ("none", true), ("live", false)] {
        assert_eq!(is_hit(&store, id).await, hit, "{id}");
    }
    let fields: Vec<String> = redis.hkeys(entry("dead")).await.unwrap();
    assert!(!fields.iter().any(|field| field.starts_with("intent:")), "{fields:?}");
    assert_eq!(intents_cleared(&store).await, 0);
}

async fn a_sweep_goes_on_where_the_last_one_stopped(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let (store, mut redis) = (stack.store(), stack.redis().await);
    for n in 0..10 {
        store.add(&key(&format!("c{n}")), &batch([user("x")])).await.unwrap();
        redis.hset::<_, _, _, ()>(format!("conversation:{{local/c{n}}}"), "intent:1:0", 1).await.unwrap();
    }
    let mut others = redis::pipe();
    for n in 0..MESSAGE_RANGE * 3 / 2 {
        others.hset(format!("conversation:{{other/{n}}}"), "x", 1).ignore();
    }
    others.exec_async(&mut redis).await.unwrap();
    let first = intents_cleared(&store).await;
    assert_ne!(cursors(&mut redis).await, [0], "there is more than one sweep goes through");
    assert_eq!(first + intents_cleared(&store).await, 10);
    assert_eq!(cursors(&mut redis).await, [0], "it came to the end");
    let ttl: i64 = redis.ttl(CURSORS).await.unwrap();
    assert!(ttl > 0, "what has no end is never evicted");
}

#[tokio::test]
async fn every_server_of_a_cluster_is_swept() {
    let stack = ClusterStack::start().await;
    let store = stack.store();
    for n in 0..10 {
        store.add(&key(&format!("c{n}")), &batch([user("x")])).await.unwrap();
        let entry = format!("conversation:{{local/c{n}}}");
        let (owner, _) = stack.owner(&entry).await.unwrap();
        let intent = cmd("HSET").arg(&entry).arg("intent:1:0").arg(1).take();
        stack.ask::<i64>(owner.index, &intent).await;
    }
    assert_eq!(intents_cleared(&store).await, 10);
    for n in 0..10 {
        assert!(is_hit(&store, &format!("c{n}")).await);
    }
}

#[tokio::test]
async fn without_a_cache_the_rest_of_a_sweep_is_done() {
    let stack = Stack::start().await;
    let store = stack.store();
    store.add(&key("c"), &batch([user("x")])).await.unwrap();
    store.delete(&key("c"), Precondition::None).await.unwrap();
    let purge = "insert into purges (shard, conversation_key) select shard, key from conversations on conflict do nothing";
    sqlx::query(purge).execute(&mut stack.postgres().await).await.unwrap();
    let database = DatabaseConfig::from_url(&stack.database_url).unwrap();
    let nowhere = CacheConfig::from_url("redis://127.0.0.1:1/", "").unwrap();
    let swept = conversation_core::store(&database, &nowhere).sweep(BUDGET).await.unwrap();
    assert_eq!((swept.intents_cleared, swept.unfinished), (0, false));
    let purges: i64 = sqlx::query_scalar("select count(*) from purges")
        .fetch_one(&mut stack.postgres().await)
        .await
        .unwrap();
    assert_eq!(purges, 0);
}
