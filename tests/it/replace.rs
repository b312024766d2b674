//! Replacing the end of a conversation: editing, compacting, clearing, taking back.

use conversation_core::{CacheUpdate, Limit, Message, MessageId, Precondition};
use conversation_tests::{Answer, Api, Profile, Stack, batch, in_each_profile, key, size, user_as};
use futures_util::future::join_all;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::openai::{ITEMS, MESSAGES};

in_each_profile!(
    what_follows_a_position_is_replaced_in_both_stores,
    a_replacement_is_done_once_under_its_key,
    of_replacements_of_the_same_version_one_wins,
);

const CONVERSATION: &str = "/v1/conversations/c";

fn message(id: &str) -> Value {
    json!({"id":id,"role":"user","content":id})
}

async fn add(api: &Api, ids: &[&str]) -> Answer {
    let messages: Vec<_> = ids.iter().map(|id| message(id)).collect();
    let added = api.post(MESSAGES, json!({ "messages": messages }).to_string()).await;
    assert_eq!(added.status, 200, "{added:?}");
    added
}

async fn put(api: &Api, after: i64, messages: &[Value], headers: &[(&str, &str)]) -> Answer {
    let mut request = api.request("PUT", &format!("{MESSAGES}?after={after}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    api.send(
        request.header(CONTENT_TYPE, "application/json").body(json!({ "messages": messages }).to_string()),
    )
    .await
}

/// The ids of all messages, as each way to read them has them.
async fn ids(api: &Api) -> Vec<String> {
    let ids = |answer: &Answer| -> Vec<String> {
        let body = answer.json();
        body["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    let recent = ids(&api.get(MESSAGES).await);
    assert_eq!(ids(&api.get(MESSAGES).await), recent, "from the cache");
    for path in [format!("{MESSAGES}?after=0"), format!("{ITEMS}?order=asc&limit=100")] {
        assert_eq!(ids(&api.get(&path).await), recent, "{path}");
    }
    assert_eq!(ids(&api.get(&format!("{MESSAGES}?before=1000")).await), recent);
    assert_eq!(usize::try_from(api.get(CONVERSATION).await.number("/message_count")).unwrap(), recent.len());
    recent
}

fn done(answer: &Answer, version: i64, deleted: i64, seqs: &[i64]) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!((answer.number("/version"), answer.number("/deleted")), (version, deleted), "{answer:?}");
    assert_eq!(answer.seqs(), seqs);
}

async fn what_follows_a_position_is_replaced_in_both_stores(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let api = stack.api().await;
    add(&api, &["a", "b", "c", "d"]).await;
    // An edit of the third, after which the fourth is gone.
    done(&put(&api, 2, &[message("c2")], &[]).await, 2, 2, &[5]);
    assert_eq!(ids(&api).await, ["a", "b", "c2"]);
    assert!(api.get(MESSAGES).await.is_hit());
    // Taking back the last one.
    done(&put(&api, 2, &[], &[]).await, 3, 1, &[]);
    assert_eq!(ids(&api).await, ["a", "b"]);
    // A compaction, which uses one of the ids again, with another text.
    let b = json!({"id":"b","role":"user","content":"shorter"});
    done(&put(&api, 0, &[message("summary"), b], &[]).await, 4, 2, &[6, 7]);
    assert_eq!(ids(&api).await, ["summary", "b"]);
    assert!(api.get(MESSAGES).await.text.contains("shorter"));
    // A clearing, after which it goes on.
    done(&put(&api, 0, &[], &[]).await, 5, 2, &[]);
    assert_eq!(ids(&api).await, [""; 0]);
    assert_eq!(add(&api, &["e"]).await.seqs(), [8]);
    assert_eq!(ids(&api).await, ["e"]);
}

#[tokio::test]
async fn where_there_is_nothing_to_do_nothing_changes() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    add(&api, &["a", "b"]).await;
    done(&put(&api, 2, &[], &[]).await, 1, 0, &[]);
    // What follows is what is to follow: a retry, before and after others have added to it.
    done(&put(&api, 0, &[message("a"), message("b")], &[]).await, 1, 0, &[1, 2]);
    add(&api, &["c"]).await;
    done(&put(&api, 0, &[message("a"), message("b")], &[]).await, 2, 0, &[1, 2]);
    // Who names a version that was left since is told so: what was added was not seen.
    let stale = put(&api, 1, &[message("b")], &[("if-match", "\"1\"")]).await;
    assert_eq!((stale.status, stale.number("/error/version")), (412, 2), "{stale:?}");
    assert_eq!(ids(&api).await, ["a", "b", "c"]);
    // Who names the present version has seen what follows.
    done(&put(&api, 1, &[message("b")], &[("if-match", "\"2\"")]).await, 3, 2, &[4]);
    assert_eq!(ids(&api).await, ["a", "b"]);
    done(&put(&api, 1, &[message("b")], &[("if-match", "\"2\"")]).await, 3, 0, &[4]);
    // In another order it is something else.
    done(&put(&api, 0, &[message("b"), message("a")], &[]).await, 4, 2, &[5, 6]);
    done(&put(&api, 0, &[message("a")], &[]).await, 5, 2, &[7]);
}

#[tokio::test]
async fn what_was_replaced_is_deleted_for_good() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    add(&api, &["a", "b", "c", "d"]).await;
    done(&put(&api, 1, &[message("e")], &[]).await, 2, 3, &[5]);
    for id in ["b", "c", "d"] {
        // A late retry of the add does not bring it back, a second deletion answers as the first.
        let late = api.post(MESSAGES, message(id).to_string()).await;
        assert_eq!((late.status, late.at("/error/code").as_str()), (409, "message_deleted"), "{late:?}");
        assert_eq!(put(&api, 5, &[message(id)], &[]).await.at("/error/code"), "message_deleted");
        let again = api.delete(&format!("{ITEMS}/{id}")).await;
        assert_eq!((again.status, again.number("/version")), (200, 2));
        assert_eq!(api.get(&format!("{ITEMS}/{id}")).await.status, 404);
        // A page after it goes on from where it was.
        let page = api.get(&format!("{ITEMS}?order=asc&after={id}")).await;
        assert_eq!(page.at("/data/0/id"), "e");
    }
}

