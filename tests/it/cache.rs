//! What is in Redis, and what is answered when it is not.

use conversation_core::{ConversationStore, Limit, Miss, Precondition, Source};
use conversation_tests::{Profile, Stack, batch, in_each_profile, key, user, user_as};
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;

in_each_profile!(
    redis_holds_the_last_hundred_for_seven_days,
    whatever_is_lost_a_miss_reads_the_same_and_warms_the_cache,
    an_add_to_a_lost_window_brings_all_of_it_back,
    an_intent_keeps_readers_from_the_cache_until_its_writer_is_dead,
    an_entry_of_another_server_or_past_its_check_is_not_believed,
    a_stale_copy_disproved_by_a_ticket_is_replaced,
    a_cache_ahead_of_a_restored_database_is_dropped,
    deleting_leaves_a_mark_and_no_content,
    a_retried_add_is_answered_and_not_stored_again,
    asking_for_what_never_was_leaves_nothing_that_stays,
);

const ENTRY: &str = "conversation:{local/c}";
const WINDOW: &str = "conversation:{local/c}:messages";

async fn add(store: &ConversationStore, count: usize) {
    let messages: Vec<_> = (0..count).map(|n| user(&format!("message {n}"))).collect();
    for part in messages.chunks(100) {
        store.add(&key("c"), &batch(part)).await.unwrap();
    }
}

/// The positions answered, and from where.
async fn recent(store: &ConversationStore) -> (Vec<i64>, Source) {
    let read = store.recent(&key("c"), Limit::MAX, None).await.unwrap();
    let seqs = read.found.map(|page| page.items.iter().map(conversation_core::Message::seq).collect());
    (seqs.unwrap_or_default(), whatever_the_server(read.source))
}

/// A hit is one, whether the server says who it is or not.
fn whatever_the_server(source: Source) -> Source {
    if source.is_hit() { Source::Hit } else { source }
}

async fn cached_seqs(redis: &mut MultiplexedConnection) -> Vec<i64> {
    let elements: Vec<String> = redis.lrange(WINDOW, 0, -1).await.unwrap();
    elements.iter().map(|element| element.split(' ').next().unwrap().parse().unwrap()).collect()
}

fn miss(reason: Miss) -> Source {
    Source::Miss { reason, stored: true }
}

async fn redis_holds_the_last_hundred_for_seven_days(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let (store, mut redis) = (stack.store(), stack.redis().await);
    add(&store, 250).await;
    assert_eq!(cached_seqs(&mut redis).await, (151..=250).collect::<Vec<_>>());
    for key in [ENTRY, WINDOW] {
        let ttl: i64 = redis.ttl(key).await.unwrap();
        assert!((604_790..=604_800).contains(&ttl), "{key}: {ttl}");
        redis.expire::<_, ()>(key, 1_000).await.unwrap();
    }
    recent(&store).await;
    let ttl: i64 = redis.ttl(WINDOW).await.unwrap();
    assert!(ttl <= 1_000, "a read does not renew it");
    add(&store, 1).await;
    for key in [ENTRY, WINDOW] {
        let ttl: i64 = redis.ttl(key).await.unwrap();
        assert!(ttl > 604_000, "a write renews it: {key}: {ttl}");
    }
    let rows: i64 = sqlx::query_scalar("select count(*) from messages")
        .fetch_one(&mut stack.postgres().await)
        .await
        .unwrap();
    assert_eq!(rows, 251, "Postgres has all of them");
}

async fn whatever_is_lost_a_miss_reads_the_same_and_warms_the_cache(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let (store, mut redis) = (stack.store(), stack.redis().await);
    add(&store, 120).await;
    let all: Vec<i64> = (21..=120).collect();
    for (lost, reason) in [(&[WINDOW][..], Miss::Gap), (&[ENTRY], Miss::Cold), (&[ENTRY, WINDOW], Miss::Cold)]
    {
        assert_eq!(recent(&store).await, (all.clone(), Source::Hit));
        redis.del::<_, ()>(lost).await.unwrap();
        assert_eq!(recent(&store).await, (all.clone(), miss(reason)), "{lost:?}");
    }
    assert_eq!(recent(&store).await, (all.clone(), Source::Hit));
    // Part of the list, too, is known for what it is.
    redis.lpop::<_, ()>(WINDOW, None).await.unwrap();
    assert_eq!(recent(&store).await, (all.clone(), miss(Miss::Gap)));
    redis.rpop::<_, ()>(WINDOW, None).await.unwrap();
    assert_eq!(recent(&store).await, (all, miss(Miss::Gap)));
}

