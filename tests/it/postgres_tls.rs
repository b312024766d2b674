//! Postgres as it is installed from a package, reached through TLS.

use conversation_core::{ConversationStore, DatabaseConfig, Error, Limit};
use conversation_local::Certificates;
use conversation_tests::{Stack, batch, certificates, key, packaged_postgres, user};
use sqlx::PgConnection;

/// A Postgres that lets users in through TLS alone, and one of whom it knows the password.
async fn with_tls() -> Option<(Stack, Certificates)> {
    let certificates = certificates()?;
    let made = tokio::task::spawn_blocking(move || {
        let postgres = packaged_postgres(&certificates, "hostssl all app 127.0.0.1/32 scram-sha-256");
        postgres.map(|postgres| (Stack::with_postgres(postgres), certificates))
    });
    let (stack, certificates) = made.await.unwrap()?;
    run(&mut stack.postgres().await, "create role app login superuser password 'first'").await;
    Some((stack, certificates))
}

async fn run(postgres: &mut PgConnection, statement: &'static str) {
    sqlx::raw_sql(statement).execute(postgres).await.unwrap();
}

/// A store that logs in as `app`, at that host and with those words about TLS.
fn store_as(stack: &Stack, password: &str, host: &str, query: &str) -> ConversationStore {
    let port = stack.postgres.as_ref().unwrap().port();
    let url = format!("postgres://app:{password}@{host}:{port}/own?{query}");
    let cache = conversation_core::CacheConfig::from_url(&stack.valkey.url(), "").unwrap();
    conversation_core::store(&DatabaseConfig::from_url(&url).unwrap(), &cache)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_has_to_prove_its_name_by_an_authority_that_is_known() {
    let Some((stack, certificates)) = with_tls().await else { return };
    let stranger = conversation_tests::certificates().unwrap();
    let full =
        |certificates: &Certificates| format!("sslmode=verify-full&sslrootcert={}", certificates.authority());
    let known = store_as(&stack, "first", "127.0.0.1", &full(&certificates));
    known.add(&key("c"), &batch([user("x")])).await.unwrap();
    let encrypted = "select ssl from pg_stat_ssl join pg_stat_activity using (pid) where usename = 'app'";
    let encrypted: bool = sqlx::query_scalar(encrypted).fetch_one(&mut stack.postgres().await).await.unwrap();
    assert!(encrypted);
    for (host, query, why) in [
        // Of the same name as the authority that signed, so that it is found, and did not.
        ("127.0.0.1", full(&stranger), "BadSignature"),
        ("127.0.0.1", "sslmode=verify-full".into(), "UnknownIssuer"),
        ("localhost", full(&certificates), "not valid for name"),
        ("127.0.0.1", "sslmode=disable".into(), "no encryption"),
    ] {
        let store = store_as(&stack, "first", host, &query);
        let error = store.add(&key("c"), &batch([user("y")])).await.unwrap_err();
        assert!(
            matches!(&error, Error::DatabaseUnavailable(said) if said.contains(why)),
            "{query}: {error:?}"
        );
        let probed = store.probe(None).await.unwrap_err().to_string();
        let names_the_authority = probed.contains("there is no TLS with Postgres, sslrootcert has to name");
        assert_eq!(names_the_authority, query.contains("verify-full"), "{probed}");
    }
    assert_eq!(known.recent(&key("c"), Limit::MAX, None).await.unwrap().found.unwrap().items.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_may_be_changed_while_connections_are_open() {
    let Some((stack, certificates)) = with_tls().await else { return };
    let query = format!("sslmode=verify-full&sslrootcert={}", certificates.authority());
    let store = |password: &str| store_as(&stack, password, "127.0.0.1", &query);
    let add = async |store: &ConversationStore| store.add(&key("c"), &batch([user("x")])).await.map(drop);
    let before = store("first");
    add(&before).await.unwrap();
    run(&mut stack.postgres().await, "alter role app password 'second'").await;
    add(&before).await.unwrap();
    let after = store("second");
    add(&after).await.unwrap();
    let error = add(&store("first")).await.unwrap_err();
    assert!(
        matches!(&error, Error::DatabaseUnavailable(said) if said.contains("password authentication failed")),
        "{error:?}"
    );
    let connections = "select count(*) from pg_stat_activity where usename = 'app'";
    let connections: i64 =
        sqlx::query_scalar(connections).fetch_one(&mut stack.postgres().await).await.unwrap();
    assert_eq!(connections, 2, "one of before, and one of after");
}
