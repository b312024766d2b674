//! Replacing the end of a conversation: editing, compacting, clearing, taking back.

use conversation_core::{
    Anchor, Batch, CacheUpdate, ConversationFields, Error, Fork, Limit, Message, MessageId, NewConversation,
    Precondition, Range,
};
use conversation_tests::{
    Answer, Api, OWNER, Profile, Stack, all_reported, batch, in_each_profile, key, report, size, user,
    user_as,
};
use futures_util::future::join_all;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

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

fn id(seq: i64) -> MessageId {
    MessageId::new(format!("m{seq}")).unwrap()
}

fn none() -> Batch {
    Batch::initial(Vec::new()).unwrap()
}

/// A conversation of so many messages, each of which is called by its position.
async fn grown(stack: &Stack, messages: i64) {
    stack.store().add(&key("c"), &batch([user("first")])).await.unwrap();
    let grow = "with grown as (
            update conversations set last_seq = $1, message_count = $1, version = version + 1 returning shard, key)
        insert into messages (shard, conversation_key, seq, message_id, id_in_body, body, created_at)
            select shard, key, n, 'm' || n, false, '{\"role\":\"user\",\"content\":\"x\"}', now()
            from grown, generate_series(2, $1) n";
    sqlx::query(grow).bind(messages).execute(&mut stack.postgres().await).await.unwrap();
    redis::cmd("FLUSHALL").exec_async(&mut stack.redis().await).await.unwrap();
}

/// How many rows there are of messages, of deleted ones, and of what waits to be purged.
async fn rows(stack: &Stack) -> (i64, i64, i64) {
    let counts = "select (select count(*) from messages), (select count(*) from deleted_messages),
        (select count(*) from purges)";
    sqlx::query_as(counts).fetch_one(&mut stack.postgres().await).await.unwrap()
}

/// Everything is read as a conversation of just these positions.
async fn reads_as(stack: &Stack, live: &[i64]) {
    let (store, c) = (stack.store(), key("c"));
    let seqs = |messages: Vec<Message>| messages.iter().map(Message::seq).collect::<Vec<_>>();
    let newest = &live[live.len().saturating_sub(100)..];
    for _ in 0..2 {
        let page = store.recent(&c, Limit::MAX, None).await.unwrap().found.unwrap();
        assert_eq!(page.has_more, live.len() > newest.len());
        assert_eq!(seqs(page.items), newest);
    }
    let conversation = store.get(&c, None).await.unwrap().found.unwrap();
    assert_eq!(usize::try_from(conversation.message_count).unwrap(), live.len());
    for limit in [7, 100] {
        let limit = Limit::new(limit).unwrap();
        let mut forwards = Vec::new();
        loop {
            let after = forwards.last().copied().unwrap_or(0);
            let page = store.history(&c, Range::After(after), limit, None).await.unwrap().found.unwrap();
            forwards.extend(seqs(page.items));
            if !page.has_more || forwards.len() >= 400 {
                break;
            }
        }
        assert_eq!(forwards, live[..forwards.len()]);
        let mut before = i64::MAX;
        let mut backwards = Vec::new();
        loop {
            let page = store.history(&c, Range::Before(before), limit, None).await.unwrap().found.unwrap();
            let page_seqs = seqs(page.items);
            before = page_seqs.first().copied().unwrap_or(0);
            backwards.splice(..0, page_seqs);
            if !page.has_more || backwards.len() >= 400 {
                break;
            }
        }
        assert_eq!(backwards, live[live.len() - backwards.len()..]);
    }
}

