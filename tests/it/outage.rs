//! Stores that refuse, hang or are full.

use std::time::{Duration, Instant};

use conversation_core::{CacheUpdate, ConversationStore, Limit, Message, Source};
use conversation_tests::{Stack, batch, key, user};
use redis::AsyncCommands as _;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection as _, PgConnection};

const PATH: &str = "/v1/conversations/c/messages";

fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

async fn pending_invalidations(stack: &Stack) -> i64 {
    sqlx::query_scalar("select count(*) from pending_invalidations")
        .fetch_one(&mut stack.postgres().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn without_redis_everything_but_deletion_works_and_says_so() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    assert_eq!(api.post(PATH, user("one")).await.status, 200);
    let nowhere = [("REDIS_URL", "redis://127.0.0.1:1/")];
    let api = stack.api_with(&nowhere).await;
    let added = api.post(PATH, user("two")).await;
    assert_eq!(
        (added.status, added.cache_status.as_deref()),
        (200, Some("redis; fwd=method; detail=deferred"))
    );
    for path in [PATH, "/v1/conversations/c"] {
        let read = api.get(path).await;
        assert_eq!(
            (read.status, read.cache_status.as_deref()),
            (200, Some("redis; fwd=miss; detail=unreachable"))
        );
    }
    assert_eq!(api.get(PATH).await.seqs(), [1, 2]);
    assert_eq!(api.get("/v1/conversations").await.status, 200);
    assert_eq!(api.get("/v1/health?deep=1").await.at("/status"), "degraded");
    assert_eq!(pending_invalidations(&stack).await, 1, "the invalidation is deferred");
    let refused = api.delete("/v1/conversations/c").await;
    assert_eq!((refused.status, refused.at("/error/code")), (503, "cache_unavailable".into()));
    assert_eq!(refused.retry_after.as_deref(), Some("1"));
    assert_eq!(api.get(PATH).await.seqs(), [1, 2], "nothing was deleted");
}

#[tokio::test]
async fn a_hanging_redis_costs_its_time_out_and_no_more() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    assert_eq!(api.post(PATH, user("one")).await.status, 200);
    assert!(api.get(PATH).await.is_hit());
    let pid = stack.valkey.pid().unwrap();
    send(pid, Signal::STOP);
    for attempt in 0..2 {
        let began = Instant::now();
        let read = api.get(PATH).await;
        assert_eq!(
            (read.status, read.cache_status.as_deref()),
            (200, Some("redis; fwd=miss; detail=unreachable"))
        );
        assert!(began.elapsed() < Duration::from_secs(3), "{attempt}: {:?}", began.elapsed());
    }
    let began = Instant::now();
    let added = api.post(PATH, user("two")).await;
    assert_eq!(
        (added.status, added.cache_status.as_deref()),
        (200, Some("redis; fwd=method; detail=deferred"))
    );
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    send(pid, Signal::CONT);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(
        api.post(PATH, user("three")).await.cache_status.as_deref(),
        Some("redis; fwd=method; stored")
    );
    // What was sent to it meanwhile it does now: an intent may stand, and keep readers away, until it is taken for dead.
    for _ in 0..100 {
        let read = api.get(PATH).await;
        assert_eq!(read.seqs(), [1, 2, 3]);
        if read.is_hit() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the cache did not come back: {}", api.log());
}

async fn recent(store: &ConversationStore) -> (Vec<i64>, Source) {
    let read = store.recent(&key("c"), Limit::MAX, None).await.unwrap();
    (read.found.unwrap().items.iter().map(Message::seq).collect(), read.source)
}

#[tokio::test]
async fn one_answer_that_came_late_hides_no_write_after_it() {
    let stack = Stack::start().await;
    let (writer, reader) = (stack.store(), stack.store());
    writer.add(&key("c"), &batch([user("one")])).await.unwrap();
    assert_eq!(recent(&reader).await, (vec![1], Source::Hit));
    let server = stack.valkey.pid().unwrap();
    send(server, Signal::STOP);
    assert_ne!(recent(&writer).await.1, Source::Hit);
    send(server, Signal::CONT);
    assert_eq!(recent(&reader).await, (vec![1], Source::Hit), "the server answers again");
    let added = writer.add(&key("c"), &batch([user("two")])).await.unwrap();
    assert_eq!((added.cache_update, recent(&reader).await.0), (CacheUpdate::Applied, vec![1, 2]));
}

#[tokio::test]
async fn a_full_redis_is_told_to_forget_what_it_cannot_be_told() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let mut redis = stack.redis().await;
    assert_eq!(api.post(PATH, user("one")).await.status, 200);
    assert!(api.get(PATH).await.is_hit());
    let limit = |bytes: &'static str| redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).to_owned();
    limit("1").exec_async(&mut redis).await.unwrap();
    let added = api.post(PATH, user("two")).await;
    assert_eq!(added.status, 200, "{}", added.text);
    let read = api.get(PATH).await;
    assert_eq!((read.status, read.seqs()), (200, vec![1, 2]), "readers who reach it are not misled");
    assert_eq!(pending_invalidations(&stack).await, 0, "the entry was dropped, so nothing is pending");
    limit("0").exec_async(&mut redis).await.unwrap();
    api.get(PATH).await;
    assert!(api.get(PATH).await.is_hit());
    limit("1").exec_async(&mut redis).await.unwrap();
    assert_eq!(api.delete("/v1/conversations/c").await.status, 200, "deleting needs no room");
    assert_eq!(api.get(PATH).await.status, 404);
    assert!(!redis.exists::<_, bool>("conversation:{local/c}:messages").await.unwrap());
}

