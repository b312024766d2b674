//! Logins with tokens of AWS IAM, to servers that look at what they are given.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use conversation_local::workspace;
use conversation_tests::{
    Api, Aws, Presented, Stack, certificates, packaged_postgres, tokens_of_botocore, user,
};
use serde_json::Value;

const MESSAGES: &str = "/v1/conversations/c/messages";

/// The keys of tokens, each with whether it was good.
fn keys(presented: &[Presented]) -> Vec<(&str, bool)> {
    presented.iter().map(|presented| (presented.key.as_str(), presented.accepted)).collect()
}

async fn api(stack: &Stack, aws: &Aws, more: &[(&str, &str)]) -> Api {
    let settings = aws.settings();
    let mut changes: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    changes.extend(more);
    stack.api_with(&changes).await
}

/// Nothing that is logged, even with everything logged, would let anybody in.
fn kept_quiet(api: &Api) {
    let log = api.log();
    assert!(log.len() > 1_000, "nothing was logged: {log}");
    for secret in ["X-Amz-Signature=", "a/secret+key", "a session/token==", "session%2Ftoken"] {
        assert!(!log.contains(secret), "{secret} was logged: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vectors_are_what_botocore_makes() {
    let vectors = std::fs::read_to_string(workspace().join("core/src/iam/vectors.json")).unwrap();
    let vectors: Value = serde_json::from_str(&vectors).unwrap();
    let made = tokens_of_botocore(&vectors).unwrap();
    let recorded = vectors.as_array().unwrap().iter().map(|vector| vector["token"].as_str().unwrap());
    assert_eq!(made, recorded.collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_entered_with_tokens_and_a_refused_one_is_replaced() {
    let Some(certificates) = certificates() else { return };
    let (stack, mut aws) = (Stack::start().await, Aws::start().await);
    let port = aws.before_redis(&certificates, "conversations", &stack.valkey.url()).await;
    let url = format!("rediss://app@127.0.0.1:{port}/");
    let authority = certificates.authority();
    let api = api(
        &stack,
        &aws,
        &[
            ("REDIS_URL", &url),
            ("REDIS_CA_FILE", &authority),
            ("REDIS_AUTH", "iam"),
            ("REDIS_CACHE_NAME", "conversations"),
            ("REDIS_SERVERLESS", "true"),
            ("LOG_LEVEL", "trace"),
        ],
    )
    .await;
    assert_eq!(api.post(MESSAGES, user("x")).await.status, 200);
    let read = api.get(MESSAGES).await;
    assert!(read.is_hit(), "{read:?} {}", api.log());
    let first = aws.presented();
    assert_eq!(keys(&first), [("KEY1", true), ("KEY1", true)], "one connection each of two functions");
    // The token is good for a while yet, and its key is not.
    aws.change_key();
    aws.close_redis();
    let read = api.get(MESSAGES).await;
    assert!(read.is_hit(), "{read:?}");
    let second = aws.presented();
    assert_eq!(keys(&second), [("KEY1", false), ("KEY2", true)]);
    // Opened again with what worked.
    aws.close_redis();
    let read = api.get(MESSAGES).await;
    assert!(read.is_hit(), "{read:?}");
    let third = aws.presented();
    assert_eq!(keys(&third), [("KEY2", true)]);
    assert_eq!(aws.asked(), 3);
    kept_quiet(&api);
    tokio::task::spawn_blocking(move || Aws::are_of_botocore(&[first, second, third].concat()))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_entered_with_tokens_and_a_refused_one_is_replaced() {
    let Some(certificates) = certificates() else { return };
    let (mut aws, port) = (Aws::start().await, Arc::new(AtomicU16::new(0)));
    let known = Arc::clone(&port);
    let ldap = aws.behind_postgres(move || format!("127.0.0.1:{}", known.load(Ordering::SeqCst))).await;
    let rule = format!(
        "hostssl all app 127.0.0.1/32 ldap ldapserver=127.0.0.1 ldapport={ldap} ldapprefix=\"cn=\" ldapsuffix=\"\""
    );
    let made = tokio::task::spawn_blocking(move || {
        packaged_postgres(&certificates, &rule).map(|postgres| (Stack::with_postgres(postgres), certificates))
    });
    let Some((stack, certificates)) = made.await.unwrap() else { return };
    let mut postgres = stack.postgres().await;
    sqlx::raw_sql("create role app login superuser").execute(&mut postgres).await.unwrap();
    port.store(stack.postgres.as_ref().unwrap().port(), Ordering::SeqCst);
    let port = port.load(Ordering::SeqCst);
    let url = format!("postgres://app@127.0.0.1:{port}/own?sslrootcert={}", certificates.authority());
    let api =
        api(&stack, &aws, &[("DATABASE_URL", &url), ("DATABASE_AUTH", "iam"), ("LOG_LEVEL", "trace")]).await;
    assert_eq!(api.post(MESSAGES, user("x")).await.status, 200, "{}", api.log());
    assert_eq!(api.get("/v1/conversations").await.status, 200);
    let first = aws.presented();
    assert_eq!(keys(&first), [("KEY1", true), ("KEY1", true)]);
    // A connection lives on, whatever becomes of the token that it was opened with.
    aws.change_key();
    assert_eq!(api.get("/v1/conversations").await.status, 200);
    assert_eq!(aws.presented().len(), 0);
    let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'app'";
    let ended: i64 = sqlx::query_scalar(end).fetch_one(&mut postgres).await.unwrap();
    assert_eq!(ended, 2);
    // From a second on a connection is tried before it is used.
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    assert_eq!(api.get("/v1/conversations").await.status, 200, "{}", api.log());
    let second = aws.presented();
    assert_eq!(keys(&second), [("KEY1", false), ("KEY2", true)]);
    kept_quiet(&api);
    tokio::task::spawn_blocking(move || Aws::are_of_botocore(&[first, second].concat())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_nobody_is_asked() {
    let stack = Stack::start().await;
    let url = "postgres://app@127.0.0.1:1/c";
    let api = stack
        .api_with(&[("DATABASE_URL", url), ("DATABASE_AUTH", "iam"), ("AWS_REGION", "eu-central-1")])
        .await;
    assert_eq!(api.get("/v1/conversations").await.status, 503);
    assert!(api.log().contains("no IAM token: "), "{}", api.log());
}
