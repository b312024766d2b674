//! No query reads a whole table: neither those of the store nor those inside the functions that it calls.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use conversation_core::{
    Anchor, Change, ConversationFields, ConversationFilter, ConversationIndex, ConversationStore, Limit,
    MessageId, NewConversation, Order, OwnerId, Precondition, Range, Title,
};
use conversation_tests::{OWNER, Stack, all_reported, batch, key, report, sharding, user_as};
use sqlx::PgConnection;

/// Rows of each table, and messages of the longest conversation: so many that the planner would rather use an index.
const ROWS: i64 = 5_000;
/// How often everything is read.
const ROUNDS: i64 = 8;

/// Tables of a size at which it matters how they are read: so many conversations of so many messages, and the long one.
async fn fill(postgres: &mut PgConnection, conversations: i64, each: i64) {
    let statements = format!(
        "insert into conversations (shard, owner_id, conversation_id, version, last_seq, message_count, created_at, updated_at)
            select shard_of(owner), owner, 'c' || n, 1, 3, 3, now(), now() - n * interval '1 second'
            from generate_series(1, {conversations}) n, lateral (select case when n % 2 = 0 then '{OWNER}' else 'owner' || n end) o (owner);
         insert into messages (shard, conversation_key, seq, message_id, id_in_body, body, created_at)
            select shard, key, seq, 'm' || seq, false, '{{\"role\":\"user\",\"content\":\"\"}}', now()
            from conversations, generate_series(1, case when conversation_id = 'c2' then {ROWS} else {each} end) seq;
         update conversations set last_seq = {ROWS}, message_count = {ROWS} where conversation_id = 'c2';
         insert into pending_invalidations (shard, conversation_key, owner_id, conversation_id, version)
            select shard, key, owner_id, conversation_id, 0 from conversations where conversation_id <> 'c2';
         update conversations set deleted_at = now() where owner_id <> '{OWNER}';
         insert into deleted_messages (shard, conversation_key, seq, message_id)
            select shard, key, {ROWS} + seq, 'gone' || seq from conversations, generate_series(1, 2) seq;
         insert into purges (shard, conversation_key) select shard, key from conversations where deleted_at is not null;
         vacuum (analyze)"
    );
    // VACUUM cannot be sent together with others.
    for statement in statements.split(';') {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut *postgres).await.unwrap();
    }
}

/// What was asked of Postgres, as it was asked.
struct CallStats {
    postgres: PgConnection,
    statements: BTreeSet<String>,
}

impl CallStats {
    /// Notes what others asked last.
    async fn note(&mut self) {
        let asked = "select query from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid() and query ilike '%from %'";
        let asked: Vec<String> = sqlx::query_scalar(asked).fetch_all(&mut self.postgres).await.unwrap();
        self.statements.extend(asked);
    }
}

/// Reads in every form.
async fn read(store: &ConversationStore, index: &ConversationIndex, asked: &mut CallStats) {
    let (long, owner) = (key("c2"), OwnerId::new(OWNER).unwrap());
    for range in [Range::Before(ROWS / 2), Range::After(ROWS / 2)] {
        assert_eq!(
            store.history(&long, range, Limit::MAX, None).await.unwrap().found.unwrap().items.len(),
            100
        );
        asked.note().await;
    }
    for anchor in [Anchor::Before(id("m2000")), Anchor::After(id("m2000"))] {
        assert_eq!(
            store.adjacent_to(&long, &anchor, Limit::MAX, None).await.unwrap().found.unwrap().items.len(),
            100
        );
        asked.note().await;
    }
    assert!(store.message(&long, &id("m3000")).await.unwrap().found.is_some());
    asked.note().await;
    assert_eq!(store.recent(&long, Limit::MAX, None).await.unwrap().found.unwrap().items.len(), 100);
    asked.note().await;
    for order in [Order::Descending, Order::Ascending] {
        let first =
            index.list(&owner, &ConversationFilter::default(), order, None, Limit::LIST).await.unwrap();
        let second = index
            .list(&owner, &ConversationFilter::default(), order, first.after.as_ref(), Limit::LIST)
            .await
            .unwrap();
        assert_eq!(second.page.items.len(), Limit::LIST.get());
        asked.note().await;
        index
            .list(&owner, &ConversationFilter::default(), order, second.before.as_ref(), Limit::LIST)
            .await
            .unwrap();
        asked.note().await;
    }
}