#[tokio::test]
async fn without_postgres_cached_reads_go_on_and_the_rest_is_503() {
    let mut stack = Stack::with_own_postgres().await;
    let api = stack.api().await;
    assert_eq!(api.post(PATH, user("one")).await.status, 200);
    assert_eq!(api.post("/v1/conversations/d/messages", user("one")).await.status, 200);
    stack.postgres = None;
    assert!(api.get(PATH).await.is_hit());
    assert!(api.get("/v1/conversations/c").await.is_hit());
    for (method, path) in [
        // On the connection of the adds before stands how the server took its leave, which may be of any statement.
        ("POST", "/v1/conversations/c/messages"),
        ("POST", "/v1/conversations/d/messages"),
        ("POST", "/v1/conversations"),
        ("GET", "/v1/conversations"),
        ("GET", "/v1/conversations/cold"),
        ("GET", "/v1/conversations/c/messages?after=0"),
        ("DELETE", "/v1/conversations/d"),
        ("GET", "/v1/health?deep=1"),
    ] {
        let began = Instant::now();
        let body = if path == "/v1/conversations" { "{}".to_owned() } else { user("two") };
        let answer =
            api.send(api.request(method, path).header("content-type", "application/json").body(body)).await;
        let what = format!("{method} {path}: {}", answer.text);
        assert_eq!((answer.status, answer.retry_after.as_deref()), (503, Some("1")), "{what}");
        assert!(began.elapsed() < Duration::from_secs(3), "{what}: {:?}", began.elapsed());
    }
    let still = api.get("/v1/conversations/d/messages").await;
    assert!(still.is_hit(), "a write that certainly was not done leaves no intent: {still:?}");
}