async fn a_replacement_is_done_once_under_its_key(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let api = stack.api().await;
    add(&api, &["a", "b"]).await;
    let clear = async |name: &str, after| put(&api, after, &[], &[("idempotency-key", name)]).await;
    done(&clear("k", 0).await, 2, 2, &[]);
    add(&api, &["c"]).await;
    // The late retry says what was done, and undoes nothing.
    done(&clear("k", 0).await, 3, 2, &[]);
    assert_eq!(ids(&api).await, ["c"]);
    let other = clear("k", 1).await;
    assert_eq!((other.status, other.at("/error/code").as_str()), (409, "idempotency_conflict"));
    // What differs is said, so that a retry under a position read anew can tell that it was done.
    assert_eq!(other.at("/error/param"), "after");
    let texts = [json!({"role":"user","content":"x"}), json!({"role":"assistant","content":"y"})];
    let first = put(&api, 3, &texts, &[("idempotency-key", "l")]).await;
    done(&first, 4, 0, &[4, 5]);
    let respelt = [json!({"content":"x","role":"user"}), texts[1].clone()];
    assert_eq!(put(&api, 3, &respelt, &[("idempotency-key", "l")]).await.messages(), first.messages());
    let elsewhere = put(&api, 4, &texts[..1], &[("idempotency-key", "l")]).await;
    assert_eq!(elsewhere.at("/error/param"), "messages[1]", "what differs beside the position comes first");
    let another = put(&api, 3, &texts[..1], &[("idempotency-key", "l")]).await;
    assert_eq!(another.at("/error/param"), "messages[1]", "{another:?}");
    // Where there was nothing to do, a late retry does nothing, either.
    done(&put(&api, 5, &[], &[("idempotency-key", "m")]).await, 4, 0, &[]);
    add(&api, &["d"]).await;
    done(&put(&api, 5, &[], &[("idempotency-key", "m")]).await, 5, 0, &[]);
    assert_eq!(ids(&api).await.len(), 4);
}

#[tokio::test]
async fn another_body_and_an_id_that_stays_are_told_apart() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let calling = |id: &str| {
        let call = json!({"id":id,"type":"function","function":{"name":"f","arguments":"{}"}});
        json!({"id":"m","role":"assistant","content":null,"tool_calls":[call]}).to_string()
    };
    assert_eq!(api.post(MESSAGES, calling("c1")).await.status, 200);
    // The ids that differ are those of calls.
    let another = api.post(MESSAGES, calling("c2")).await;
    assert_eq!(another.at("/error/param"), "tool_calls[0].id", "{another:?}");
    assert!(another.at("/error/message").contains("stored with another body"), "{another:?}");
    let stays = put(&api, 1, &[message("n"), message("m")], &[]).await;
    assert_eq!((stays.status, stays.at("/error/param").as_str()), (409, "messages[1].id"), "{stays:?}");
    assert!(stays.at("/error/message").contains("keeps a message \"m\""), "{stays:?}");
}

