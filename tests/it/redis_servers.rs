//! Each kind of server, in each state that it may be in.

use std::time::{Duration, SystemTime};

use conversation_core::{
    CacheConfig, CacheUpdate, Clock, ConversationStore, DatabaseConfig, Error, Limit, MessageId, Miss,
    Precondition, Range, Source,
};
use conversation_local::Certificates;
use conversation_tests::{
    Access, ClusterStack, Proxy, Server, Stack, at_port, batch, certificates, free_port, key, store_at, user,
    user_as,
};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands as _, cmd};
use sqlx::Executor as _;

use crate::cluster;

macro_rules! on_each_server {
    ($($test:ident),* $(,)?) => {
        mod on_valkey {
            $(#[tokio::test] async fn $test() { super::$test(conversation_tests::Server::Valkey).await; })*
        }
        mod on_redis {
            $(#[tokio::test] async fn $test() { super::$test(conversation_tests::Server::Redis).await; })*
        }
    };
}

on_each_server!(
    every_operation_works,
    the_user_of_a_deployment_may_do_what_the_store_does,
    a_connection_to_a_demoted_primary_is_given_up,
    a_replica_is_not_written_to,
    a_full_server_forgets,
    a_loading_server_is_left_alone,
    where_nobody_says_who_it_is_the_cache_is_checked_sooner,
    a_wrong_password_is_named,
);

async fn recent(store: &ConversationStore) -> (Vec<i64>, Source) {
    let read = store.recent(&key("c"), Limit::MAX, None).await.unwrap();
    let seqs = read.found.map(|page| page.items.iter().map(conversation_core::Message::seq).collect());
    (seqs.unwrap_or_default(), read.source)
}

async fn add(store: &ConversationStore) -> CacheUpdate {
    store.add(&key("c"), &batch([user("x")])).await.unwrap().cache_update
}

async fn info(redis: &mut MultiplexedConnection, section: &str) -> String {
    cmd("INFO").arg(section).query_async(redis).await.unwrap()
}

/// Waits until a server says something of itself.
async fn until(redis: &mut MultiplexedConnection, section: &str, so: &str) {
    for _ in 0..400 {
        if info(redis, section).await.contains(so) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it is not {so}: {}", info(redis, section).await);
}

/// Waits until the cache answers again. A server that was left alone is so for a second.
async fn until_hit(store: &ConversationStore, seqs: &[i64]) {
    for _ in 0..100 {
        let (read, source) = recent(store).await;
        assert_eq!(read, seqs);
        if source.is_hit() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no hit");
}

/// Makes a server the replica of another one.
async fn demote(redis: &mut MultiplexedConnection, primary: &Stack) {
    let url = primary.valkey.url();
    let password = url.split([':', '@']).nth(2).unwrap();
    cmd("CONFIG").arg("SET").arg("masterauth").arg(password).exec_async(redis).await.unwrap();
    let port = primary.valkey.port();
    cmd("REPLICAOF").arg("127.0.0.1").arg(port).exec_async(redis).await.unwrap();
}

async fn promote(redis: &mut MultiplexedConnection) {
    cmd("REPLICAOF").arg("NO").arg("ONE").exec_async(redis).await.unwrap();
}

/// Two of a kind; none if there is no such server.
async fn two(server: Server, first: &[&str]) -> Option<(Stack, Stack)> {
    let first = Stack::on(server, first).await?;
    Some((first, Stack::on(server, &[QUICK]).await?))
}

const QUICK: &str = "repl-diskless-sync-delay 0";

async fn every_operation_works(server: Server) {
    let Some(stack) = Stack::on(server, &[]).await else { return };
    everything(&stack.store()).await;
    let mut redis = stack.redis().await;
    // Scripts that a server has forgotten are brought again.
    cmd("SCRIPT").arg("FLUSH").exec_async(&mut redis).await.unwrap();
    let store = stack.store();
    store.add(&key("d"), &batch([user("x")])).await.unwrap();
    assert_eq!(store.recent(&key("d"), Limit::MAX, None).await.unwrap().source, Source::Hit);
}

async fn the_user_of_a_deployment_may_do_what_the_store_does(server: Server) {
    let Some(stack) = Stack::on(server, &[]).await else { return };
    let mut redis = stack.redis().await;
    let access = Access::of_the_template();
    // Redis 7.0, the oldest that is tried, does not know that command, and takes no rule about it.
    let is_known = |rule: &&String| server == Server::Valkey || *rule != "+client|setinfo";
    let rules: Vec<_> = access.rules().iter().filter(is_known).collect();
    let user = cmd("ACL").arg("SETUSER").arg("deployed").arg(">secret").arg(rules).take();
    user.exec_async(&mut redis).await.unwrap();
    let url = stack.valkey.url();
    let password = url.split([':', '@']).nth(2).unwrap();
    everything(&store_at(
        &stack.database_url,
        &url.replacen(&format!(":{password}@"), "deployed:secret@", 1),
    ))
    .await;
    let dry_run = async |command: &[&str]| -> String {
        let mut redis = stack.redis().await;
        cmd("ACL").arg("DRYRUN").arg("deployed").arg(command).query_async(&mut redis).await.unwrap()
    };
    // What only a cluster is asked.
    for allowed in [&["CLUSTER", "SLOTS"][..], &["ASKING"]] {
        assert_eq!(dry_run(allowed).await, "OK", "{allowed:?}");
    }
    for forbidden in [
        &["FLUSHALL"][..],
        &["CONFIG", "GET", "*"],
        &["KEYS", "*"],
        &["GET", "other"],
        &["CLIENT", "KILL", "ID", "1"],
        &["CLIENT", "PAUSE", "1"],
    ] {
        assert!(dry_run(forbidden).await.contains("no permissions"), "{forbidden:?}");
    }
}

async fn everything(store: &ConversationStore) {
    let messages = [user_as("a", "one"), user_as("b", "two")];
    assert_eq!(store.add(&key("c"), &batch(messages)).await.unwrap().cache_update, CacheUpdate::Applied);
    assert_eq!(recent(store).await, (vec![1, 2], Source::Hit));
    let deleted =
        store.delete_message(&key("c"), &MessageId::new("a").unwrap(), Precondition::None).await.unwrap();
    assert_eq!(deleted.cache_update, CacheUpdate::Applied);
    assert_eq!(recent(store).await, (vec![2], Source::Hit));
    let (database, cache) = store.health().await;
    assert!(database.is_ok() && cache.is_ok(), "{cache:?}");
    assert_eq!(store.delete(&key("c"), Precondition::None).await.unwrap(), CacheUpdate::Applied);
    assert_eq!(recent(store).await, (vec![], Source::Hit));
    let swept = store.sweep(Duration::from_secs(10)).await.unwrap();
    assert_eq!((swept.invalidations_drained, swept.unfinished), (0, false));
}

async fn a_connection_to_a_demoted_primary_is_given_up(server: Server) {
    let Some((old, new)) = two(server, &[QUICK]).await else { return };
    // The name of the primary, which leads elsewhere after a failover, while connections stay where they are.
    let name = Proxy::before(old.valkey.port()).await.unwrap();
    let store = store_at(&old.database_url, &at_port(&old.valkey.url(), name.port()));
    assert_eq!(add(&store).await, CacheUpdate::Applied);
    assert_eq!(recent(&store).await, (vec![1], Source::Hit));
    let url = old.valkey.url();
    let password = url.split([':', '@']).nth(2).unwrap();
    let mut new_redis = new.redis().await;
    cmd("CONFIG").arg("SET").arg("requirepass").arg(password).exec_async(&mut new_redis).await.unwrap();
    let mut old_redis = old.redis().await;
    cmd("CONFIG").arg("SET").arg("masterauth").arg(password).exec_async(&mut old_redis).await.unwrap();
    let port = new.valkey.port();
    cmd("REPLICAOF").arg("127.0.0.1").arg(port).exec_async(&mut old_redis).await.unwrap();
    until(&mut old_redis, "replication", "master_link_status:up").await;
    name.lead_to(port);

    // READONLY, at which nothing was done; what is owed is settled over the new connection.
    assert_eq!(add(&store).await, CacheUpdate::Applied);
    assert_eq!(recent(&store).await.0, [1, 2]);
    assert_eq!(add(&store).await, CacheUpdate::Applied);
    assert_eq!(recent(&store).await, (vec![1, 2, 3], Source::Hit));
    assert!(new_redis.exists::<_, bool>("conversation:{local/c}").await.unwrap(), "it is at the new primary");
}

async fn a_replica_is_not_written_to(server: Server) {
    let Some((stack, other)) = two(server, &[QUICK]).await else { return };
    let (store, mut redis) = (stack.store(), stack.redis().await);
    assert_eq!(add(&store).await, CacheUpdate::Applied);
    demote(&mut redis, &other).await;
    until(&mut redis, "replication", "master_link_status:up").await;
    assert_eq!(add(&store).await, CacheUpdate::Deferred);
    let (seqs, source) = recent(&store).await;
    assert_eq!(seqs, [1, 2]);
    assert!(matches!(source, Source::Miss { stored: false, .. }), "{source:?}");
    let refused = store.delete(&key("c"), Precondition::None).await.unwrap_err();
    assert!(matches!(refused, Error::CacheUnavailable(_)), "{refused}");
    promote(&mut redis).await;
    assert_eq!(store.sweep(Duration::from_secs(10)).await.unwrap().invalidations_drained, 1);
    assert_eq!(add(&store).await, CacheUpdate::Applied);
    assert_eq!(recent(&store).await, (vec![1, 2, 3], Source::Hit));
}

async fn a_full_server_forgets(server: Server) {
    let Some(stack) = Stack::on(server, &["maxmemory-policy noeviction"]).await else { return };
    let (store, mut redis) = (stack.store(), stack.redis().await);
    let limit = |bytes: u64| cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).to_owned();
    assert_eq!(add(&store).await, CacheUpdate::Applied);
    limit(1).exec_async(&mut redis).await.unwrap();
    assert_eq!(add(&store).await, CacheUpdate::Applied, "the entry was dropped");
    assert_eq!(recent(&store).await.0, [1, 2]);
    assert!(!redis.exists::<_, bool>("conversation:{local/c}").await.unwrap());
    limit(0).exec_async(&mut redis).await.unwrap();
    recent(&store).await;
    assert_eq!(recent(&store).await, (vec![1, 2], Source::Hit));
}

async fn a_loading_server_is_left_alone(server: Server) {
    // A replica loads what its primary has, and that slowly.
    let slowly = [QUICK, "key-load-delay 1000", "loading-process-events-interval-bytes 1024"];
    let Some((stack, other)) = two(server, &slowly).await else { return };
    let much = "for n = 1, 2000 do redis.call('SET', n, string.rep('x', 100)) end";
    cmd("EVAL").arg(much).arg(0).exec_async(&mut other.redis().await).await.unwrap();
    let (store, mut redis) = (stack.store(), stack.redis().await);
    assert_eq!(add(&store).await, CacheUpdate::Applied);
    demote(&mut redis, &other).await;
    until(&mut redis, "persistence", "\nloading:1").await;
    let (seqs, source) = recent(&store).await;
    assert_eq!((seqs, source), (vec![1], Source::Miss { reason: Miss::Unreachable, stored: false }));
    assert_eq!(add(&store).await, CacheUpdate::Deferred);
    assert_eq!(recent(&store).await.0, [1, 2]);
    assert!(info(&mut redis, "persistence").await.contains("\nloading:1"), "it still does");
    until(&mut redis, "persistence", "\nloading:0").await;
    promote(&mut redis).await;
    until_hit(&store, &[1, 2]).await;
}

async fn where_nobody_says_who_it_is_the_cache_is_checked_sooner(server: Server) {
    let Some(stack) = Stack::on(server, &["user blind on >secret ~* &* +@all -info -time"]).await else {
        return;
    };
    let url = stack.valkey.url();
    let (_, host) = url.split_once('@').unwrap();
    let url = format!("redis://blind:secret@{host}");
    // The server refuses to say it, or is known not to.
    for serverless in ["false", "true"] {
        let blind =
            |ahead: u64| store_ahead(&stack, &[("REDIS_URL", &url), ("REDIS_SERVERLESS", serverless)], ahead);
        assert_eq!(add(&blind(0)).await, CacheUpdate::Applied);
        assert_eq!(recent(&blind(25)).await.1, Source::BoundedHit);
        let check = Source::Miss { reason: Miss::Expired, stored: true };
        assert_eq!(recent(&blind(40)).await.1, check);
        assert_eq!(recent(&blind(45)).await.1, Source::BoundedHit);
        // Who knows the server again believes what it finds for no longer.
        let knowing = |ahead: u64| store_ahead(&stack, &[("REDIS_URL", &stack.valkey.url())], ahead);
        assert_eq!(recent(&knowing(80)).await.1, check);
        assert_eq!(recent(&knowing(3_600)).await.1, Source::Hit);
        // Nor does who does not know it believe for an hour what the other validated.
        assert_eq!(recent(&blind(90)).await.1, Source::BoundedHit);
        assert_eq!(recent(&blind(180)).await.1, check);
        assert_eq!(blind(0).delete(&key("c"), Precondition::None).await.unwrap(), CacheUpdate::Applied);
        assert_eq!(recent(&blind(0)).await.0, [0_i64; 0]);
        stack
            .postgres()
            .await
            .execute("truncate conversations, messages, pending_invalidations, purges")
            .await
            .unwrap();
        cmd("FLUSHALL").exec_async(&mut stack.redis().await).await.unwrap();
    }
}

/// A store whose clock is so many seconds ahead.
fn store_ahead(stack: &Stack, settings: &[(&str, &str)], seconds: u64) -> ConversationStore {
    let clock = Clock::new(move || SystemTime::now() + Duration::from_secs(seconds));
    let database = DatabaseConfig::from_url(&stack.database_url).unwrap();
    conversation_core::store(&database, &CacheConfig::from_settings(settings).unwrap().with_clock(clock))
}

async fn a_wrong_password_is_named(server: Server) {
    let Some(stack) = Stack::on(server, &[]).await else { return };
    let url = stack.valkey.url();
    let (_, host) = url.split_once('@').unwrap();
    for wrong in [format!("redis://:wrong@{host}"), format!("redis://{host}")] {
        let store = store_at(&stack.database_url, &wrong);
        let cache_update = add(&store).await;
        let said = store.health().await.1.unwrap_err().to_string();
        assert_eq!(cache_update, CacheUpdate::Deferred, "{wrong}");
        assert!(said.contains("REDIS_URL has the wrong user or password"), "{said}");
    }
}

/// Redis with TLS at a port of its own, and the settings that lead there.
async fn with_tls(more: &[&str]) -> Option<(Stack, Certificates, String)> {
    let (certificates, port) = (certificates()?, free_port());
    let mut configuration = certificates.configuration(port);
    configuration.extend(more.iter().map(ToString::to_string));
    configuration.push("user app on >secret ~* &* +@all".into());
    let configuration: Vec<&str> = configuration.iter().map(String::as_str).collect();
    let stack = Stack::on(Server::Redis, &configuration).await?;
    Some((stack, certificates, format!("rediss://app:secret@127.0.0.1:{port}/")))
}

fn store_with(stack: &Stack, settings: &[(&str, &str)]) -> ConversationStore {
    let database = DatabaseConfig::from_url(&stack.database_url).unwrap();
    conversation_core::store(&database, &CacheConfig::from_settings(settings).unwrap())
}

#[tokio::test]
async fn tls_holds_to_the_authorities_that_it_is_given() {
    let Some((stack, certificates, url)) = with_tls(&[]).await else { return };
    let authority = certificates.authority();
    everything(&store_with(&stack, &[("REDIS_URL", &url), ("REDIS_CA_FILE", &authority)])).await;
    // To everybody else the server is a stranger.
    let distrustful = store_with(&stack, &[("REDIS_URL", &url)]);
    let said = distrustful.health().await.1.unwrap_err().to_string();
    assert!(said.contains("certificate"), "{said}");
    let probed = store_with(&stack, &[("REDIS_URL", &url)]).probe(None).await.unwrap_err().to_string();
    assert!(
        probed.starts_with("Redis is reached: there is no TLS with Redis, REDIS_CA_FILE has to"),
        "{probed}"
    );
    let added = distrustful.add(&key("d"), &batch([user("x")])).await.unwrap();
    assert_eq!(added.cache_update, CacheUpdate::Deferred);
    let history = distrustful.history(&key("d"), Range::After(0), Limit::MAX, None).await.unwrap();
    assert_eq!(history.found.unwrap().items.len(), 1);
    let plain = [("REDIS_URL", "redis://127.0.0.1"), ("REDIS_CA_FILE", &authority)];
    let said = CacheConfig::from_settings(&plain).unwrap_err().to_string();
    assert!(said.starts_with("REDIS_CA_FILE") && said.contains("rediss://"), "{said}");
}

#[tokio::test]
async fn a_cluster_is_found_through_tls() {
    let bus = format!("cluster-port {}", free_port());
    let more = ["cluster-enabled yes", "tls-cluster yes", &bus];
    let Some((stack, certificates, url)) = with_tls(&more).await else { return };
    let mut redis = stack.redis().await;
    // A server that never met another knows no address of its own.
    cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(0).arg(16_383).exec_async(&mut redis).await.unwrap();
    for _ in 0..400 {
        let info: String = cmd("CLUSTER").arg("INFO").query_async(&mut redis).await.unwrap();
        if info.contains("cluster_state:ok") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let authority = certificates.authority();
    let settings = [("REDIS_URL", url.as_str()), ("REDIS_CLUSTER", "true"), ("REDIS_CA_FILE", &authority)];
    everything(&store_with(&stack, &settings)).await;
}

#[tokio::test]
async fn a_cluster_of_redis_works_as_one_of_valkey() {
    let Some(stack) = ClusterStack::on(Server::Redis).await else { return };
    cluster::every_operation(&stack).await;
    cluster::a_moved_slot(&stack).await;
    cluster::a_slot_on_its_way(&stack).await;
}