async fn an_add_to_a_lost_window_brings_all_of_it_back(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let (store, mut redis) = (stack.store(), stack.redis().await);
    add(&store, 30).await;
    for (round, lost) in [&[WINDOW][..], &[ENTRY], &[ENTRY, WINDOW]].into_iter().enumerate() {
        redis.del::<_, ()>(lost).await.unwrap();
        add(&store, 1).await;
        let all: Vec<i64> = (1..=31 + i64::try_from(round).unwrap()).collect();
        assert_eq!(
            cached_seqs(&mut redis).await,
            all,
            "a missing list is never taken for a short one: {lost:?}"
        );
        assert_eq!(recent(&store).await, (all, Source::Hit), "{lost:?}");
    }
}

async fn an_intent_keeps_readers_from_the_cache_until_its_writer_is_dead(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let (store, mut redis) = (stack.store(), stack.redis().await);
    add(&store, 3).await;
    let (now, _): (u64, u64) = redis::cmd("TIME").query_async(&mut redis).await.unwrap();
    redis.hset::<_, _, _, ()>(ENTRY, "intent:live:0", now * 1_000).await.unwrap();
    let reason = Miss::WritePending { live: true };
    assert_eq!(recent(&store).await, (vec![1, 2, 3], Source::Miss { reason, stored: false }));
    redis.hset::<_, _, _, ()>(ENTRY, "intent:live:0", (now - 60) * 1_000).await.unwrap();
    assert_eq!(recent(&store).await, (vec![1, 2, 3], miss(Miss::WritePending { live: false })));
    assert_eq!(recent(&store).await, (vec![1, 2, 3], Source::Hit), "the dead intent was cleared");
    // A clock that jumped back must not keep the intent alive.
    redis.hset::<_, _, _, ()>(ENTRY, "intent:future:0", (now + 9_999) * 1_000).await.unwrap();
    assert_eq!(recent(&store).await.1, miss(Miss::WritePending { live: false }));
    assert_eq!(recent(&store).await.1, Source::Hit);
}

async fn an_entry_of_another_server_or_past_its_check_is_not_believed(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let (store, mut redis) = (stack.store(), stack.redis().await);
    add(&store, 3).await;
    let wrong = [("validated_at", "1000", Miss::Expired), ("replid", "another", Miss::Failover)];
    // Where servers do not say who they are, only time tells.
    for (field, value, reason) in &wrong[..if profile.hides_servers() { 1 } else { 2 }] {
        redis.hset::<_, _, _, ()>(ENTRY, field, value).await.unwrap();
        assert_eq!(recent(&store).await, (vec![1, 2, 3], miss(*reason)));
        assert_eq!(recent(&store).await.1, Source::Hit);
    }
    redis.hdel::<_, _, ()>(ENTRY, "validated_at").await.unwrap();
    assert_eq!(recent(&store).await.1, miss(Miss::NotValidated));
    redis.hset::<_, _, _, ()>(ENTRY, "version", 1).await.unwrap();
    let read = store.recent(&key("c"), Limit::MAX, Some(1)).await.unwrap();
    assert!(read.source.is_hit());
}

async fn a_stale_copy_disproved_by_a_ticket_is_replaced(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let (store, mut redis) = (stack.store(), stack.redis().await);
    add(&store, 3).await;
    let dump = |key: &str| redis::cmd("DUMP").arg(key).to_owned();
    let old: Vec<u8> = dump(ENTRY).query_async(&mut redis).await.unwrap();
    let old_window: Vec<u8> = dump(WINDOW).query_async(&mut redis).await.unwrap();
    add(&store, 1).await;
    // As if an isolated old server still answered.
    for (key, value) in [(ENTRY, &old), (WINDOW, &old_window)] {
        redis::cmd("RESTORE").arg(key).arg(0).arg(value).arg("REPLACE").exec_async(&mut redis).await.unwrap();
    }
    let read = store.recent(&key("c"), Limit::MAX, Some(2)).await.unwrap();
    assert_eq!((read.source, read.found.unwrap().items.len()), (miss(Miss::MinVersion), 4));
    assert_eq!(recent(&store).await, (vec![1, 2, 3, 4], Source::Hit));
}

