//! Very many readers of one conversation that is not cached.

use std::sync::Arc;

use conversation_core::{ConversationStore, Error, Limit, Message, MessagePage, Range, Read, Source};
use conversation_tests::{Profile, Stack, all_reported, batch, in_each_profile, key, user};
use sqlx::PgConnection;
use tokio::sync::{Barrier, Mutex};

in_each_profile!(
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    five_hundred_readers_of_a_cold_conversation_cost_postgres_three_reads_at_most,
);

/// Each with connections of its own, as so many instances of a function.
const INSTANCES: usize = 25;
/// Of each instance.
const READERS: usize = 20;

/// A conversation longer than a window, in Postgres alone; and its last messages.
async fn cold_conversation(stack: &Stack) -> Vec<Message> {
    let store = stack.store();
    let messages: Vec<_> = (1..=150).map(|n| user(&format!("message {n}"))).collect();
    for part in messages.chunks(100) {
        store.add(&key("c"), &batch(part)).await.unwrap();
    }
    redis::cmd("FLUSHALL").exec_async(&mut stack.redis().await).await.unwrap();
    let history = store.history(&key("c"), Range::Before(i64::MAX), Limit::MAX, None).await.unwrap();
    history.found.unwrap().items
}

/// Counts calls of functions by whoever connects to the test's database from now on.
async fn count_calls(postgres: &mut PgConnection) {
    let name: String =
        sqlx::query_scalar("select current_database()").fetch_one(&mut *postgres).await.unwrap();
    let statement = format!("alter database {name} set track_functions = 'all'");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(postgres).await.unwrap();
}

/// How many windows were read since: each read calls `snapshot_of` once, whereas `read_window` is inlined and so never
/// counted.
async fn windows_read(postgres: &mut PgConnection) -> i64 {
    all_reported(postgres).await;
    let calls =
        "select coalesce(sum(calls), 0)::bigint from pg_stat_user_functions where funcname = 'snapshot_of'";
    sqlx::query_scalar(calls).fetch_one(postgres).await.unwrap()
}

/// What one reader asked for and was answered.
type Answered = (Limit, Result<Read<MessagePage>, Error>);

/// CallStats for at the same moment as all the others'.
async fn read(store: ConversationStore, limit: i64, start: Arc<Barrier>) -> Answered {
    let limit = Limit::new(limit).unwrap();
    start.wait().await;
    (limit, store.recent(&key("c"), limit, None).await)
}

/// All readers' answers; none if some of them were answered an error, as on a busy machine.
async fn herd(stack: &Stack) -> Option<Vec<(Limit, MessagePage, Source)>> {
    redis::cmd("FLUSHALL").exec_async(&mut stack.redis().await).await.unwrap();
    let start = Arc::new(Barrier::new(INSTANCES * READERS));
    let mut readers = Vec::new();
    for instance in 0..INSTANCES {
        let store = stack.store();
        for reader in 0..READERS {
            let limit = i64::try_from((instance * READERS + reader) % 100 + 1).unwrap();
            readers.push(tokio::spawn(read(store.clone(), limit, Arc::clone(&start))));
        }
    }
    let mut answers = Vec::new();
    for reader in readers {
        if let (limit, Ok(Read { found: Some(page), source, .. })) = reader.await.unwrap() {
            answers.push((limit, page, source));
        }
    }
    (answers.len() == INSTANCES * READERS).then_some(answers)
}

async fn five_hundred_readers_of_a_cold_conversation_cost_postgres_three_reads_at_most(profile: Profile) {
    // Two herds at a time would be in each other's way.
    static TURN: Mutex<()> = Mutex::const_new(());
    let _turn = TURN.lock().await;
    let stack = Stack::in_profile(profile).await;
    let expected = cold_conversation(&stack).await;
    let mut postgres = stack.postgres().await;
    count_calls(&mut postgres).await;
    for _ in 0..10 {
        let before = windows_read(&mut postgres).await;
        let Some(answers) = herd(&stack).await else { continue };
        for (limit, page, source) in &answers {
            assert_eq!(page.items, expected[expected.len() - limit.get()..], "{limit:?} from {source:?}");
            assert!(page.has_more, "{limit:?} from {source:?}");
        }
        let reads = windows_read(&mut postgres).await - before;
        let misses = answers.iter().filter(|(_, _, source)| !source.is_hit()).count();
        assert_eq!(usize::try_from(reads).unwrap(), misses, "who read Postgres says so");
        // Who gives up waiting for the cache, as on a busy machine, reads past it.
        let gave_up = |source: &Source| matches!(source, Source::Miss { stored: false, .. });
        let given_up = answers.iter().filter(|(_, _, source)| gave_up(source)).count();
        assert!((1..=3).contains(&(misses - given_up)), "{misses} reads, {given_up} of those who gave up");
        return;
    }
    panic!("every time some reader was answered an error");
}
