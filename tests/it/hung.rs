//! Statements that hang: the server ends them, whether or not it hears that nobody waits for them any more.

use std::time::{Duration, Instant};

use conversation_core::{CacheConfig, ConversationStore, DatabaseConfig, Error, Scope, conversation_index};
use conversation_tests::{LinkMode, Proxy, Stack, at_port, batch, key, port_of, store_at, user};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// How long after it began nothing may be left of a statement that hangs.
const SOON: Duration = Duration::from_secs(3);

/// How many of our connections the server has, of those in a state like that.
async fn ours(postgres: &mut PgConnection, state: &str) -> i64 {
    let count = format!(
        "select count(*) from pg_stat_activity where application_name = 'conversation-store' and {state}"
    );
    sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(postgres).await.unwrap()
}

const ANY: &str = "true";
const BUSY: &str = "state <> 'idle'";

async fn wait_for(postgres: &mut PgConnection, state: &str, number: i64, patience: Duration) {
    let deadline = Instant::now() + patience;
    loop {
        let now = ours(postgres, state).await;
        if now == number {
            return;
        }
        let what = "select coalesce(string_agg(concat_ws(' ', pid, state, wait_event, query), '; '), '') from pg_stat_activity
            where application_name = 'conversation-store'";
        let what: String = sqlx::query_scalar(what).fetch_one(&mut *postgres).await.unwrap();
        assert!(Instant::now() < deadline, "{now} connections {state}, and not {number}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How a statement comes to hang.
#[derive(Clone, Copy, Debug)]
enum Hang {
    /// Somebody holds the row.
    Locked,
    /// It takes long.
    Slow,
}

/// Makes an add hang until the connection that is answered ends.
async fn hang(stack: &Stack, how: Hang) -> PgConnection {
    let mut postgres = stack.postgres().await;
    let statement = match how {
        Hang::Locked => "begin; select 1 from conversations where shard = shard_of('local') for update",
        Hang::Slow => {
            "create function slow() returns trigger language plpgsql as
                $$ begin perform pg_sleep(30); return new; end $$;
            create trigger slow before insert on messages for each row execute function slow()"
        }
    };
    sqlx::raw_sql(statement).execute(&mut postgres).await.unwrap();
    postgres
}

/// A store that writes nothing else to Postgres meanwhile, and a conversation.
async fn with_one(store: ConversationStore) -> ConversationStore {
    store.add(&key("c"), &batch([user("one")])).await.unwrap();
    store
}

#[tokio::test]
async fn three_seconds_after_a_statement_that_hangs_nothing_of_it_is_left() {
    for how in [Hang::Locked, Hang::Slow] {
        // A server of one's own: others are asked by other tests.
        let stack = Stack::with_own_postgres().await;
        let store = with_one(stack.store()).await;
        let (_holds, mut looks) = (hang(&stack, how).await, stack.postgres().await);
        let began = Instant::now();
        let (key, messages) = (key("c"), batch([user("two")]));
        // The caller gives up, as a function that is taken away does.
        let given_up = tokio::time::timeout(Duration::from_millis(500), store.add(&key, &messages)).await;
        assert!(given_up.is_err(), "{how:?} does not hang");
        wait_for(&mut looks, BUSY, 1, Duration::from_millis(500)).await;
        drop(store);
        wait_for(&mut looks, ANY, 0, SOON - began.elapsed()).await;

        let store = stack.store();
        let began = Instant::now();
        let error = store.add(&key, &messages).await.unwrap_err();
        assert!(
            matches!(error, Error::DatabaseUnavailable(_) | Error::OutcomeUnknown(_)),
            "{how:?}: {error:?}"
        );
        wait_for(&mut looks, BUSY, 0, SOON.saturating_sub(began.elapsed())).await;
    }
}

#[tokio::test]
async fn nor_where_the_server_cannot_know_that_nobody_waits() {
    for how in [Hang::Locked, Hang::Slow] {
        let stack = Stack::with_own_postgres().await;
        let proxy = Proxy::before(port_of(&stack.database_url)).await.unwrap();
        let store =
            with_one(store_at(&at_port(&stack.database_url, proxy.port()), &stack.valkey.url())).await;
        let (_holds, mut looks) = (hang(&stack, how).await, stack.postgres().await);
        let began = Instant::now();
        let (key, messages) = (key("c"), batch([user("two")]));
        let adding = tokio::spawn(async move { store.add(&key, &messages).await.map(drop) });
        wait_for(&mut looks, BUSY, 1, Duration::from_secs(1)).await;
        proxy.link_mode(LinkMode::Hang);
        adding.abort();
        wait_for(&mut looks, BUSY, 0, SOON.saturating_sub(began.elapsed())).await;
        assert_eq!(ours(&mut looks, ANY).await, 1, "the connection is there, and the server knows no better");
        if matches!(how, Hang::Locked) {
            wait_for(&mut looks, ANY, 0, Duration::from_secs(65)).await;
        }
    }
}

/// The limits of a session, as its server has them.
async fn limits(connection: &mut PgConnection) -> String {
    let limits =
        "select concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'),
        current_setting('idle_in_transaction_session_timeout'), current_setting('idle_session_timeout'),
        current_setting('client_connection_check_interval'))";
    sqlx::query_scalar(limits).fetch_one(connection).await.unwrap()
}

/// A user whom a deployment lets in, and where.
async fn admitted(stack: &Stack) -> String {
    let mut owner = stack.postgres().await;
    conversation_index(&DatabaseConfig::from_url(&stack.database_url).unwrap())
        .grant_access("the-app")
        .await
        .unwrap();
    sqlx::raw_sql("alter role \"the-app\" password 'secret'").execute(&mut owner).await.unwrap();
    let credentials = stack.database_url.trim_start_matches("postgres://").split('@').next().unwrap();
    stack.database_url.replacen(credentials, "the-app:secret", 1)
}

#[tokio::test]
async fn who_is_let_in_is_limited_however_he_comes() {
    let stack = Stack::with_own_postgres().await;
    let url = admitted(&stack).await;
    let mut app = PgConnection::connect(&url).await.unwrap();
    assert_eq!(limits(&mut app).await, "2500ms 1500ms 5s 1min 1s");
    assert_eq!(limits(&mut stack.postgres().await).await, "0 0 0 0 0", "nobody else is");

    // As through a pooler, which gets no such words at the start of a session.
    let database = [("DATABASE_URL", url.as_str()), ("DATABASE_POOLER", "true")];
    let database = DatabaseConfig::from_settings(&database).unwrap();
    let cache = CacheConfig::from_url(&stack.valkey.url(), "").unwrap();
    let store = with_one(conversation_core::store(&database, &cache)).await;
    let (_holds, mut looks) = (hang(&stack, Hang::Locked).await, stack.postgres().await);
    let began = Instant::now();
    store.add(&key("c"), &batch([user("two")])).await.unwrap_err();
    drop(store);
    wait_for(&mut looks, ANY, 0, SOON.saturating_sub(began.elapsed())).await;
}

#[tokio::test]
async fn what_takes_long_by_its_nature_is_not_ended() {
    let stack = Stack::with_own_postgres().await;
    let url = admitted(&stack).await;
    with_one(stack.store()).await;
    let index = conversation_index(&DatabaseConfig::from_url(&url).unwrap());
    let mut export = index.export(&Scope::Everything).await.unwrap();
    // Longer than a session of the store's may stand idle within a transaction.
    tokio::time::sleep(Duration::from_millis(5_500)).await;
    assert!(!export.next().await.unwrap().is_empty());
}
