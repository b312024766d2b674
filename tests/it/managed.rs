//! The front that stands for ElastiCache Serverless, asked as any client could ask it.

use std::time::Duration;

use conversation_core::{CacheUpdate, Limit, Message};
use conversation_tests::{Access, Kind, Manners, Stack, batch, key, user};
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script, Value, cmd};

/// A cache whose user may do everything that it lets anybody do.
fn open() -> Manners {
    Manners { access: Access::to_everything(), ..Manners::of(Kind::Serverless) }
}

async fn connect(stack: &Stack) -> MultiplexedConnection {
    let client = redis::Client::open(stack.cache_url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

async fn ask(redis: &mut MultiplexedConnection, line: &str) -> RedisResult<Value> {
    let mut words = line.split(' ');
    let mut command = cmd(words.next().unwrap());
    words.fold(&mut command, |command, word| command.arg(word)).query_async(redis).await
}

async fn refused(redis: &mut MultiplexedConnection, line: &str) -> String {
    match ask(redis, line).await {
        Err(error) => error.to_string(),
        Ok(answer) => panic!("{line}: {answer:?}"),
    }
}

async fn run(redis: &mut MultiplexedConnection, text: &str) -> RedisResult<Value> {
    cmd("EVAL").arg(text).arg(1).arg("k").query_async(redis).await
}

#[tokio::test]
async fn data_passes_as_it_is() {
    let stack = Stack::behind(open()).await;
    let mut redis = connect(&stack).await;
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    cmd("HSET").arg("k").arg("f").arg(&bytes).arg("empty").arg("").exec_async(&mut redis).await.unwrap();
    let (whole, empty, none): (Vec<u8>, Vec<u8>, Option<Vec<u8>>) = redis::pipe()
        .cmd("HGET")
        .arg("k")
        .arg("f")
        .cmd("HGET")
        .arg("k")
        .arg("empty")
        .cmd("HGET")
        .arg("k")
        .arg("nothing")
        .query_async(&mut redis)
        .await
        .unwrap();
    assert!(whole == bytes && empty.is_empty() && none.is_none());
    let in_transaction: (i64, Vec<String>) = redis::pipe()
        .atomic()
        .cmd("RPUSH")
        .arg("{k}l")
        .arg("a")
        .arg("b")
        .cmd("LRANGE")
        .arg("{k}l")
        .arg(0)
        .arg(-1)
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(in_transaction, (2, vec!["a".into(), "b".into()]));
    assert!(refused(&mut redis, "LPOP k").await.contains("WRONGTYPE"));
}

#[tokio::test]
async fn it_is_one_node_that_names_no_server() {
    let stack = Stack::behind(open()).await;
    let mut redis = connect(&stack).await;
    let port = i64::from(stack.front.as_ref().unwrap().port());
    let slots: Vec<(i64, i64, (String, i64, String))> =
        cmd("CLUSTER").arg("SLOTS").query_async(&mut redis).await.map(first_three).unwrap();
    assert_eq!(slots.len(), 1);
    let (from, to, (host, at, _)) = &slots[0];
    assert_eq!((*from, *to, host.as_str(), *at), (0, 16_383, "127.0.0.1", port));
    let shards: Vec<Value> = cmd("CLUSTER").arg("SHARDS").query_async(&mut redis).await.unwrap();
    assert_eq!(shards.len(), 1);
    assert!(format!("{shards:?}").contains(&port.to_string()));
    for section in ["replication", "everything"] {
        let info: String = cmd("INFO").arg(section).query_async(&mut redis).await.unwrap();
        assert!(info.contains("redis_mode:cluster") && !info.contains("replid") && !info.contains("role:"));
    }
    ask(&mut redis, "TIME").await.unwrap();
}

/// The ranges with what is known of their primary, without the list of its other names.
fn first_three(ranges: Vec<(i64, i64, Vec<Value>)>) -> Vec<(i64, i64, (String, i64, String))> {
    let node = |node: Vec<Value>| redis::from_redis_value(Value::Array(node[..3].to_vec())).unwrap();
    ranges.into_iter().map(|(from, to, primary)| (from, to, node(primary))).collect()
}

#[tokio::test]
async fn scripts_and_transactions_get_neither_the_time_nor_the_server() {
    let stack = Stack::behind(open()).await;
    let mut redis = connect(&stack).await;
    for command in ["'TIME'", "'INFO', 'replication'"] {
        let said = run(&mut redis, &format!("return redis.call({command})")).await.unwrap_err().to_string();
        assert!(said.contains("This Redis command is not allowed from script"), "{said}");
        let caught = run(&mut redis, &format!("return type(redis.pcall({command}).err)")).await.unwrap();
        assert_eq!(caught, Value::BulkString(b"string".to_vec()));
    }
    for command in ["INFO", "TIME"] {
        ask(&mut redis, "MULTI").await.unwrap();
        ask(&mut redis, "HSET k f 1").await.unwrap();
        assert!(refused(&mut redis, command).await.contains("transaction"));
        assert!(refused(&mut redis, "EXEC").await.contains("discarded"));
        assert_eq!(ask(&mut redis, "HGET k f").await.unwrap(), Value::Nil);
    }
}

#[tokio::test]
async fn nobody_administers_it() {
    let stack = Stack::behind(open()).await;
    let mut redis = connect(&stack).await;
    for line in [
        "CONFIG GET *",
        "DEBUG OBJECT k",
        "FLUSHALL",
        "KEYS *",
        "CLIENT KILL ID 1",
        "CLIENT PAUSE 1",
        "SCRIPT FLUSH",
        "SELECT 1",
        "MONITOR",
        "REPLICAOF NO ONE",
        "ACL LIST",
        "CLUSTER RESET",
        "EVAL return 0",
        "ROLE",
    ] {
        let said = refused(&mut redis, line).await;
        let name = line.split(' ').next().unwrap();
        assert!(said.to_lowercase().contains(&name.to_lowercase()), "{line}: {said}");
    }
    let refused = stack.front.as_ref().unwrap().refused();
    assert!(refused.iter().any(|refused| refused.starts_with("monitor: ")), "{refused:?}");
    let many = (0..4_000).fold(cmd("HDEL"), |mut command, n| command.arg(n).take());
    let said = many.query_async::<()>(&mut redis).await.unwrap_err().to_string();
    assert!(said.contains("3999"), "{said}");
    ask(&mut redis, "SELECT 0").await.unwrap();
    ask(&mut redis, "PING").await.unwrap();
}

fn is_unknown(answer: RedisResult<i64>) -> bool {
    match answer {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.code(), Some("NOSCRIPT"));
            true
        }
    }
}