/// Writes in every form.
async fn write(store: &ConversationStore, asked: &mut CallStats) {
    let (long, owner) = (key("c2"), OwnerId::new(OWNER).unwrap());
    let two = batch([user_as("mine", "1"), user_as("yours", "2")]);
    for _ in 0..2 {
        // The second time it is answered, not stored.
        store.add(&long, &two).await.unwrap();
        asked.note().await;
    }
    store.append(&long, &batch([user_as("theirs", "3")])).await.unwrap();
    asked.note().await;
    store.add(&key("new"), &batch([user_as("a", "1")])).await.unwrap();
    let messages = batch([user_as("a", "1")]);
    let new = NewConversation { fork: None, id: None, fields: ConversationFields::default(), messages };
    store.create(owner, new).await.unwrap();
    let title = Some(Some(Title::new("T").unwrap()));
    store
        .update(&long, &Change::from(ConversationFields { title, ..ConversationFields::default() }))
        .await
        .unwrap();
    asked.note().await;
    store.delete_message(&long, &id("m3000"), Precondition::None).await.unwrap();
    asked.note().await;
    // After a deletion the window's beginning has to be looked for.
    store.add(&long, &batch([user_as("last", "4")])).await.unwrap();
    store.delete(&key("c4"), Precondition::None).await.unwrap();
    store.delete(&long, Precondition::None).await.unwrap();
    asked.note().await;
    let swept = store.sweep(Duration::from_secs(20)).await.unwrap();
    assert!(swept.messages_purged > 0, "{swept:?}");
    asked.note().await;
}

fn id(id: &str) -> MessageId {
    MessageId::new(id).unwrap()
}

/// How many rows of each table were read because it was read from its beginning.
async fn read_in_whole(postgres: &mut PgConnection) -> BTreeMap<String, i64> {
    let tables = "select relname::text, seq_tup_read from pg_stat_user_tables";
    let tables: Vec<(String, i64)> = sqlx::query_as(tables).fetch_all(postgres).await.unwrap();
    tables.into_iter().collect()
}

/// How many rows of a table indexes have led to.
async fn read_by_index(postgres: &mut PgConnection, table: &str) -> i64 {
    all_reported(postgres).await;
    // Of its partitions, where it has some.
    let fetched = "select sum(idx_tup_fetch)::bigint from pg_stat_user_tables where relname ~ ('^' || $1 || '(_[0-9]+)?$')";
    sqlx::query_scalar(fetched).bind(table).fetch_one(postgres).await.unwrap()
}

/// An index may be the wrong one: then a page of a long conversation costs as much as all of it.
#[tokio::test]
async fn a_page_reads_the_rows_that_it_answers() {
    let stack = Stack::start().await;
    let mut postgres = stack.postgres().await;
    // Among so many, that one conversation is long is not seen in the statistics.
    fill(&mut postgres, 20_000, 9).await;
    let before = read_by_index(&mut postgres, "messages").await;
    let mut asked = CallStats { postgres, statements: BTreeSet::new() };
    {
        let (store, index) = (stack.store(), stack.index());
        // From the sixth execution on, a plan may be kept for whatever is asked.
        for _ in 0..ROUNDS {
            store.evict(&key("c2")).await.unwrap();
            read(&store, &index, &mut asked).await;
        }
    }
    let rows = read_by_index(&mut asked.postgres, "messages").await - before;
    // The window, four pages with a row more each, the two places where they begin, and one message: 507.
    assert!(rows <= ROUNDS * 600, "{rows} rows of messages");
}

/// The plan of a statement, whatever its parameters are.
async fn plan(postgres: &mut PgConnection, statement: &str) -> String {
    let explain = format!("explain (generic_plan) {statement}");
    let lines = sqlx::raw_sql(sqlx::AssertSqlSafe(explain)).fetch_all(postgres).await.unwrap();
    lines.iter().map(|line| sqlx::Row::get::<String, _>(line, 0) + "\n").collect()
}

#[tokio::test]
async fn no_operation_reads_a_table_from_its_beginning() {
    let stack = Stack::start().await;
    let mut postgres = stack.postgres().await;
    fill(&mut postgres, ROWS, 3).await;
    all_reported(&mut postgres).await;
    let before = read_in_whole(&mut postgres).await;
    let mut asked = CallStats { postgres, statements: BTreeSet::new() };
    {
        let (store, index) = (stack.store(), stack.index());
        read(&store, &index, &mut asked).await;
        write(&store, &mut asked).await;
    }
    let CallStats { mut postgres, statements } = asked;
    // All that is executed counts, inside the functions too.
    all_reported(&mut postgres).await;
    let after = read_in_whole(&mut postgres).await;
    for table in ["conversations", "messages", "pending_invalidations", "purges"] {
        assert_eq!(after[table], before[table], "rows of {table}: it was read from its beginning");
    }
    if sharding() != "none" {
        // No plan is kept for whatever is asked.
        return;
    }
    // One that another followed at once on its connection is not among them; it was counted all the same.
    assert!(statements.len() >= 10, "{statements:#?}");
    for statement in statements {
        let plan = plan(&mut postgres, &statement).await;
        report(&format!("{statement}\n{plan}"));
        // Tables of one row, and what is empty: there is no other way to read that.
        let plan = plan.replace("Seq Scan on cache_generation", "").replace("Seq Scan on retention", "");
        let reads_all = |line: &str| line.contains("Seq Scan") && !line.contains("(cost=0.00..0.00 ");
        assert!(!plan.lines().any(reads_all), "{statement}\n{plan}");
    }
}
