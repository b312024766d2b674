//! Long ends that are cut off: at once for every reader, and removed later. `MESSAGES` says how long.

use std::time::{Duration, Instant};

use conversation_core::{
    Anchor, Batch, ConversationFields, Error, Fork, Limit, Message, MessageId, NewConversation, Precondition,
    Range,
};
use conversation_tests::{Stack, batch, key, report, size, user};
use sqlx::PgConnection;

use crate::long::{grown, rows_read};

fn id(seq: i64) -> MessageId {
    MessageId::new(format!("m{seq}")).unwrap()
}

fn none() -> Batch {
    Batch::initial(Vec::new()).unwrap()
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
    grown(&stack, &mut stack.postgres().await, messages).await;
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

/// How many some reads go through.
async fn read_by_reads(stack: &Stack, postgres: &mut PgConnection) -> i64 {
    let before = rows_read(postgres).await;
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
    rows_read(postgres).await - before
}

#[tokio::test]
async fn reads_cost_what_they_cost_while_what_was_cut_off_waits() {
    let stack = Stack::with_own_postgres().await;
    let mut postgres = stack.postgres().await;
    grown(&stack, &mut postgres, 30_000).await;
    let (store, c) = (stack.store(), key("c"));
    let before = read_by_reads(&stack, &mut postgres).await;
    // Pages before, after and across what is cut off.
    assert_eq!(store.replace(&c, 5_000, &none()).await.unwrap().removed, 25_000);
    for _ in 0..2 {
        store.add(&c, &batch((0..100).map(|_| user("new")))).await.unwrap();
    }
    assert_eq!(rows(&stack).await.2, 1);
    let cut = read_by_reads(&stack, &mut postgres).await;
    assert!(cut <= before + before / 2, "{cut} rows are read, and were {before}");
    // So do writes: a compaction of what came since, and a fork.
    let (before_writes, writer) = (rows_read(&mut postgres).await, stack.store());
    assert_eq!(writer.replace(&c, 5_000, &batch([user("summary")])).await.unwrap().removed, 200);
    let new = NewConversation {
        id: None,
        fields: ConversationFields::default(),
        fork: Some(Fork { of: c.id.clone(), at: Some(100), records_prefix: String::new() }),
        messages: none(),
    };
    assert_eq!(writer.create(c.owner.clone(), new).await.unwrap().conversation.message_count, 100);
    drop(writer);
    let writes = rows_read(&mut postgres).await - before_writes;
    // One side of the position is counted, 5,000 messages.
    assert!(writes <= 15_000, "{writes} rows and entries for 200 messages and 100");
    report(&format!(
        "a read of each kind goes through {before} rows and entries, and {cut} while they wait; two writes through {writes}"
    ));
}

#[tokio::test]
async fn a_conversation_is_deleted_while_what_was_cut_off_waits() {
    let stack = Stack::start().await;
    grown(&stack, &mut stack.postgres().await, 5_000).await;
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
    assert_eq!(rows(&stack).await, (0, 0, 0));
}
