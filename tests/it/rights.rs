//! Every right of the functions' user is needed, and one that is missing shows under its own name.

use std::time::Duration;

use conversation_core::{
    CacheUpdate, Change, ConversationFields, ConversationStore, Limit, MessageId, Precondition, Title,
};
use conversation_tests::{Access, Kind, Manners, Stack, batch, key, user, user_as};
use redis::{AsyncCommands as _, cmd};

/// What anybody may ask who is not yet known.
const OF_ANYBODY: [&str; 2] = ["auth", "hello"];

/// What a connection may begin with, what is asked while slots move, and what tells a server from another, without which
/// the store is served with less of a guarantee.
const BESIDES: [&[&str]; 7] = [
    &["INFO", "replication"],
    &["PING"],
    &["CLIENT", "SETINFO", "LIB-NAME", "x"],
    &["CLIENT", "SETNAME", "x"],
    &["SELECT", "0"],
    &["READONLY"],
    &["ASKING"],
];

/// What is wrong, by what did not go as it should.
type Wrong = Result<(), String>;

fn is(so: bool, what: &str) -> Wrong {
    if so { Ok(()) } else { Err(what.into()) }
}

/// Tries everything that the store asks a cache for. What was refused stands behind what went wrong.
async fn served(stack: &Stack) -> Wrong {
    // Whatever ran before, scripts have to be brought again.
    cmd("SCRIPT").arg("FLUSH").exec_async(&mut stack.redis().await).await.unwrap();
    let checked = async {
        besides(stack).await?;
        let (store, id) = (stack.store(), uuid::Uuid::now_v7().to_string());
        written(&store, &id).await?;
        warmed(stack, &store, &id).await?;
        swept(stack, &store, &id).await?;
        ended(stack, &store, &id).await
    };
    let refused = || stack.front.as_ref().unwrap().refused();
    checked.await.map_err(|wrong| format!("{wrong}, refused: {:?}", refused()))
}

async fn besides(stack: &Stack) -> Wrong {
    let client = redis::Client::open(stack.cache_url()).unwrap();
    let connection = client.get_multiplexed_async_connection().await;
    let mut connection = connection.map_err(|error| format!("no connection: {error}"))?;
    for words in BESIDES {
        let command = cmd(words[0]).arg(&words[1..]).take();
        command.exec_async(&mut connection).await.map_err(|error| format!("{words:?}: {error}"))?;
    }
    Ok(())
}

/// Whether as many messages are in the cache as it has room for, of large ones.
async fn is_hit(store: &ConversationStore, id: &str) -> bool {
    store.recent(&key(id), Limit::new(2).unwrap(), None).await.unwrap().source.is_hit()
}

/// Windows that are full by count and by bytes, a message that goes, and a title.
async fn written(store: &ConversationStore, id: &str) -> Wrong {
    let added = store.add(&key(id), &batch([user_as("a", "one"), user_as("b", "two")])).await.unwrap();
    is(added.cache_update == CacheUpdate::Applied, "an add is not published")?;
    is(is_hit(store, id).await, "what was added is no hit")?;
    for _ in 0..2 {
        let many = store.add(&key(id), &batch((0..60).map(|_| user("x")))).await.unwrap();
        is(many.cache_update == CacheUpdate::Applied, "a window that overflows is not published")?;
    }
    for _ in 0..2 {
        let large = store.add(&key(id), &batch((0..2).map(|_| user(&"x".repeat(200_000))))).await.unwrap();
        is(large.cache_update == CacheUpdate::Applied, "a window of large messages is not published")?;
    }
    let title = Change::from(ConversationFields {
        title: Some(Some(Title::new("t").unwrap())),
        ..ConversationFields::default()
    });
    is(
        store.update(&key(id), &title).await.unwrap().cache_update == CacheUpdate::Applied,
        "an update is not published",
    )?;
    let deleted = store.delete_message(&key(id), &MessageId::new("b").unwrap(), Precondition::None).await;
    is(
        deleted.is_ok_and(|deleted| deleted.cache_update == CacheUpdate::Applied),
        "a message is not deleted",
    )?;
    is(store.get(&key(id), None).await.unwrap().source.is_hit(), "the conversation is no hit")?;
    is(store.health().await.1.is_ok(), "the cache is not well")
}

