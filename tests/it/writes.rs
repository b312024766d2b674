//! Many writers at once: nothing lost, nothing doubled, nothing out of order.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use conversation_core::{ConversationStore, Limit, Message, Range};
use conversation_tests::{Profile, Stack, batch, in_each_profile, key, user, user_as};
use redis::AsyncCommands as _;

in_each_profile!(
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    concurrent_adds_are_numbered_without_gaps_in_both_stores,
    readers_beside_writers_see_whole_windows_and_never_go_back,
    concurrent_retries_store_each_message_once,
    taking_an_epoch_is_a_heap_only_update,
    a_commit_under_another_epoch_is_refused_and_writes_nothing,
);

async fn concurrent_adds_are_numbered_without_gaps_in_both_stores(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let store = stack.store();
            tokio::spawn(async move {
                let mut seqs = Vec::new();
                for n in 0..25 {
                    let added = store.add(&key("c"), &batch([user(&format!("{writer}-{n}"))])).await.unwrap();
                    seqs.push(added.messages[0].seq());
                }
                assert!(seqs.is_sorted(), "a writer's own messages keep their order");
                seqs
            })
        })
        .collect();
    let mut seqs = Vec::new();
    for writer in writers {
        seqs.extend(writer.await.unwrap());
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=200).collect::<Vec<_>>());
    let store = stack.store();
    let read = store.recent(&key("c"), Limit::MAX, None).await.unwrap().found.unwrap();
    assert_eq!(read.items.iter().map(Message::seq).collect::<Vec<_>>(), (101..=200).collect::<Vec<_>>());
    let loaded = store.history(&key("c"), Range::Before(201), Limit::MAX, None).await.unwrap().found.unwrap();
    assert_eq!(read.items, loaded.items, "both stores tell the same");
    let cached: usize = stack.redis().await.llen("conversation:{local/c}:messages").await.unwrap();
    assert_eq!(cached, 100);
}

/// The newest position that a write acknowledged, and whether the readers are done.
#[derive(Default)]
struct Shared {
    acknowledged: AtomicI64,
    done: AtomicBool,
}

/// Reads while others write: every window is whole, and none is older than what was acknowledged or read before.
async fn read_beside_writers(store: ConversationStore, shared: Arc<Shared>) -> usize {
    let (mut last, mut hits) = (0, 0);
    for _ in 0..50 {
        let floor = shared.acknowledged.load(Ordering::SeqCst).max(last);
        let read = store.recent(&key("c"), Limit::MAX, None).await.unwrap();
        hits += usize::from(read.source.is_hit());
        let page = read.found.map(|page| page.items).unwrap_or_default();
        let seqs: Vec<i64> = page.iter().map(Message::seq).collect();
        last = seqs.last().copied().unwrap_or(0);
        assert_eq!(seqs, ((last - 99).max(1)..=last).collect::<Vec<_>>(), "a window without gaps");
        assert!(last >= floor, "read {last} after {floor} was acknowledged or seen");
    }
    hits
}

async fn readers_beside_writers_see_whole_windows_and_never_go_back(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let shared = Arc::new(Shared::default());
    let writers: Vec<_> = (0..3)
        .map(|_| {
            let (store, shared) = (stack.store(), Arc::clone(&shared));
            tokio::spawn(async move {
                while !shared.done.load(Ordering::SeqCst) {
                    let added = store.add(&key("c"), &batch([user("x")])).await.unwrap();
                    shared.acknowledged.fetch_max(added.messages[0].seq(), Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            })
        })
        .collect();
    let readers: Vec<_> =
        (0..3).map(|_| tokio::spawn(read_beside_writers(stack.store(), Arc::clone(&shared)))).collect();
    let mut hits = 0;
    for reader in readers {
        hits += reader.await.unwrap();
    }
    shared.done.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(shared.acknowledged.load(Ordering::SeqCst) > 20 && hits > 0, "{hits} hits prove nothing");
}

async fn concurrent_retries_store_each_message_once(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let writers: Vec<_> = (0..6)
        .map(|_| {
            let store = stack.store();
            tokio::spawn(async move {
                for n in 0..20 {
                    let id = format!("m{n}");
                    let added = store.add(&key("c"), &batch([user_as(&id, &id)])).await.unwrap();
                    assert!(added.messages[0].json().contains(&format!("\"{id}\"")));
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let read = stack.store().recent(&key("c"), Limit::MAX, None).await.unwrap().found.unwrap();
    let texts: HashSet<&str> = read.items.iter().map(Message::json).collect();
    assert_eq!((read.items.len(), texts.len()), (20, 20));
    let rows: i64 = sqlx::query_scalar("select count(*) from messages")
        .fetch_one(&mut stack.postgres().await)
        .await
        .unwrap();
    assert_eq!(rows, 20);
}

async fn taking_an_epoch_is_a_heap_only_update(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let (store, mut redis) = (stack.store(), stack.redis().await);
    store.add(&key("c"), &batch([user("x")])).await.unwrap();
    let mut postgres = stack.postgres().await;
    for _ in 0..10 {
        redis.del::<_, ()>("conversation:{local/c}").await.unwrap();
        store.get(&key("c"), None).await.unwrap();
    }
    drop(store);
    let (mut updates, mut hot) = (0_i64, 0_i64);
    for _ in 0..100 {
        (updates, hot) = sqlx::query_as(
            "select sum(n_tup_upd)::bigint, sum(n_tup_hot_upd)::bigint from pg_stat_user_tables
                where relname ~ '^conversations(_[0-9]+)?$'",
        )
        .fetch_one(&mut postgres)
        .await
        .unwrap();
        if updates >= 11 {
            break;
        }
        sqlx::query("select pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
            .execute(&mut postgres)
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The first add's own update moves the conversation in the list, which is indexed.
    assert!(updates >= 11 && updates - hot <= 1, "{hot} of {updates} updates were heap-only");
}

async fn a_commit_under_another_epoch_is_refused_and_writes_nothing(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    stack.store().add(&key("c"), &batch([user_as("m", "x")])).await.unwrap();
    let mut postgres = stack.postgres().await;
    let shard = key("c").owner.shard();
    let fields = "select outcome, row_epoch, (select string_agg(version || ' ' || message_count, ',') from conversations)";
    for epoch in ["null", "0", "2"] {
        for call in [
            format!(
                "add_messages({shard}, 'local', 'c', '{{}}', null, null, null, '{{n}}', '{{f}}', '{{\"{{}}\"}}', false, false, null, null, null, true, {epoch}, true, false, 100, '')"
            ),
            format!(
                "update_conversation({shard}, 'local', 'c', '{{\"title\":\"x\"}}', null, null, null, true, {epoch}, true, false, 100, '')"
            ),
            format!("delete_message({shard}, 'local', 'c', 'm', null, true, {epoch}, 100, '')"),
            format!("delete_conversation({shard}, 'local', 'c', null, false, true, {epoch}, '')"),
        ] {
            let query = sqlx::AssertSqlSafe(format!("{fields} from {call}"));
            let refused: (String, i64, String) =
                sqlx::query_as(query).fetch_one(&mut postgres).await.unwrap();
            assert_eq!(refused, ("refused".into(), 1, "1 1".into()), "{call}");
        }
    }
}