async fn by_hash(redis: &mut MultiplexedConnection, script: &Script) -> bool {
    is_unknown(cmd("EVALSHA").arg(script.get_hash()).arg(1).arg("k").query_async(redis).await)
}

const ONE: &str = "return 1";

#[tokio::test]
async fn each_connection_begins_without_scripts() {
    let stack = Stack::behind(open()).await;
    let script = Script::new(ONE);
    for how in ["EVAL", "SCRIPT LOAD"] {
        let mut redis = connect(&stack).await;
        assert!(by_hash(&mut redis, &script).await, "{how}");
        if how == "EVAL" {
            run(&mut redis, ONE).await.unwrap();
        } else {
            cmd("SCRIPT").arg("LOAD").arg(ONE).exec_async(&mut redis).await.unwrap();
        }
        assert!(!by_hash(&mut redis, &script).await, "{how}");
    }
}

#[tokio::test]
async fn scripts_are_forgotten_as_often_as_one_wants() {
    let script = Script::new(ONE);
    let stack = Stack::behind(Manners { forgets_before_every: Some(10), ..open() }).await;
    let mut redis = connect(&stack).await;
    run(&mut redis, ONE).await.unwrap();
    let (mut calls, mut forgotten) = (1, 0);
    while calls < 100 {
        calls += 1;
        if by_hash(&mut redis, &script).await {
            (calls, forgotten) = (calls + 1, forgotten + 1);
            run(&mut redis, ONE).await.unwrap();
        }
    }
    assert!((9..=11).contains(&forgotten), "{forgotten} times in {calls} calls");
    let stack = Stack::behind(Manners { forgets_one_in: Some(4), ..open() }).await;
    let mut redis = connect(&stack).await;
    run(&mut redis, ONE).await.unwrap();
    let mut unknown = 0;
    for _ in 0..400 {
        unknown += usize::from(by_hash(&mut redis, &script).await);
    }
    assert!((40..200).contains(&unknown), "{unknown}");
}