/// What a reader fills, looks into and evicts.
async fn warmed(stack: &Stack, store: &ConversationStore, id: &str) -> Wrong {
    let entry = format!("conversation:{{local/{id}}}");
    stack.redis().await.del::<_, ()>(&entry).await.unwrap();
    is(!is_hit(store, id).await, "what is gone is a hit")?;
    is(is_hit(store, id).await, "what was filled is no hit")?;
    store.inspect(&key(id)).await.map_err(|error| format!("cannot be inspected: {error}"))?;
    store.evict(&key(id)).await.map_err(|error| format!("cannot be evicted: {error}"))?;
    is(!stack.redis().await.exists::<_, bool>(&entry).await.unwrap(), "it was not evicted")?;
    is(!is_hit(store, id).await && is_hit(store, id).await, "what was evicted is not filled")
}

/// An intent that a dead writer left.
async fn swept(stack: &Stack, store: &ConversationStore, id: &str) -> Wrong {
    let (mut redis, entry) = (stack.redis().await, format!("conversation:{{local/{id}}}"));
    redis.hset::<_, _, _, ()>(&entry, "intent:1:0", 1).await.unwrap();
    let swept = store.sweep(Duration::from_secs(10)).await.unwrap();
    is(swept.intents_cleared > 0, "a dead writer's intent is not cleared")?;
    is(!redis.hexists::<_, _, bool>(&entry, "intent:1:0").await.unwrap(), "the intent is still there")?;
    let ttl: i64 = redis.ttl("conversation:sweep").await.unwrap();
    is(ttl > 0, "a sweep does not note how far it came")
}

/// A write that is not committed, and a conversation that goes.
async fn ended(stack: &Stack, store: &ConversationStore, id: &str) -> Wrong {
    let refused = store.add(&key(id), &batch([user_as("a", "another")])).await;
    is(refused.is_err(), "another message has the same id")?;
    is(is_hit(store, id).await, "a write that was not committed left its intent")?;
    let deleted = store.delete(&key(id), Precondition::None).await;
    is(
        deleted.is_ok_and(|cache_update| cache_update == CacheUpdate::Applied),
        "a conversation is not deleted",
    )?;
    is(is_hit(store, id).await, "what was deleted is not known for deleted")?;
    let entry = format!("conversation:{{local/{id}}}");
    let marked: bool = stack.redis().await.hexists(&entry, "tombstone").await.unwrap();
    is(marked, "the tombstone is not there")
}

/// What goes wrong with each right less.
async fn each_less(kind: Kind, less: impl Fn(Access, &str) -> Access) -> Vec<(String, Wrong)> {
    let mut stack = Stack::behind(Manners::of(kind)).await;
    served(&stack).await.unwrap();
    let all = Access::of_the_template();
    let mut outcomes = Vec::new();
    for command in all.commands() {
        let access = less(all.clone(), command);
        stack = stack.behind_another(Manners { access, ..Manners::of(kind) }).await;
        outcomes.push((command.to_owned(), served(&stack).await));
    }
    outcomes
}

fn names(wrong: &str, command: &str) -> bool {
    let quoted = |name: &str| wrong.contains(&format!("'{name}'"));
    quoted(command)
        || command.split_once('|').is_some_and(|(name, first)| quoted(name) && wrong.contains(first))
}

fn assert_each_is_named(outcomes: &[(String, Wrong)], but: &[&str]) {
    let unseen = |(command, wrong): &&(String, Wrong)| match wrong {
        Ok(()) => !but.contains(&command.as_str()),
        Err(wrong) => !names(&wrong.to_lowercase(), command),
    };
    let unseen: Vec<_> = outcomes.iter().filter(unseen).collect();
    assert!(unseen.is_empty(), "{unseen:#?}");
}

#[tokio::test]
async fn a_right_that_is_missing_is_named_before_nodes() {
    assert_each_is_named(&each_less(Kind::Nodes, Access::without).await, &OF_ANYBODY);
}

#[tokio::test]
async fn a_right_that_is_missing_is_named_before_a_serverless_cache() {
    assert_each_is_named(&each_less(Kind::Serverless, Access::without).await, &OF_ANYBODY);
}

#[tokio::test]
async fn a_command_that_a_serverless_cache_lacks_is_named() {
    assert_each_is_named(&each_less(Kind::Serverless, Access::unknown).await, &["hello"]);
}
