//! Redis Cluster: keys over several servers, slots that move, servers that take over.

use std::collections::HashSet;

use conversation_core::{
    CacheUpdate, Change, ConversationFields, ConversationStore, Limit, MessageId, Miss, Precondition, Range,
    Source, Title,
};
use conversation_tests::{ClusterStack, Load, Member, Seen, batch, key, user, user_as};
use redis::cmd;
use rustix::process::Signal;

fn entry(id: &str) -> String {
    format!("conversation:{{local/{id}}}")
}

fn window(id: &str) -> String {
    format!("{}:messages", entry(id))
}

/// Ids of conversations that are spread over all slots.
fn conversations() -> Vec<String> {
    (0..10).map(|n| format!("c{n}")).collect()
}

async fn recent(store: &ConversationStore, id: &str) -> (Vec<i64>, Source) {
    let read = store.recent(&key(id), Limit::MAX, None).await.unwrap();
    let seqs = read.found.map(|page| page.items.iter().map(conversation_core::Message::seq).collect());
    (seqs.unwrap_or_default(), read.source)
}

/// Another primary than this one.
async fn other_primary(stack: &ClusterStack, than: &Member) -> Member {
    stack.roles().await.into_iter().find(|member| member.is_primary && member != than).unwrap()
}

/// At the end everything is cached again, and as in Postgres.
async fn assert_whole(stack: &ClusterStack) {
    let store = stack.store();
    assert!(!store.sweep(std::time::Duration::from_secs(10)).await.unwrap().unfinished);
    for id in conversations() {
        let cached = until_hit(&store, &id).await;
        let all = store.history(&key(&id), Range::After(0), Limit::MAX, None).await.unwrap();
        let last = stack_last(stack, &id).await;
        assert_eq!(cached, (last - 99..=last).filter(|seq| *seq > 0).collect::<Vec<_>>(), "{id}");
        assert!(all.found.is_some());
    }
}