#[tokio::test]
async fn it_throttles_and_cuts_who_is_idle() {
    let stack = Stack::behind(Manners { throttles_one_in: Some(4), ..open() }).await;
    let mut redis = connect(&stack).await;
    let mut throttled = 0;
    for _ in 0..400 {
        throttled += usize::from(ask(&mut redis, "HGET k f").await.is_err());
    }
    assert!((40..200).contains(&throttled), "{throttled}");
    let stack = Stack::behind(Manners { idle: Some(Duration::from_millis(100)), ..open() }).await;
    let mut redis = connect(&stack).await;
    ask(&mut redis, "PING").await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    let error = ask(&mut redis, "PING").await.unwrap_err();
    assert!(error.is_connection_dropped(), "{error:?}");
}

#[tokio::test]
async fn its_user_may_do_what_the_template_says_and_no_more() {
    for kind in [Kind::Nodes, Kind::Serverless] {
        let stack = Stack::behind(Manners::of(kind)).await;
        let mut redis = connect(&stack).await;
        ask(&mut redis, "HSET conversation:{k} f 1").await.unwrap();
        for line in ["HSET other f 1", "GET conversation:{k}", "LINSERT conversation:{k} BEFORE a b"] {
            let denied = ask(&mut redis, line).await.unwrap_err();
            assert_eq!(denied.code(), Some("NOPERM"), "{kind:?}: {line}");
        }
        let stranger = redis::Client::open(stack.cache_url().replace("secret", "wrong")).unwrap();
        let denied = stranger.get_multiplexed_async_connection().await;
        assert_eq!(denied.map(drop).unwrap_err().kind(), redis::ErrorKind::AuthenticationFailed);
    }
}

#[tokio::test]
async fn one_right_less_or_one_command_less_is_refused_by_its_name() {
    let access = Access::of_the_template;
    for (access, kind) in [
        (access().without("hget"), Kind::Nodes),
        (access().without("hget"), Kind::Serverless),
        (access().unknown("hget"), Kind::Serverless),
    ] {
        let stack = Stack::behind(Manners { access, ..Manners::of(kind) }).await;
        let mut redis = connect(&stack).await;
        let said = refused(&mut redis, "HGET conversation:{k} f").await;
        assert!(said.contains("hget"), "{said}");
        let script = "return redis.call('HGET', KEYS[1], 'f')";
        let script = cmd("EVAL").arg(script).arg(1).arg("conversation:{k}").take();
        let said = script.query_async::<Value>(&mut redis).await.unwrap_err().to_string();
        assert!(said.contains("hget"), "{said}");
        assert_eq!(stack.front.unwrap().refused().len(), 2);
    }
}

/// Adds and reads in turn, after a pause: of so many writes and reads, how many updated the cache, and how many were
/// answered by it. Every read is right.
async fn updates_and_hits(manners: Manners, rounds: usize, pause: Duration) -> (usize, usize) {
    let stack = Stack::behind(manners).await;
    let store = stack.store();
    let (mut applied, mut hits) = (0, 0);
    for round in 0..rounds {
        tokio::time::sleep(pause).await;
        // Each of its own, since an intent that could not be taken away stands for some seconds.
        let key = key(&format!("c{round}"));
        let added = store.add(&key, &batch([user("x")])).await.unwrap();
        let read = store.recent(&key, Limit::MAX, Some(added.conversation.version)).await.unwrap();
        let seqs: Vec<i64> = read.found.unwrap().items.iter().map(Message::seq).collect();
        assert_eq!(seqs, [1], "{:?}", read.source);
        applied += usize::from(added.cache_update == CacheUpdate::Applied);
        hits += usize::from(read.source.is_hit());
    }
    (applied, hits)
}

#[tokio::test]
async fn a_store_brings_along_what_is_forgotten() {
    let forgetful = Manners { forgets_one_in: Some(3), ..Manners::of(Kind::Serverless) };
    assert_eq!(updates_and_hits(forgetful, 50, Duration::ZERO).await, (50, 50));
}

#[tokio::test]
async fn a_store_is_served_although_its_idle_connections_are_cut() {
    let idle = Some(Duration::from_millis(300));
    let cutting = Manners { idle, ..Manners::of(Kind::Serverless) };
    let (applied, hits) = updates_and_hits(cutting, 8, Duration::from_millis(600)).await;
    // On a busy machine one may be cut in the midst of a write as well.
    assert!(applied >= 6 && hits >= 6, "{applied} {hits}");
}

#[tokio::test]
async fn what_is_throttled_costs_hits_and_no_truth() {
    let throttling = Manners { throttles_one_in: Some(10), ..Manners::of(Kind::Serverless) };
    let (applied, hits) = updates_and_hits(throttling, 100, Duration::ZERO).await;
    assert!((30..100).contains(&applied) && (30..100).contains(&hits), "{applied} {hits}");
}
