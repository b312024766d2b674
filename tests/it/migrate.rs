//! Deployments: who owns the schema, who uses it, and what is taken back.

use std::time::{Duration, Instant};

use conversation_core::{
    CacheUpdate, ConversationFilter, DatabaseConfig, Limit, MessageId, Migrated, Order, OwnerId,
    Precondition, Sharding, conversation_index, migrate,
};
use conversation_tests::{OWNER, Stack, batch, key, store_at, user, user_as};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

async fn sql(connection: &mut PgConnection, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(connection).await.unwrap();
}

async fn truth(connection: &mut PgConnection, query: &str) -> bool {
    sqlx::query_scalar(AssertSqlSafe(query.to_owned())).fetch_one(connection).await.unwrap()
}

/// The name and the password in a URL.
fn credentials(url: &str) -> (&str, &str) {
    url.trim_start_matches("postgres://").split('@').next().unwrap().split_once(':').unwrap()
}

/// Everything that the functions do to rows.
async fn use_it(database_url: &str, stack: &Stack) {
    let store = store_at(database_url, &stack.valkey.url());
    let messages = [user_as("a", "one"), user_as("b", "two")];
    assert_eq!(store.add(&key("c"), &batch(messages)).await.unwrap().cache_update, CacheUpdate::Applied);
    assert_eq!(store.add(&key("d"), &batch([user("x")])).await.unwrap().cache_update, CacheUpdate::Applied);
    store.delete_message(&key("c"), &MessageId::new("a").unwrap(), Precondition::None).await.unwrap();
    store.delete(&key("d"), Precondition::None).await.unwrap();
    store.sweep(Duration::from_secs(10)).await.unwrap();
    let index = conversation_index(&DatabaseConfig::from_url(database_url).unwrap());
    let owner = OwnerId::new(OWNER).unwrap();
    let listing = index
        .list(&owner, &ConversationFilter::default(), Order::Descending, None, Limit::MAX)
        .await
        .unwrap();
    assert_eq!(listing.page.items.len(), 1);
}

#[tokio::test]
async fn a_deployment_lets_in_a_user_who_may_change_rows_and_no_tables() {
    let stack = Stack::with_own_postgres().await;
    let mut owner = stack.postgres().await;
    // As on Amazon RDS.
    sql(&mut owner, "create role rds_iam nologin").await;
    let (name, password) = credentials(&stack.database_url);
    let url = stack.database_url.replacen(&format!("{name}:{password}"), "the-app", 1);
    let api = stack.api_with(&[("DATABASE_URL", &url)]).await;
    let secret =
        serde_json::json!({ "username": name, "password": password, "engine": "postgres" }).to_string();
    for _ in 0..2 {
        assert_eq!(
            api.lambda.invoke("migrate", secret.clone().into()).await.unwrap(),
            r#"{"more":false}"#,
            "{}",
            api.log()
        );
    }
    assert!(!api.log().contains(password), "the password is in the log");
    assert!(truth(&mut owner, "select pg_has_role('the-app', 'rds_iam', 'member')").await);
    assert!(
        !truth(&mut owner, "select rolsuper or rolcreaterole from pg_roles where rolname = 'the-app'").await
    );

    // Here are no tokens, so it needs a password after all.
    sql(&mut owner, "alter role \"the-app\" password 'secret'").await;
    let url = url.replacen("the-app", "the-app:secret", 1);
    use_it(&url, &stack).await;
    let mut app = PgConnection::connect(&url).await.unwrap();
    for forbidden in [
        "create table x (y int)",
        "drop table messages",
        "alter table messages add x int",
        "delete from _sqlx_migrations",
        "truncate messages",
    ] {
        let refused = sqlx::query(forbidden).execute(&mut app).await.unwrap_err().to_string();
        assert!(
            refused.contains("permission denied") || refused.contains("must be owner"),
            "{forbidden}: {refused}"
        );
    }
}