#[tokio::test]
async fn a_hanging_postgres_is_503_within_three_seconds_and_leaves_nothing_half_written() {
    let stack = Stack::with_own_postgres().await;
    let api = stack.api().await;
    assert_eq!(api.post(PATH, user("one")).await.status, 200);
    let postmaster = stack.postgres.as_ref().unwrap().pid().unwrap();
    let backends = children_of(postmaster);
    for pid in backends.iter().chain([&postmaster]) {
        send(*pid, Signal::STOP);
    }
    let began = Instant::now();
    let (added, listed) = tokio::join!(api.post(PATH, user("two")), api.get("/v1/conversations"));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!((added.status, added.retry_after.as_deref()), (503, Some("1")), "{}", added.text);
    assert_eq!(listed.status, 503, "{}", listed.text);
    for pid in backends.iter().chain([&postmaster]) {
        // A backend may have ended in the meantime.
        let _ = kill_process(Pid::from_raw(i32::try_from(*pid).unwrap()).unwrap(), Signal::CONT);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let seqs = api.get(PATH).await.seqs();
    assert!(seqs == [1] || seqs == [1, 2], "{seqs:?}: whole or not at all");
    let next = api.post(PATH, user("three")).await;
    assert_eq!(next.seqs(), [i64::try_from(seqs.len()).unwrap() + 1]);
}

fn children_of(pid: u32) -> Vec<u32> {
    let output = std::process::Command::new("pgrep").args(["-P", &pid.to_string()]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.parse().unwrap()).collect()
}

#[tokio::test]
async fn an_empty_redis_after_a_restart_is_a_cold_one() {
    let mut stack = Stack::start().await;
    assert_eq!(stack.api().await.post(PATH, user("one")).await.status, 200);
    stack.valkey = Stack::start().await.valkey;
    let api = stack.api().await;
    let (first, second) = (api.get(PATH).await, api.get(PATH).await);
    assert_eq!(first.cache_status.as_deref(), Some("redis; fwd=miss; detail=cold; stored"));
    assert_eq!((second.is_hit(), second.text), (true, first.text));
}

#[tokio::test]
async fn lost_connections_are_made_anew_without_an_error_for_the_caller() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    assert_eq!(api.post(PATH, user("one")).await.status, 200);
    assert!(api.get(PATH).await.is_hit());
    let mut redis = stack.redis().await;
    redis::cmd("CLIENT").arg("KILL").arg("SKIPME").arg("yes").exec_async(&mut redis).await.unwrap();
    let read = api.get(PATH).await;
    assert!(read.is_hit(), "{read:?}");
    redis::cmd("CLIENT").arg("KILL").arg("SKIPME").arg("yes").exec_async(&mut redis).await.unwrap();
    let added = api.post(PATH, user("two")).await;
    assert_eq!((added.status, added.cache_status.as_deref()), (200, Some("redis; fwd=method; stored")));
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    sqlx::query(kill).execute(&mut stack.postgres().await).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(api.post(PATH, user("three")).await.seqs(), [3]);
}

/// The server ends the connection of an add that waits for a lock. What it says then could have come after a commit, too.
#[tokio::test]
async fn an_add_whose_connection_the_server_ends_may_have_been_done() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    assert_eq!(api.post(PATH, user("one")).await.status, 200);
    let mut locker = stack.postgres().await;
    sqlx::raw_sql("begin; select 1 from conversations where shard = shard_of('local') for update")
        .execute(&mut locker)
        .await
        .unwrap();
    let mut other = stack.postgres().await;
    let end = async {
        let kill = "select count(pg_terminate_backend(pid)) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'";
        let mut ended = 0_i64;
        while ended == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            ended = sqlx::query_scalar(kill).fetch_one(&mut other).await.unwrap();
        }
    };
    let (added, ()) = tokio::join!(api.post(PATH, user("two")), end);
    assert_eq!((added.status, added.at("/error/code")), (503, "outcome_unknown".into()), "{added:?}");
    sqlx::raw_sql("rollback").execute(&mut locker).await.unwrap();
    let read = api.get(PATH).await;
    assert_eq!((read.is_hit(), read.seqs()), (false, vec![1]), "its intent stands");
    assert_eq!(api.post(PATH, user("two")).await.seqs(), [2]);
}

#[tokio::test]
async fn a_connection_is_waited_for_while_postgres_is_full() {
    let stack = Stack::start().await;
    let role = format!("app_{}", uuid::Uuid::new_v4().simple());
    let allow = format!(
        "create role {role} login password 'secret' connection limit 1; grant select on all tables in schema public to {role}"
    );
    let mut postgres = stack.postgres().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(allow)).execute(&mut postgres).await.unwrap();
    let (_, server) = stack.database_url.split_once('@').unwrap();
    let url = format!("postgres://{role}:secret@{server}");
    let api = stack.api_with(&[("DATABASE_URL", &url)]).await;
    // Begins the function, without a question to Postgres.
    assert_eq!(api.get("/v1/conversations?limit=0").await.status, 400);
    let only = PgConnection::connect(&url).await.unwrap();
    let leave = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        only.close().await.unwrap();
    };
    let (listed, ()) = tokio::join!(api.get("/v1/conversations"), leave);
    assert_eq!(listed.status, 200, "{listed:?}");
}