#[tokio::test]
async fn what_cannot_be_replaced_is_said_by_name() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let absent = put(&api, 0, &[message("a")], &[]).await;
    assert_eq!((absent.status, absent.at("/error/code").as_str()), (404, "conversation_not_found"));
    add(&api, &["a", "b", "c"]).await;
    for (answer, status, code, param) in [
        (put(&api, 4, &[], &[]).await, 400, "out_of_range", "after"),
        (put(&api, i64::MAX, &[message("x")], &[]).await, 400, "out_of_range", "after"),
        (put(&api, -1, &[], &[]).await, 400, "out_of_range", "after"),
        (put(&api, 2, &[message("d"), message("a")], &[]).await, 409, "message_conflict", "messages[1].id"),
        (put(&api, 2, &[message("d"), message("d")], &[]).await, 400, "repeated_id", "messages[1].id"),
        (put(&api, 2, &[json!({"role":"x"})], &[]).await, 400, "unknown_role", "messages[0].role"),
        (
            put(&api, 2, &vec![json!({"role":"user","content":""}); 101], &[]).await,
            400,
            "too_many",
            "messages",
        ),
        (
            put(&api, 2, &[json!({"type":"item_reference","id":"a"})], &[]).await,
            400,
            "invalid_parameter",
            "messages[0]",
        ),
        (put(&api, 2, &[], &[("if-match", "\"2\"")]).await, 412, "version_mismatch", ""),
        (put(&api, 2, &[], &[("if-none-match", "*")]).await, 412, "version_mismatch", ""),
        (put(&api, 2, &[], &[("if-match", "x")]).await, 400, "invalid_etag", "if-match"),
    ] {
        let seen = (answer.status, answer.at("/error/code"), answer.at("/error/param"));
        assert_eq!(seen, (status, code.to_owned(), param.to_owned()), "{answer:?}");
    }
    let request = api.request("PUT", MESSAGES).header(CONTENT_TYPE, "application/json");
    let unplaced = api.send(request.body(r#"{"messages":[]}"#)).await;
    assert_eq!((unplaced.status, unplaced.at("/error/param").as_str()), (400, "after"));
    for body in
        ["{}", r#"{"messages":null}"#, r#"{"messages":[],"title":"t"}"#, r#"{"role":"user","content":""}"#]
    {
        let request = api.request("PUT", &format!("{MESSAGES}?after=0"));
        let answer = api.send(request.header(CONTENT_TYPE, "application/json").body(body)).await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
    }
    assert_eq!(ids(&api).await, ["a", "b", "c"]);
    assert_eq!(api.get(CONVERSATION).await.number("/version"), 1);
    assert_eq!(api.delete(CONVERSATION).await.status, 200);
    assert_eq!(put(&api, 0, &[message("x")], &[]).await.status, 404);
}

#[tokio::test]
async fn without_redis_nothing_is_replaced() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    add(&api, &["a", "b"]).await;
    let without = stack.api_with(&[("REDIS_URL", "redis://127.0.0.1:1/")]).await;
    let refused = put(&without, 0, &[message("c")], &[]).await;
    assert_eq!(
        (refused.status, refused.at("/error/code").as_str()),
        (503, "cache_unavailable"),
        "{refused:?}"
    );
    assert_eq!(api.get(&format!("{MESSAGES}?after=0")).await.seqs(), [1, 2]);
}

async fn of_replacements_of_the_same_version_one_wins(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let api = stack.api().await;
    add(&api, &["first", "second"]).await;
    let (writers, rounds) = (size("WRITERS", 12), size("ROUNDS", 8));
    for round in 1..=rounds {
        let tag = format!("\"{}\"", api.get(CONVERSATION).await.number("/version"));
        let (api, tag) = (&api, &tag);
        let races = (0..writers).map(|writer| async move {
            put(api, 1, &[message(&format!("{round}-{writer}"))], &[("if-match", tag)]).await
        });
        let answers = join_all(races).await;
        let won: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(won.len(), 1, "round {round}: {answers:?}");
        assert!(answers.iter().all(|answer| [200, 412].contains(&answer.status)));
        assert_eq!(ids(api).await, ["first".to_owned(), won[0].at("/data/0/id")]);
    }
}

#[tokio::test]
async fn a_retry_repairs_a_cached_copy_that_the_first_try_could_not_update() {
    let stack = Stack::start().await;
    let (store, c, shard) = (stack.store(), key("c"), key("c").owner.shard());
    let three = batch(["m1", "m2", "m3"].map(|id| user_as(id, id)));
    let fourth = user_as("m4", "m4");
    store.add(&c, &three).await.unwrap();
    let seqs = async || -> Vec<i64> {
        let read = store.recent(&c, Limit::MAX, None).await.unwrap();
        read.found.unwrap().items.iter().map(Message::seq).collect()
    };
    // Committed without an intent, and nobody could drop the cached copy.
    for deferred in [
        format!("select delete_message({shard}, 'local', 'c', 'm2', null, false, null, 100, '')"),
        format!(
            "select replace_messages({shard}, 'local', 'c', 0, '{{m4}}', '{{t}}', array[$1], null, null, null, false, null, 100, '')"
        ),
    ] {
        assert!(store.recent(&c, Limit::MAX, None).await.unwrap().source.is_hit());
        let before = seqs().await;
        let query = sqlx::query(sqlx::AssertSqlSafe(deferred.clone()));
        let query = if deferred.contains("$1") { query.bind(fourth.clone()) } else { query };
        query.execute(&mut stack.postgres().await).await.unwrap();
        assert_eq!(seqs().await, before, "what the exception of deferred writes allows");
        let cache_update = if deferred.contains("delete") {
            let id = MessageId::new("m2").unwrap();
            store.delete_message(&c, &id, Precondition::None).await.unwrap().cache_update
        } else {
            store.replace(&c, 0, &batch([&fourth])).await.unwrap().cache_update
        };
        assert_eq!(cache_update, CacheUpdate::Applied);
        assert_ne!(seqs().await, before, "{deferred}");
    }
    assert_eq!(seqs().await, [4]);
}
