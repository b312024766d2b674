//! `inspect`.

use conversation_core::{ConversationId, ConversationKey, Limit, OwnerId, Precondition};
use conversation_tests::{Stack, batch, key, user};
use redis::AsyncCommands as _;
use serde_json::Value;

use super::{run, succeeds, text};

const ENTRY: &str = "conversation:{local/c}";
const WINDOW: &str = "conversation:{local/c}:messages";
const ARGUMENTS: [&str; 5] = ["inspect", "c", "--owner", "local", "--json"];

async fn inspection(stack: &Stack) -> (Option<i32>, Value) {
    let output = run(stack, &ARGUMENTS).await;
    let json = serde_json::from_slice(&output.stdout);
    (output.status.code(), json.unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr))))
}

#[tokio::test(flavor = "multi_thread")]
async fn planted_differences_are_shown() {
    let stack = Stack::start().await;
    let (store, mut redis) = (stack.store(), stack.redis().await);
    store.add(&key("c"), &batch((1..=4).map(|n| user(&n.to_string())))).await.unwrap();
    let (code, seen) = inspection(&stack).await;
    assert_eq!(
        (code, &seen["next_read"], seen["differences"].as_array().unwrap().len()),
        (Some(0), &"hit".into(), 0)
    );
    assert_eq!((&seen["postgres"]["epoch"], &seen["redis"]["epoch"]), (&1.into(), &1.into()));
    assert_eq!(seen["redis"]["window_length"], 4);
    let (table, _) = succeeds(&stack, &ARGUMENTS[..4]).await;
    assert!(table.contains("1-4, 4 messages") && table.contains("no differences"), "{table}");

    // A message that is another one: readers get it.
    let element: String = redis.lindex(WINDOW, 1).await.unwrap();
    let () = redis.lset(WINDOW, 1, element.replace("\"2\"", "\"two\"")).await.unwrap();
    let (code, seen) = inspection(&stack).await;
    assert_eq!((code, &seen["differences"][0]), (Some(1), &"window: Redis has another message at 2".into()));

    // One that is missing: readers go to Postgres, and nobody reads anything wrong.
    let () = redis.lrem(WINDOW, 1, element.replace("\"2\"", "\"two\"")).await.unwrap();
    let (code, seen) = inspection(&stack).await;
    assert_eq!((code, &seen["next_read"]), (Some(0), &"miss, gap".into()));
    assert_eq!(seen["differences"][0], "window: Redis lacks 2");

    // Facts of a version that Postgres has not come to, and an intent.
    let () = redis.del(ENTRY).await.unwrap();
    store.recent(&key("c"), Limit::MAX, None).await.unwrap();
    let facts: String = redis.hget(ENTRY, "conversation").await.unwrap();
    let ahead =
        facts.replace("\"version\":1", "\"version\":9").replace("\"title\":null", "\"title\":\"planted\"");
    let () = redis.hset_multiple(ENTRY, &[("conversation", ahead.as_str()), ("epoch", "99")]).await.unwrap();
    let (code, seen) = inspection(&stack).await;
    let differences = seen["differences"].to_string();
    assert_eq!(code, Some(1), "{differences}");
    for expected in ["epoch: Redis knows 99", "version: Redis has 9, Postgres 1", "title: Redis has"] {
        assert!(differences.contains(expected), "{differences}");
    }
    let () = redis.hset(ENTRY, "intent:dead:0", "1").await.unwrap();
    let (code, seen) = inspection(&stack).await;
    assert_eq!((code, &seen["next_read"]), (Some(0), &"miss, write-pending".into()));
    assert_eq!(seen["redis"]["intents"][0]["name"], "intent:dead:0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_or_was_never_there_is_told_apart() {
    let stack = Stack::start().await;
    let store = stack.store();
    assert_eq!(run(&stack, &ARGUMENTS).await.status.code(), Some(2));
    store.add(&key("c"), &batch([user("x")])).await.unwrap();
    store.delete(&key("c"), Precondition::None).await.unwrap();
    let (code, seen) = inspection(&stack).await;
    assert_eq!(
        (code, &seen["next_read"], &seen["postgres"]["deleted"]),
        (Some(0), &"deleted".into(), &true.into())
    );
    // Content that outlived its conversation.
    let mut redis = stack.redis().await;
    let () = redis.hdel(ENTRY, "tombstone").await.unwrap();
    let () = redis.rpush(WINDOW, "1 {}").await.unwrap();
    let (_, seen) = inspection(&stack).await;
    assert_eq!(seen["differences"][0], "Redis has it, Postgres has not");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_owners_are_shown_with_their_share() {
    let stack = Stack::start().await;
    let store = stack.store();
    let (table, _) = succeeds(&stack, &["inspect", "--largest-owners"]).await;
    assert!(table.contains("0 owners, 0 conversations, 0 messages"), "{table}");

    for (owner, id, messages) in [("small", "a", 1), ("large", "b", 5), ("large", "c", 1), ("middle", "d", 3)]
    {
        let key =
            ConversationKey { owner: OwnerId::new(owner).unwrap(), id: ConversationId::new(id).unwrap() };
        store.add(&key, &batch((0..messages).map(|n| user(&n.to_string())))).await.unwrap();
    }
    let gone =
        ConversationKey { owner: OwnerId::new("gone").unwrap(), id: ConversationId::new("e").unwrap() };
    store.add(&gone, &batch((0..9).map(|n| user(&n.to_string())))).await.unwrap();
    store.delete(&gone, Precondition::None).await.unwrap();

    let (json, _) = succeeds(&stack, &["inspect", "--largest-owners", "2", "--json"]).await;
    let seen: Value = serde_json::from_str(&json).unwrap();
    let shard = |owner| OwnerId::new(owner).unwrap().shard();
    let expected = serde_json::json!({"owners": 3, "conversations": 4, "messages": 10, "largest": [
        {"owner": "large", "shard": shard("large"), "conversations": 2, "messages": 6},
        {"owner": "middle", "shard": shard("middle"), "conversations": 1, "messages": 3},
    ]});
    assert_eq!(seen, expected);
    let (table, _) = succeeds(&stack, &["inspect", "--largest-owners"]).await;
    assert!(table.contains("60.0 %") && table.contains("10.0 %"), "{table}");

    for wrong in [&["inspect"][..], &["inspect", "c"], &["inspect", "c", "--owner", "o", "--largest-owners"]]
    {
        assert_eq!(run(&stack, wrong).await.status.code(), Some(2), "{wrong:?}");
    }
}
