//! Trying the stores before they are relied on: what a probe finds well, and what it says of what is not.

use std::process::Command;

use conversation_core::{ConversationStore, Probed};
use conversation_tests::{
    Access, Kind, Manners, Profile, Stack, functions_folder, in_each_profile, port_of, store_at,
};
use redis::cmd;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};

in_each_profile!(all_is_well_and_nothing_is_left);

async fn sentence(store: &ConversationStore) -> String {
    store.probe(None).await.unwrap_err().to_string()
}

async fn count(postgres: &mut PgConnection, table: &str) -> i64 {
    let query = format!("select count(*) from {table}");
    sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(postgres).await.unwrap()
}

async fn all_is_well_and_nothing_is_left(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let Probed { guarantee, checks } = stack.store().probe(Some(10)).await.unwrap();
    assert_eq!(guarantee.contains("30 seconds"), profile.hides_servers(), "{guarantee}");
    assert!(checks.len() > 10 && checks.iter().all(|check| check.ok && !check.detail.is_empty()));
    let mut postgres = stack.postgres().await;
    for table in ["conversations", "messages", "purges", "pending_invalidations"] {
        assert_eq!(count(&mut postgres, table).await, 0, "{table}");
    }
    let left: Vec<String> = cmd("KEYS").arg("*").query_async(&mut stack.redis().await).await.unwrap();
    assert_eq!(left, ["conversation:sweep"]);
}

#[tokio::test]
async fn what_a_cache_refuses_is_named() {
    let all = Access::of_the_template;
    for command in ["hget", "hmget", "hset", "lset", "lpop", "hscan", "pexpire", "scan", "del"] {
        for (access, kind) in
            [(all().without(command), Kind::Nodes), (all().unknown(command), Kind::Serverless)]
        {
            let stack = Stack::behind(Manners { access, ..Manners::of(kind) }).await;
            let said = sentence(&stack.store()).await;
            assert!(said.starts_with("Redis ") && said.to_lowercase().contains(command), "{command}: {said}");
        }
    }
}

#[tokio::test]
async fn a_replica_is_named() {
    let (stack, primary) = (Stack::start().await, Stack::start().await);
    let url = primary.valkey.url();
    let mut redis = stack.redis().await;
    let password = url.split([':', '@']).nth(2).unwrap();
    cmd("CONFIG").arg("SET").arg("masterauth").arg(password).exec_async(&mut redis).await.unwrap();
    cmd("REPLICAOF").arg("127.0.0.1").arg(port_of(&format!("{url}/"))).exec_async(&mut redis).await.unwrap();
    assert_eq!(sentence(&stack.store()).await, "Redis is a primary: REDIS_URL leads to a replica");
}

#[tokio::test]
async fn too_few_connections_and_a_missing_schema_are_named() {
    let stack = Stack::start().await;
    let said = stack.store().probe(Some(u32::MAX)).await.unwrap_err().to_string();
    assert!(said.contains("connections, 4294967295 may be needed"), "{said}");
    let mut postgres = stack.postgres().await;
    sqlx::raw_sql("drop table purges").execute(&mut postgres).await.unwrap();
    assert!(sentence(&stack.store()).await.ends_with("the database has no table purges: run migrate"));
    let url = stack.database_url.rsplit_once('/').unwrap().0;
    let empty = store_at(&format!("{url}/postgres"), &stack.valkey.url());
    assert_eq!(sentence(&empty).await, "The schema is there: the database has no schema: run migrate");
}

#[tokio::test]
async fn a_right_in_postgres_that_is_missing_is_named() {
    let stack = Stack::with_own_postgres().await;
    stack.index().grant_access("app").await.unwrap();
    let mut owner = stack.postgres().await;
    sqlx::raw_sql("alter role app password 'secret'; revoke delete on purges from app")
        .execute(&mut owner)
        .await
        .unwrap();
    let (_, server) = stack.database_url.split_once('@').unwrap();
    let said = sentence(&store_at(&format!("postgres://app:secret@{server}"), &stack.valkey.url())).await;
    assert!(said.ends_with("the user app lacks delete on table purges"), "{said}");
}

#[tokio::test]
async fn a_deployment_is_answered_what_was_found_or_one_sentence() {
    let stack = Stack::start().await;
    let api = stack.api_with(&[("CONNECTIONS_NEEDED", "10")]).await;
    let answer = api.lambda.invoke("probe", "{}".into()).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert!(answer["guarantee"].is_string() && answer["checks"][0]["ok"] == true, "{answer}");
    let api = stack.api_with(&[("CONNECTIONS_NEEDED", "4000000000")]).await;
    assert!(api.lambda.invoke("probe", "{}".into()).await.is_err());
    assert!(api.log().contains("4000000000 may be needed"), "{}", api.log());
}

#[tokio::test]
async fn elsewhere_it_is_done_at_once() {
    let stack = Stack::start().await;
    let run = |needed: &str| {
        let mut probe = Command::new(functions_folder().join("probe"));
        probe.env("DATABASE_URL", &stack.database_url).env("REDIS_URL", stack.cache_url());
        probe.env("CONNECTIONS_NEEDED", needed).env("LOG_LEVEL", "warn").output().unwrap()
    };
    let well = run("");
    assert!(well.status.success(), "{well:?}");
    assert!(serde_json::from_slice::<Value>(&well.stdout).unwrap()["guarantee"].is_string());
    let failed = run("4000000000");
    assert_eq!(failed.status.code(), Some(1));
    let said = String::from_utf8(failed.stderr).unwrap();
    assert!(said.ends_with("4000000000 may be needed\n") && failed.stdout.is_empty(), "{said}");
    assert!(String::from_utf8(run("many").stderr).unwrap().contains("CONNECTIONS_NEEDED"));
}