#[tokio::test]
async fn a_deployment_that_says_half_of_who_migrates_fails() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    assert!(api.lambda.invoke("migrate", r#"{"username":"administrator"}"#.into()).await.is_err());
    let wrong = r#"{"username":"nobody","password":"wrong"}"#;
    assert!(api.lambda.invoke("migrate", wrong.into()).await.is_err());
    assert!(api.log().contains("password authentication failed"), "{}", api.log());
}

#[tokio::test]
async fn older_code_finds_the_schema_ahead_and_leaves_it() {
    let stack = Stack::start().await;
    let mut postgres = stack.postgres().await;
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
        values (9999, 'of newer code', true, '', 0)";
    sql(&mut postgres, newer).await;
    let function = "create or replace function unix_seconds(at timestamptz) returns bigint
        language sql immutable parallel safe as 'select -1::bigint /* of newer code */'";
    sql(&mut postgres, function).await;
    let api = stack.api().await;
    assert_eq!(
        api.lambda.invoke("migrate", "{}".into()).await.unwrap(),
        r#"{"more":false}"#,
        "{}",
        api.log()
    );
    let there = "select exists (select from _sqlx_migrations where version = 9999)";
    assert!(truth(&mut postgres, there).await);
    let stays = "select prosrc like '%of newer code%' from pg_proc where proname = 'unix_seconds'";
    assert!(truth(&mut postgres, stays).await, "newer functions fit newer tables");
}

/// During a rollout older code calls functions that newer code has created. A function that was ever released keeps its
/// name, its parameters and what it returns: what must change is created beside it, under another name. So this list only
/// grows; a line goes when no release that calls it may run any more.
const CALLED: &str = include_str!("migrate/called.txt");

#[tokio::test]
async fn what_older_code_calls_stays_callable() {
    let stack = Stack::start().await;
    let query = "select format('%s(%s) -> %s', proname, pg_get_function_identity_arguments(oid), pg_get_function_result(oid))
        from pg_proc where pronamespace = 'public'::regnamespace order by proname, 1";
    let there: Vec<String> = sqlx::query_scalar(query).fetch_all(&mut stack.postgres().await).await.unwrap();
    let called: Vec<&str> = CALLED.lines().collect();
    for line in &called {
        assert!(there.iter().any(|function| function == line), "older code cannot call {line}");
    }
    let new: Vec<&str> =
        there.iter().map(String::as_str).filter(|function| !called.contains(function)).collect();
    assert!(new.is_empty(), "tests/it/migrate/called.txt lacks these:\n{}", new.join("\n"));
}

/// A function's body is not looked at when it is created, since functions name each other in any order.
#[tokio::test]
async fn functions_are_created_anew_and_name_only_what_is_there() {
    let stack = Stack::start().await;
    let mut postgres = stack.postgres().await;
    let wrong = "create or replace function unix_seconds(at timestamptz) returns bigint
        language sql immutable parallel safe as 'select -1::bigint'";
    sql(&mut postgres, wrong).await;
    let database = DatabaseConfig::from_url(&stack.database_url).unwrap();
    assert_eq!(migrate(&database, Sharding::None, Duration::from_secs(60)).await.unwrap(), Migrated::All);
    assert!(truth(&mut postgres, "select unix_seconds(to_timestamp(5.9)) = 5").await);
    let bodies = "select pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace";
    let bodies: Vec<String> = sqlx::query_scalar(bodies).fetch_all(&mut postgres).await.unwrap();
    assert!(bodies.len() > 15);
    for body in bodies {
        sql(&mut postgres, &body).await;
    }
}

/// A database that nothing has been migrated in.
async fn empty() -> (Stack, DatabaseConfig, PgConnection) {
    let stack = Stack::with_own_postgres().await;
    sql(&mut stack.postgres().await, "create database fresh").await;
    let url = stack.postgres.as_ref().unwrap().url("fresh");
    let connection = PgConnection::connect(&url).await.unwrap();
    (stack, DatabaseConfig::from_url(&url).unwrap(), connection)
}

async fn applied(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar("select count(*) from _sqlx_migrations").fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn migrations_come_in_slices_and_each_one_brings_something() {
    let (_stack, database, mut connection) = empty().await;
    let mut slices = 0;
    while migrate(&database, Sharding::None, Duration::ZERO).await.unwrap() == Migrated::Some {
        slices += 1;
        assert_eq!(applied(&mut connection).await, slices);
    }
    assert_eq!(applied(&mut connection).await, slices + 1);
    assert!(slices > 3, "there are more migrations than {slices}");
    assert_eq!(migrate(&database, Sharding::None, Duration::ZERO).await.unwrap(), Migrated::All);
}

#[tokio::test]
async fn a_migration_does_not_wait_for_long_and_tries_again() {
    let (_stack, database, mut holder) = empty().await;
    // What somebody else has not finished yet: who wants the same has to wait for it.
    sql(&mut holder, "begin; create table conversations (x int)").await;
    let began = Instant::now();
    let slice = tokio::time::timeout(
        Duration::from_secs(20),
        migrate(&database, Sharding::None, Duration::from_secs(1)),
    );
    assert_eq!(slice.await.unwrap().unwrap(), Migrated::Some);
    let took = began.elapsed();
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(8), "{took:?}");

    let migrating =
        tokio::spawn(async move { migrate(&database, Sharding::None, Duration::from_secs(60)).await });
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!migrating.is_finished());
    sql(&mut holder, "rollback").await;
    assert_eq!(migrating.await.unwrap().unwrap(), Migrated::All);
}

#[tokio::test]
async fn two_deployments_do_not_migrate_at_a_time() {
    let (_stack, database, mut connection) = empty().await;
    let both = tokio::join!(
        migrate(&database, Sharding::None, Duration::from_secs(60)),
        migrate(&database, Sharding::None, Duration::from_secs(60))
    );
    assert_eq!((both.0.unwrap(), both.1.unwrap()), (Migrated::All, Migrated::All));
    let twice = "select exists (select from _sqlx_migrations group by version having count(*) > 1)";
    assert!(!truth(&mut connection, twice).await);
}

#[tokio::test]
async fn a_conversation_has_the_same_fields_in_sql_and_in_rust() {
    let stack = Stack::start().await;
    let added = stack.store().add(&key("c"), &batch([user("x")])).await.unwrap();
    let query = "select conversation_json(c) from conversations c";
    let of_sql: String = sqlx::query_scalar(query).fetch_one(&mut stack.postgres().await).await.unwrap();
    let mut of_sql: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&of_sql).unwrap();
    // The one field that is the same for all.
    of_sql.insert("object".into(), "conversation".into());
    let of_rust = serde_json::to_value(&added.conversation).unwrap();
    assert_eq!(serde_json::Value::Object(of_sql), of_rust);
}
