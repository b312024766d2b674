//! A conversation too long to be deleted while somebody waits. `MESSAGES` says how long; a million:
//!
//! ```sh
//! MESSAGES=1000000 target/debug/conversation-local test -- long:: -- --nocapture
//! ```

use std::time::{Duration, Instant};

use conversation_core::{
    Change, ConversationFields, ConversationFilter, Error, Limit, Message, MessageId, NewConversation, Order,
    Precondition, Range,
};
use conversation_tests::{Stack, all_reported, batch, key, report, size, user};
use sqlx::PgConnection;

/// The most messages that go while the caller waits, and the most that one transaction of the sweep removes.
const AT_ONCE: i64 = 1_000;
const BATCH: i64 = 5_000;

/// A conversation of so many messages, of which nothing is cached. All but the first are called by their positions.
pub(crate) async fn grown(stack: &Stack, postgres: &mut PgConnection, messages: i64) {
    stack.store().add(&key("c"), &batch([user("first")])).await.unwrap();
    let grow = "with grown as (
            update conversations set last_seq = $1, message_count = $1, version = version + 1 returning shard, key)
        insert into messages (shard, conversation_key, seq, message_id, id_in_body, body, created_at)
            select shard, key, n, 'm' || n, false, '{\"role\":\"user\",\"content\":\"x\"}', now()
            from grown, generate_series(2, $1) n";
    sqlx::query(grow).bind(messages).execute(postgres).await.unwrap();
    redis::cmd("FLUSHALL").exec_async(&mut stack.redis().await).await.unwrap();
}

/// The same, the last of them cached.
async fn long_conversation(stack: &Stack, postgres: &mut PgConnection, messages: i64) {
    grown(stack, postgres, messages).await;
    let store = stack.store();
    for is_hit in [false, true] {
        let read = store.recent(&key("c"), Limit::MAX, None).await.unwrap();
        assert_eq!(read.source.is_hit(), is_hit);
        assert_eq!(read.found.unwrap().items.last().map(Message::seq), Some(messages));
    }
}

/// How many messages there are, and of how many conversations messages wait for the sweep.
async fn left(postgres: &mut PgConnection) -> (i64, i64) {
    let counts = "select (select count(*) from messages), (select count(*) from purges)";
    sqlx::query_as(counts).fetch_one(postgres).await.unwrap()
}

/// How many rows and index entries of `messages` were read since the database was made.
pub(crate) async fn rows_read(postgres: &mut PgConnection) -> i64 {
    all_reported(postgres).await;
    // Of its partitions, where it has some.
    let read = "select sum(n.idx_tup_fetch + n.seq_tup_read + (select sum(i.idx_tup_read) from pg_stat_user_indexes i
            where i.relid = n.relid))::bigint
        from pg_stat_user_tables n where n.relname ~ '^messages(_[0-9]+)?$' and n.idx_tup_fetch is not null";
    sqlx::query_scalar(read).fetch_one(postgres).await.unwrap()
}

/// No operation finds the conversation or brings it back, and deleting it again is no error.
async fn assert_gone(stack: &Stack, last: i64) {
    let (store, index) = (stack.store(), stack.index());
    let (c, id) = (key("c"), MessageId::new(format!("m{last}")).unwrap());
    assert!(store.recent(&c, Limit::MAX, None).await.unwrap().found.is_none());
    assert!(store.get(&c, None).await.unwrap().found.is_none());
    for range in [Range::Before(last), Range::After(last - 10)] {
        assert!(store.history(&c, range, Limit::MAX, None).await.unwrap().found.is_none(), "{range:?}");
    }
    let renamed = store
        .update(&c, &Change::from(ConversationFields { title: Some(None), ..ConversationFields::default() }))
        .await;
    assert!(matches!(renamed, Err(Error::NotFound)), "{renamed:?}");
    let one = store.delete_message(&c, &id, Precondition::None).await;
    assert!(matches!(one, Err(Error::NotFound)), "{one:?}");
    let added = store.add(&c, &batch([user("back?")])).await;
    assert!(matches!(added, Err(Error::ConversationDeleted)), "{added:?}");
    let new = NewConversation {
        fork: None,
        id: Some(c.id.clone()),
        fields: ConversationFields::default(),
        messages: batch([user("new?")]),
    };
    let created = store.create(c.owner.clone(), new).await;
    assert!(matches!(created, Err(Error::ConversationDeleted)), "{created:?}");
    let listed = index
        .list(&c.owner, &ConversationFilter::default(), Order::Descending, None, Limit::LIST)
        .await
        .unwrap();
    assert!(listed.page.items.is_empty());
    store.delete(&c, Precondition::None).await.unwrap();
}

/// Deletes the conversation; how long that took, and how many rows were read for it.
async fn delete(stack: &Stack, postgres: &mut PgConnection) -> (Duration, i64) {
    let (before, store) = (rows_read(postgres).await, stack.store());
    // What is timed is no connection's opening.
    store.health().await.0.unwrap();
    let began = Instant::now();
    store.delete(&key("c"), Precondition::None).await.unwrap();
    let took = began.elapsed();
    drop(store);
    (took, rows_read(postgres).await - before)
}

/// Sweeps without any time to spare, so that each sweep is one transaction, until nothing is left to do; how many
/// messages went, how long it took, and how many rows were read for it.
async fn sweep_in_batches(stack: &Stack, postgres: &mut PgConnection) -> (i64, Duration, i64) {
    let (before, store, began) = (rows_read(postgres).await, stack.store(), Instant::now());
    let (mut purged, mut unfinished) = (0, true);
    while unfinished {
        let swept = store.sweep(Duration::ZERO).await.unwrap();
        assert!(
            swept.messages_purged <= BATCH && (swept.messages_purged > 0 || !swept.unfinished),
            "{swept:?}"
        );
        purged += swept.messages_purged;
        unfinished = swept.unfinished;
    }
    let took = began.elapsed();
    drop(store);
    (purged, took, rows_read(postgres).await - before)
}

#[tokio::test]
async fn a_long_conversation_is_deleted_at_once_and_purged_in_batches() {
    let messages = i64::from(size("MESSAGES", 200_000));
    let stack = Stack::start().await;
    let mut postgres = stack.postgres().await;
    long_conversation(&stack, &mut postgres, messages).await;

    let (deleted_in, read) = delete(&stack, &mut postgres).await;
    assert!(read <= 4 * AT_ONCE, "deleting {messages} messages read {read} rows");
    let (rows, purges) = left(&mut postgres).await;
    assert!(rows >= messages - AT_ONCE && rows < messages, "{rows} rows of {messages} wait for the sweep");
    assert_eq!(purges, 1);

    assert_gone(&stack, messages).await;
    redis::cmd("FLUSHALL").exec_async(&mut stack.redis().await).await.unwrap();
    assert_gone(&stack, messages).await;
    assert_eq!(left(&mut postgres).await, (rows, 1), "asking for it adds nothing and removes nothing");

    let (purged, swept_in, swept_read) = sweep_in_batches(&stack, &mut postgres).await;
    assert_eq!((purged, left(&mut postgres).await), (rows, (0, 0)));
    assert!(swept_read <= 4 * rows, "sweeping {rows} messages read {swept_read} rows");
    assert_gone(&stack, messages).await;
    report(&format!(
        "{messages} messages: deleted in {deleted_in:?}, {read} rows read; swept in {swept_in:?}, {swept_read}"
    ));
}