/// What is read from the cache, once the intent of a write that could not be published is known for dead.
async fn until_hit(store: &ConversationStore, id: &str) -> Vec<i64> {
    for _ in 0..150 {
        let (seqs, source) = recent(store, id).await;
        if source == Source::Hit {
            return seqs;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{id}: no hit");
}

async fn stack_last(stack: &ClusterStack, id: &str) -> i64 {
    sqlx::query_scalar("select last_seq from conversations where conversation_id = $1")
        .bind(id)
        .fetch_one(&mut stack.postgres().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn every_operation_works_over_all_servers() {
    every_operation(&ClusterStack::start().await).await;
}

pub(crate) async fn every_operation(stack: &ClusterStack) {
    let store = stack.store();
    let mut owners = HashSet::new();
    for id in conversations() {
        let key = key(&id);
        let added = store.add(&key, &batch([user_as("a", "one"), user_as("b", "two")])).await.unwrap();
        assert_eq!(added.cache_update, CacheUpdate::Applied);
        assert_eq!(recent(&store, &id).await, (vec![1, 2], Source::Hit));
        let title = Some(Some(Title::new("title").unwrap()));
        assert_eq!(
            store
                .update(&key, &Change::from(ConversationFields { title, ..ConversationFields::default() }))
                .await
                .unwrap()
                .cache_update,
            CacheUpdate::Applied
        );
        let read = store.get(&key, None).await.unwrap();
        assert_eq!((read.source, read.found.unwrap().version), (Source::Hit, 2));
        let deleted =
            store.delete_message(&key, &MessageId::new("a").unwrap(), Precondition::None).await.unwrap();
        assert_eq!(deleted.cache_update, CacheUpdate::Applied);
        assert_eq!(recent(&store, &id).await, (vec![2], Source::Hit));
        let (owner, _) = stack.owner(&entry(&id)).await.unwrap();
        owners.insert(owner.index);
        let keys = cmd("EXISTS").arg(entry(&id)).arg(window(&id)).take();
        assert_eq!(stack.ask::<i64>(owner.index, &keys).await, 2);
        assert_eq!(store.delete(&key, Precondition::None).await.unwrap(), CacheUpdate::Applied);
        assert_eq!(recent(&store, &id).await, (vec![], Source::Hit));
        assert_eq!(stack.ask::<i64>(owner.index, &keys).await, 1, "only the mark is left");
    }
    assert_eq!(owners.len(), 3, "they are on all servers");
    let (database, cache) = store.health().await;
    assert!(database.is_ok() && cache.is_ok(), "{cache:?}");
}

#[tokio::test]
async fn the_functions_find_a_cluster_where_they_are_told_of_one() {
    let stack = ClusterStack::start().await;
    let api = stack.api(&[]).await;
    for id in conversations() {
        let path = format!("/v1/conversations/{id}/messages");
        assert_eq!(
            api.post(&path, user("x")).await.cache_status.as_deref(),
            Some("redis; fwd=method; stored")
        );
        assert!(api.get(&path).await.is_hit());
    }
    assert_eq!(api.get("/v1/health?deep=1").await.at("/status"), "ok");
    let api = stack.api(&[("REDIS_CLUSTER", "")]).await;
    let read = api.get("/v1/conversations/c0/messages").await;
    assert_eq!((read.status, read.seqs()), (200, vec![1]));
    assert!(api.log().contains("or is REDIS_CLUSTER not true?"), "{}", api.log());
}

#[tokio::test]
async fn a_moved_slot_is_found_and_its_validity_markers_are_made_anew() {
    a_moved_slot(&ClusterStack::start().await).await;
}

pub(crate) async fn a_moved_slot(stack: &ClusterStack) {
    let store = stack.store();
    store.add(&key("moved"), &batch([user("one")])).await.unwrap();
    assert_eq!(recent(&store, "moved").await, (vec![1], Source::Hit));
    let (from, slot) = stack.owner(&entry("moved")).await.unwrap();
    let to = other_primary(stack, &from).await;
    stack.begin_move(slot, &from, &to).await;
    stack.end_move(slot, &from, &to).await;
    assert_eq!(stack.owner(&entry("moved")).await.unwrap().0, to);
    // What a server valid counts only there: another one has another replication id.
    let failover = Source::Miss { reason: Miss::Failover, stored: true };
    assert_eq!(recent(&store, "moved").await, (vec![1], failover));
    assert_eq!(recent(&store, "moved").await, (vec![1], Source::Hit));
    assert!(stack.errors("MOVED").await > 0, "the way was learned from MOVED");
}

#[tokio::test]
async fn a_slot_on_its_way_is_asked_for_on_both_sides() {
    a_slot_on_its_way(&ClusterStack::start().await).await;
}

pub(crate) async fn a_slot_on_its_way(stack: &ClusterStack) {
    let store = stack.store();
    store.add(&key("way"), &batch([user("one")])).await.unwrap();
    let (from, slot) = stack.owner(&entry("way")).await.unwrap();
    let to = other_primary(stack, &from).await;
    stack.begin_move(slot, &from, &to).await;
    assert_eq!(recent(&store, "way").await, (vec![1], Source::Hit), "both keys are here still");

    // One key here, one there: nobody can do anything with both. The add waits, and then goes without the cache.
    assert!(stack.move_key(&entry("way"), &from, &to).await);
    assert_eq!(
        store.add(&key("way"), &batch([user("two")])).await.unwrap().cache_update,
        CacheUpdate::Deferred
    );
    assert_eq!(recent(&store, "way").await.0, [1, 2]);
    assert!(stack.errors("TRYAGAIN").await > 0);

    // Both there: the new server serves them to those who ask.
    assert!(stack.move_key(&window("way"), &from, &to).await);
    assert_eq!(
        recent(&store, "way").await,
        (vec![1, 2], Source::Miss { reason: Miss::Failover, stored: true })
    );
    assert_eq!(recent(&store, "way").await, (vec![1, 2], Source::Hit));
    assert_eq!(
        store.add(&key("way"), &batch([user("three")])).await.unwrap().cache_update,
        CacheUpdate::Applied
    );
    assert_eq!(recent(&store, "way").await, (vec![1, 2, 3], Source::Hit));
    assert!(stack.errors("ASK").await > 0);

    stack.end_move(slot, &from, &to).await;
    assert_eq!(recent(&store, "way").await, (vec![1, 2, 3], Source::Hit));
    assert_eq!(store.sweep(std::time::Duration::from_secs(5)).await.unwrap().invalidations_drained, 1);
    assert_eq!(recent(&store, "way").await.0, [1, 2, 3]);
}

/// Most conversations are not cached: whoever has their slot until now sends those who ask on to the next server.
#[tokio::test]
async fn an_erasure_gets_through_while_a_slot_is_on_its_way() {
    let stack = ClusterStack::start().await;
    let (store, key) = (stack.store(), key("way"));
    store.add(&key, &batch([user("one")])).await.unwrap();
    store.evict(&key).await.unwrap();
    let (from, slot) = stack.owner(&entry("way")).await.unwrap();
    let to = other_primary(&stack, &from).await;
    stack.begin_move(slot, &from, &to).await;
    let until = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    let receipt = store.erase_owner(&key.owner, "test", until).await.unwrap();
    assert!(receipt.hidden_at.is_some() && receipt.conversations == 1, "{receipt:?}");
    assert!(stack.errors("ASK").await > 0);
    assert!(store.recent(&key, Limit::MAX, None).await.unwrap().found.is_none());
    stack.end_move(slot, &from, &to).await;
    let left = cmd("HKEYS").arg(entry("way")).take();
    let left: Vec<String> = stack.ask(to.index, &left).await;
    // A command with both keys is refused meanwhile: the intent may stay until the sweep, and nothing else.
    assert!(left.iter().all(|field| field.starts_with("intent:")), "{left:?}");
}

#[tokio::test]
async fn one_server_that_hangs_leaves_the_others_alone() {
    let stack = ClusterStack::start().await;
    let store = stack.store();
    let mut owners = Vec::new();
    for id in conversations() {
        store.add(&key(&id), &batch([user("one")])).await.unwrap();
        owners.push(stack.owner(&entry(&id)).await.unwrap().0);
    }
    let (away, mut elsewhere) = (owners[0].clone(), 0);
    stack.signal(&away, Signal::STOP);
    for (id, owner) in conversations().iter().zip(owners) {
        let (seqs, source) = recent(&store, id).await;
        assert_eq!(seqs, [1], "{id}");
        if owner != away {
            assert_eq!(source, Source::Hit, "{id}");
            elsewhere += 1;
        }
    }
    stack.signal(&away, Signal::CONT);
    assert!(elsewhere > 0);
}

fn load(stack: &ClusterStack) -> Load {
    Load::start((0..4).map(|_| stack.store()).collect(), &conversations())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_stay_fresh_while_slots_move_under_load() {
    let stack = ClusterStack::start().await;
    let load = load(&stack);
    load.goes_on(200).await;
    // There and, some of them, back again: to a server that has valid them before.
    for id in conversations().iter().chain(&conversations()[..5]) {
        let (from, slot) = stack.owner(&entry(id)).await.unwrap();
        let to = other_primary(&stack, &from).await;
        stack.begin_move(slot, &from, &to).await;
        load.goes_on(20).await;
        // First the one, then the other.
        stack.move_key(&window(id), &from, &to).await;
        load.goes_on(5).await;
        stack.move_key(&entry(id), &from, &to).await;
        load.goes_on(20).await;
        stack.end_move(slot, &from, &to).await;
        assert_eq!(stack.owner(&entry(id)).await.unwrap().0, to);
    }
    load.goes_on(200).await;
    let seen = load.end(&mut stack.postgres().await).await;
    assert_worth_it(seen);
    for code in ["MOVED", "ASK"] {
        assert!(stack.errors(code).await > 0, "{code}");
    }
    assert_whole(&stack).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_stay_fresh_while_replicas_take_over_under_load() {
    let mut stack = ClusterStack::start().await;
    let load = load(&stack);
    load.goes_on(200).await;
    // In an orderly way, then because the primary is no more.
    let (primary, _) = stack.owner(&entry("c0")).await.unwrap();
    let replica = stack.replica_of(&primary).await;
    stack.fail_over(&replica).await;
    stack.until_owned(&entry("c0"), &replica).await;
    load.goes_on(200).await;
    let (primary, _) = stack.owner(&entry("c1")).await.unwrap();
    let replica = stack.replica_of(&primary).await;
    stack.kill(&primary);
    stack.until_owned(&entry("c1"), &replica).await;
    load.goes_on(400).await;
    let seen = load.end(&mut stack.postgres().await).await;
    assert_worth_it(seen);
    assert_whole(&stack).await;
}

/// What nothing was seen of proves nothing.
fn assert_worth_it(seen: Seen) {
    assert!(seen.adds - seen.owed > 200 && seen.hits > 200, "{seen:?}");
}