#[tokio::test]
async fn a_long_end_is_cut_off_at_once_and_removed_by_the_sweep() {
    let stack = Stack::start().await;
    let messages: i64 = size("MESSAGES", 12_000).into();
    grown(&stack, messages).await;
    let (store, c) = (stack.store(), key("c"));
    store.health().await.0.unwrap();
    let half = messages / 2;
    let mut live: Vec<i64> = (1..=half).collect();
    for round in 0..2 {
        let began = Instant::now();
        let done = store.replace(&c, half, &batch([user("new")])).await.unwrap();
        report(&format!("{} of {messages} messages were cut off in {:?}", done.removed, began.elapsed()));
        assert_eq!(done.removed, if round == 0 { messages - half } else { 1 });
        live.truncate(usize::try_from(half).unwrap());
        live.push(messages + 1 + round);
        reads_as(&stack, &live).await;
        assert_eq!(rows(&stack).await.2, 1, "much of it waits for the sweep");
    }
    // What waits is deleted: not found, not brought back, known as a place.
    for gone in [half + 1, messages - 1] {
        assert!(store.message(&c, &id(gone)).await.unwrap().found.is_none());
        let late =
            store.add(&c, &batch([format!(r#"{{"id":"m{gone}","role":"user","content":"x"}}"#)])).await;
        assert!(matches!(late, Err(Error::MessageDeleted { .. })), "{late:?}");
        store.delete_message(&c, &id(gone), Precondition::None).await.unwrap();
        let after = Anchor::After(id(gone));
        let page = store.adjacent_to(&c, &after, Limit::MAX, None).await.unwrap().found.unwrap();
        assert_eq!(page.items.first().map(Message::seq), live.last().copied());
    }
    // A deeper cut takes in what waits; a place in what was cut off stands for its beginning.
    let done = store.replace(&c, half + 5, &batch([user("again")])).await.unwrap();
    assert_eq!(done.removed, 1);
    let done = store.replace(&c, 3, &batch([user("last")])).await.unwrap();
    assert_eq!(done.removed, half - 2);
    let last = messages + 4;
    live = vec![1, 2, 3, last];
    reads_as(&stack, &live).await;
    // Message by message there is no way to the sweep's batches: it removes so many at a time, and loses nothing else.
    let mut purged = 0;
    loop {
        let swept = store.sweep(Duration::ZERO).await.unwrap();
        purged += swept.messages_purged;
        reads_as(&stack, &live).await;
        if !swept.unfinished {
            break;
        }
    }
    let swept = store.sweep(Duration::from_secs(60)).await.unwrap();
    assert_eq!(swept.messages_purged, 0);
    // All that is gone is known as deleted, but for nothing.
    assert_eq!(rows(&stack).await, (4, last - 4, 0));
    assert!(purged > half, "{purged}");
    reads_as(&stack, &live).await;
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

/// How many rows and index entries of `messages` were gone through since the database was made.
async fn gone_through(stack: &Stack) -> i64 {
    let mut postgres = stack.postgres().await;
    all_reported(&mut postgres).await;
    let read = "select sum(n.idx_tup_fetch + n.seq_tup_read + (select sum(i.idx_tup_read) from pg_stat_user_indexes i
            where i.relid = n.relid))::bigint
        from pg_stat_user_tables n where n.relname ~ '^messages(_[0-9]+)?$' and n.idx_tup_fetch is not null";
    sqlx::query_scalar(read).fetch_one(&mut postgres).await.unwrap()
}

/// How many some reads go through.
async fn rows_read(stack: &Stack) -> i64 {
    let before = gone_through(stack).await;
    let (store, c) = (stack.store(), key("c"));
    for range in [Range::Before(i64::MAX), Range::After(0), Range::Before(1_000), Range::After(4_950)] {
        let page = store.history(&c, range, Limit::MAX, None).await.unwrap().found.unwrap();
        assert_eq!(page.items.len(), 100, "{range:?}");
    }
    let anchor = Anchor::After(id(2_000));
    store.adjacent_to(&c, &anchor, Limit::MAX, None).await.unwrap().found.unwrap();
    redis::cmd("FLUSHALL").exec_async(&mut stack.redis().await).await.unwrap();
    assert!(!store.recent(&c, Limit::MAX, None).await.unwrap().source.is_hit());
    drop(store);
    gone_through(stack).await - before
}

#[tokio::test]
async fn reads_cost_what_they_cost_while_what_was_cut_off_waits() {
    let stack = Stack::with_own_postgres().await;
    grown(&stack, 30_000).await;
    let (store, c) = (stack.store(), key("c"));
    let before = rows_read(&stack).await;
    // Pages before, after and across what is cut off.
    assert_eq!(store.replace(&c, 5_000, &none()).await.unwrap().removed, 25_000);
    for _ in 0..2 {
        store.add(&c, &batch((0..100).map(|_| user("new")))).await.unwrap();
    }
    assert_eq!(rows(&stack).await.2, 1);
    let cut = rows_read(&stack).await;
    assert!(cut <= before + before / 2, "{cut} rows are read, and were {before}");
    // So do writes: a compaction of what came since, and a fork.
    let (before_writes, writer) = (gone_through(&stack).await, stack.store());
    assert_eq!(writer.replace(&c, 5_000, &batch([user("summary")])).await.unwrap().removed, 200);
    let new = NewConversation {
        id: None,
        fields: ConversationFields::default(),
        fork: Some(Fork { of: c.id.clone(), at: Some(100) }),
        messages: none(),
    };
    assert_eq!(writer.create(c.owner.clone(), new).await.unwrap().conversation.message_count, 100);
    drop(writer);
    let writes = gone_through(&stack).await - before_writes;
    // One side of the position is counted, 5,000 messages.
    assert!(writes <= 15_000, "{writes} rows and entries for 200 messages and 100");
    report(&format!(
        "a read of each kind goes through {before} rows and entries, and {cut} while they wait; two writes through {writes}"
    ));
}

#[tokio::test]
async fn a_conversation_is_deleted_while_what_was_cut_off_waits() {
    let stack = Stack::start().await;
    grown(&stack, 5_000).await;
    let (store, c) = (stack.store(), key("c"));
    assert_eq!(store.replace(&c, 2_000, &none()).await.unwrap().removed, 3_000);
    // Beyond what waits, messages go at once.
    store.add(&c, &batch([user("a"), user("b"), user("c")])).await.unwrap();
    assert_eq!(store.replace(&c, 5_001, &none()).await.unwrap().removed, 2);
    let live: Vec<i64> = (1..=2_000).chain([5_001]).collect();
    reads_as(&stack, &live).await;
    store.delete(&c, Precondition::None).await.unwrap();
    assert!(store.recent(&c, Limit::MAX, None).await.unwrap().found.is_none());
    while store.sweep(Duration::from_secs(1)).await.unwrap().unfinished {}
    assert_eq!(rows(&stack).await, (0, 0, 0), "for {OWNER}");
}
