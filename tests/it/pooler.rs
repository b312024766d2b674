//! Postgres behind a pooler that gives every transaction another connection.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use conversation_core::{
    CacheConfig, Change, ConversationFields, ConversationKey, ConversationStore, DatabaseConfig, Error,
    Limit, Message, MessageId, Precondition, Range, Sharding, Title,
};
use conversation_tests::{PgBouncer, Stack, batch, key, user, user_as};
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinSet;

const CLIENTS: u32 = 50;
const SERVERS: u32 = 4;
const ROUNDS: u32 = 8;
const CONVERSATIONS: u32 = 5;
/// How often a client asks again for what it got no answer to, on a machine that has much else to do.
const TRIES: u32 = 30;

async fn behind_pgbouncer() -> Option<(Stack, PgBouncer)> {
    let stack = Stack::with_own_postgres().await;
    let pgbouncer = PgBouncer::before(stack.postgres.as_ref().unwrap(), SERVERS)?;
    Some((stack, pgbouncer))
}

fn store(stack: &Stack, database_url: &str) -> ConversationStore {
    let pooled = [("DATABASE_URL", database_url), ("DATABASE_POOLER", "true")];
    let cache = CacheConfig::from_url(&stack.valkey.url(), "").unwrap();
    conversation_core::store(&DatabaseConfig::from_settings(&pooled).unwrap(), &cache)
}

/// Does something until it is known whether it was done. All of what is done here may be done twice.
macro_rules! settled {
    ($attempt:expr) => {{
        let mut tries = 1;
        loop {
            match $attempt.await {
                Ok(done) => break done,
                Err(
                    Error::DatabaseUnavailable(_) | Error::OutcomeUnknown(_) | Error::CacheUnavailable(_),
                ) if tries < TRIES => tries += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
    }};
}

fn id(message: &Message) -> String {
    let json: Value = serde_json::from_str(message.json()).unwrap();
    json["id"].as_str().unwrap().to_owned()
}

/// What was returned to a client: the positions of its messages, and which of them it has deleted.
#[derive(Default)]
struct Returned {
    stored: BTreeMap<(String, i64), String>,
    deleted: BTreeSet<(String, i64)>,
}

/// Deletes a message, if it is still there.
async fn delete(store: &ConversationStore, key: &ConversationKey, id: &str) -> Result<(), Error> {
    match store.delete_message(key, &MessageId::new(id).unwrap(), Precondition::None).await {
        Err(Error::NotFound) => Ok(()),
        deleted => deleted.map(drop),
    }
}

/// Adds, reads, updates and deletes.
async fn client(store: ConversationStore, number: u32) -> Returned {
    let mut returned = Returned::default();
    for round in 0..ROUNDS {
        let name = format!("c{}", (number + round) % CONVERSATIONS);
        let (id, key) = (format!("m-{number}-{round}"), key(&name));
        let added = settled!(store.add(&key, &batch([user_as(&id, "x")])));
        let seq = added.messages[0].seq();
        returned.stored.insert((name.clone(), seq), id.clone());
        let read = settled!(store.history(&key, Range::After(seq - 1), Limit::MAX, None));
        assert_eq!(self::id(&read.found.unwrap().items[0]), id);
        assert!(settled!(store.recent(&key, Limit::MAX, None)).found.is_some());
        let title = Title::new(format!("{number}")).unwrap();
        let change =
            Change::from(ConversationFields { title: Some(Some(title)), ..ConversationFields::default() });
        settled!(store.update(&key, &change));
        if round % 4 == 3 {
            settled!(delete(&store, &key, &id));
            returned.deleted.insert((name, seq));
        }
    }
    returned
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_clients_on_four_connections_lose_nothing_and_double_nothing() {
    let Some((stack, pgbouncer)) = behind_pgbouncer().await else { return };
    let url = pgbouncer.url("own");
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(client(store(&stack, &url), number));
    }
    let mut returned = Returned::default();
    for one in clients.join_all().await {
        returned.deleted.extend(one.deleted);
        for (place, id) in one.stored {
            assert_eq!(returned.stored.insert(place, id), None, "two messages were given one position");
        }
    }
    let mut postgres = stack.postgres().await;
    let sessions = "select count(*) from pg_stat_activity where application_name = 'conversation-store'";
    let sessions: i64 = sqlx::query_scalar(sessions).fetch_one(&mut postgres).await.unwrap();
    assert!((1..=i64::from(SERVERS)).contains(&sessions), "{sessions}");
    let store = store(&stack, &url);
    for number in 0..CONVERSATIONS {
        let name = format!("c{number}");
        let mut found = Vec::new();
        while let Some(page) = store
            .history(&key(&name), Range::After(found.last().map_or(0, |(seq, _)| *seq)), Limit::MAX, None)
            .await
            .unwrap()
            .found
            .filter(|page| !page.items.is_empty())
        {
            found.extend(page.items.iter().map(|message| (message.seq(), id(message))));
        }
        let of_this = returned.stored.iter().filter(|((at, _), _)| *at == name);
        let expected = of_this.clone().filter(|(place, _)| !returned.deleted.contains(place));
        let expected: Vec<_> = expected.map(|((_, seq), id)| (*seq, id.clone())).collect();
        assert_eq!(found, expected);
        assert_eq!(of_this.map(|((_, seq), _)| *seq).collect::<Vec<_>>(), (1..=80).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_session_is_left_on_a_pooled_connection() {
    let Some((stack, pgbouncer)) = behind_pgbouncer().await else { return };
    let url = pgbouncer.url("own");
    let store = store(&stack, &url);
    store.add(&key("c"), &batch([user("x")])).await.unwrap();
    // A statement that fails gives its connection back at once, and the next one finds it well.
    for _ in 0..2 * SERVERS {
        let error = store.add(&key("c"), &batch([user_as("m", "x")])).await.map(drop);
        assert!(error.is_ok() || matches!(error, Err(Error::MessageConflict { .. })), "{error:?}");
    }
    let mut direct = stack.postgres().await;
    let idle = "select count(*) filter (where state <> 'idle'), count(*) from pg_stat_activity
        where application_name = 'conversation-store'";
    let (busy, all): (i64, i64) = sqlx::query_as(idle).fetch_one(&mut direct).await.unwrap();
    assert!(busy == 0 && all > 0, "{busy} of {all} are in a transaction");
    let options = url.parse::<PgConnectOptions>().unwrap().extra_float_digits(None);
    let mut pooled = PgConnection::connect_with(&options).await.unwrap();
    let left = "select count(*) from pg_prepared_statements";
    let left = sqlx::raw_sql(left).fetch_one(&mut pooled).await.unwrap();
    assert_eq!(sqlx::Row::get::<i64, _>(&left, 0), 0);
    // After a while without use a connection is tried before it is used, through the pooler too.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    store.add(&key("c"), &batch([user("y")])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_are_not_made_through_a_pooler() {
    let stack = Stack::start().await;
    let settings = [("DATABASE_URL", stack.database_url.as_str()), ("DATABASE_POOLER", "true")];
    let database = DatabaseConfig::from_settings(&settings).unwrap();
    let migrated = conversation_core::migrate(&database, Sharding::None, Duration::from_secs(60));
    let said = migrated.await.unwrap_err().to_string();
    assert!(said.contains("DATABASE_POOLER"), "{said}");
}