async fn a_cache_ahead_of_a_restored_database_is_dropped(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let (store, mut redis) = (stack.store(), stack.redis().await);
    add(&store, 3).await;
    add(&store, 1).await;
    // As a restore from before the second add would leave it.
    let back = "with one as (delete from messages where seq = 4)
        update conversations set last_seq = 3, message_count = 3, version = 1, epoch = 0";
    sqlx::query(back).execute(&mut stack.postgres().await).await.unwrap();
    redis.hdel::<_, _, ()>(ENTRY, "validated_at").await.unwrap();
    assert_eq!(recent(&store).await.0, [1, 2, 3]);
    assert_eq!(recent(&store).await.0, [1, 2, 3]);
    add(&store, 1).await;
    assert_eq!(recent(&store).await, (vec![1, 2, 3, 4], Source::Hit));

    sqlx::query("delete from conversations").execute(&mut stack.postgres().await).await.unwrap();
    sqlx::query("delete from messages").execute(&mut stack.postgres().await).await.unwrap();
    add(&store, 1).await;
    assert_eq!(recent(&store).await, (vec![1], Source::Hit), "an entry of a row that is no more");
}

async fn deleting_leaves_a_mark_and_no_content(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let (store, mut redis) = (stack.store(), stack.redis().await);
    add(&store, 3).await;
    assert_eq!(
        store.delete(&key("c"), Precondition::None).await.unwrap(),
        conversation_core::CacheUpdate::Applied
    );
    let fields: Vec<String> = redis.hkeys(ENTRY).await.unwrap();
    assert!(fields.contains(&"tombstone".into()) && !fields.contains(&"conversation".into()), "{fields:?}");
    assert!(!redis.exists::<_, bool>(WINDOW).await.unwrap());
    assert_eq!(recent(&store).await, (vec![], Source::Hit), "the mark answers");
    redis.del::<_, ()>(ENTRY).await.unwrap();
    assert_eq!(recent(&store).await, (vec![], miss(Miss::Cold)), "and is put back");
    assert_eq!(recent(&store).await, (vec![], Source::Hit));
    let mut postgres = stack.postgres().await;
    let left: (i64, Option<String>, i64) = sqlx::query_as(
        "select (select count(*) from messages), title, (select count(*) from pending_invalidations) from conversations",
    )
    .fetch_one(&mut postgres)
    .await
    .unwrap();
    assert_eq!(left, (0, None, 0), "messages, title, pending invalidations");
}

async fn a_retried_add_is_answered_and_not_stored_again(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let (store, mut redis) = (stack.store(), stack.redis().await);
    let messages = [user_as("a", "one"), user_as("b", "two")];
    let first = store.add(&key("c"), &batch(&messages)).await.unwrap();
    for lost in [&[][..], &[WINDOW], &[ENTRY, WINDOW]] {
        for lost in lost {
            redis.del::<_, ()>(*lost).await.unwrap();
        }
        let again = store.add(&key("c"), &batch(&messages)).await.unwrap();
        assert_eq!((&again.messages, &again.conversation), (&first.messages, &first.conversation));
        assert_eq!(recent(&store).await.0, [1, 2]);
    }
    let more = [user_as("c", "three"), user_as("b", "two")];
    let mixed = store.add(&key("c"), &batch(more)).await.unwrap();
    assert_eq!(mixed.messages.iter().map(conversation_core::Message::seq).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(recent(&store).await, (vec![1, 2, 3], Source::Hit));
}

async fn asking_for_what_never_was_leaves_nothing_that_stays(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let (store, mut redis) = (stack.store(), stack.redis().await);
    for _ in 0..2 {
        let began = std::time::Instant::now();
        assert_eq!(recent(&store).await.0, Vec::<i64>::new());
        assert!(began.elapsed().as_millis() < 5_000);
    }
    let ttl: i64 = redis.ttl(ENTRY).await.unwrap();
    assert!((-2..=10).contains(&ttl), "{ttl}");
    add(&store, 1).await;
    assert_eq!(recent(&store).await, (vec![1], Source::Hit));
}
