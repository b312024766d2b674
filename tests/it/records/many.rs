//! Many records, and large ones.

use std::time::{Duration, Instant};

use conversation_tests::{OWNER, Stack, report, size};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::{OF_CONVERSATION, put};

/// Many records of the conversation `c`, or of the owner.
async fn fill(postgres: &mut PgConnection, of_owner: bool, count: i64) {
    let scope = if of_owner { "-key from owners" } else { "key from conversations" };
    let statement = format!(
        "insert into records (scope_key, revision, updated_at, shard, key, value)
            select s.key, 1, now(), s.shard, 'many/' || lpad(n::text, 9, '0'), 'value'
            from (select shard, {scope} where owner_id = '{OWNER}') s (shard, key), generate_series(1, {count}) n"
    );
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *postgres).await.unwrap();
    sqlx::raw_sql("vacuum analyze records").execute(postgres).await.unwrap();
}

/// Large values that hardly compress.
async fn fill_large(postgres: &mut PgConnection, count: i64, bytes: i64) {
    let statement = format!(
        "insert into records (scope_key, revision, updated_at, shard, key, value)
            select c.key, 1, now(), c.shard, 'large/' || lpad(n::text, 9, '0'), v.value
            from conversations c, generate_series(1, {count}) n, lateral (
                select string_agg(sha512((n || ' ' || m)::bytea), '') from generate_series(1, {bytes} / 64) m) v (value)
            where c.owner_id = '{OWNER}' and c.conversation_id = 'c'"
    );
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(postgres).await.unwrap();
}

/// How many blocks a statement reads, from memory or disk.
async fn blocks(postgres: &mut PgConnection, statement: &str) -> i64 {
    let explain = format!("explain (analyze, buffers, format json, timing off) {statement}");
    let plan = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_one(postgres).await.unwrap();
    let plan: serde_json::Value = plan.get(0);
    let of = |name: &str| plan[0]["Plan"][name].as_i64().unwrap_or(0);
    of("Shared Hit Blocks") + of("Shared Read Blocks")
}

#[tokio::test]
async fn a_read_of_what_the_caller_has_reads_no_value() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let path = format!("{OF_CONVERSATION}/large");
    // Bytes that no compression makes fewer.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(4 << 20)
    .collect();
    let revision = put(&api, &path, &[], noise).await.number("/revision");
    let mut postgres = stack.postgres().await;
    let read = |known: &str| {
        format!(
            "select octet_length(value) from read_record(shard_of('{OWNER}'), '{OWNER}', 'c', 'large', '{{{known}}}')"
        )
    };
    let list = |values: bool| {
        format!(
            "select cardinality(keys), record_values from list_records(shard_of('{OWNER}'), '{OWNER}', 'c', '{{large}}', '{{l}}', null, false, 10, {values}, 9)"
        )
    };
    // The functions' plans are made by the first calls.
    for statement in [read("0"), list(false)] {
        blocks(&mut postgres, &statement).await;
    }
    let [whole, known, head] = [read("0"), read(&revision.to_string()), read("-1")];
    let whole = blocks(&mut postgres, &whole).await;
    assert!(whole > 500, "{whole}");
    for statement in [known, head, list(false)] {
        let blocks = blocks(&mut postgres, &statement).await;
        assert!(blocks < 40, "{blocks}: {statement}");
    }
    assert_eq!(
        api.request("GET", &path)
            .header("if-none-match", format!("\"{revision}\""))
            .send()
            .await
            .unwrap()
            .status(),
        304
    );
}

#[tokio::test]
async fn a_request_reads_little_among_many_records() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    put(&api, &format!("{OF_CONVERSATION}/a"), &[], "x").await;
    put(&api, "/v1/records/a", &[], "x").await;
    let mut postgres = stack.postgres().await;
    let count = i64::from(size("RECORDS", 20_000));
    for of_owner in [false, true] {
        let scope = if of_owner { "null" } else { "'c'" };
        let shard = format!("shard_of('{OWNER}'), '{OWNER}', {scope}");
        let statements = [
            format!("select read_record({shard}, 'many/000000500', '{{}}')"),
            format!(
                "select write_records({shard}, '{{many/000000500}}', '{{x}}', '{{null}}', '{{-1}}', null, null)"
            ),
            format!(
                "select list_records({shard}, '{{}}', '{{many/0000005}}', 'many/000000500', false, 20, true, 100000)"
            ),
            format!("select list_records({shard}, '{{}}', '{{}}', null, true, 20, true, 100000)"),
            format!(
                "select list_records({shard}, '{{a,many/000000007}}', '{{many/}}', null, true, 20, false, 0)"
            ),
            format!("select delete_records({shard}, 'many/000000500', 10, null, null)"),
        ];
        fill(&mut postgres, of_owner, count).await;
        for statement in &statements {
            blocks(&mut postgres, statement).await;
            let read = blocks(&mut postgres, statement).await;
            // Up to 21 keys are looked up twice, each in an index of three levels.
            assert!(read <= 180, "{read} blocks: {statement}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_records_are_deleted_within_a_request() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    put(&api, &format!("{OF_CONVERSATION}/a"), &[], "x").await;
    let mut postgres = stack.postgres().await;
    fill(&mut postgres, false, 100_005).await;
    let began = Instant::now();
    let deleted = api.delete(&format!("{OF_CONVERSATION}?prefix=many%2F")).await;
    report(&format!("100,000 records deleted in {:.2} s", began.elapsed().as_secs_f64()));
    assert_eq!(
        (deleted.number("/deleted"), &deleted.json()["has_more"]),
        (100_000, &true.into()),
        "{deleted:?}"
    );
    let rest = api.delete(&format!("{OF_CONVERSATION}?prefix=many%2F")).await;
    assert_eq!((rest.number("/deleted"), &rest.json()["has_more"]), (5, &false.into()));
    assert_eq!(api.get(OF_CONVERSATION).await.json()["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_conversation_takes_its_records_along() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    put(&api, &format!("{OF_CONVERSATION}/a"), &[("idempotency-key", "k")], "x").await;
    put(&api, "/v1/records/a", &[], "x").await;
    let mut postgres = stack.postgres().await;
    fill(&mut postgres, false, 5_000).await;
    assert_eq!(api.delete("/v1/conversations/c").await.status, 200);
    assert_eq!(api.get(&format!("{OF_CONVERSATION}/a")).await.status, 404);
    for nothing in ["/a", "?prefix="] {
        assert_eq!(api.delete(&format!("{OF_CONVERSATION}{nothing}")).await.number("/deleted"), 0);
    }
    assert_eq!(api.get(OF_CONVERSATION).await.json()["data"], serde_json::json!([]));
    let left = "select count(*) from records where scope_key > 0";
    let counted: i64 = sqlx::query_scalar(left).fetch_one(&mut postgres).await.unwrap();
    assert!(counted > 0 && counted < 5_001, "some are left to the sweep: {counted}");
    let swept = stack.store().sweep(Duration::from_secs(20)).await.unwrap();
    assert!(!swept.unfinished);
    let counted: i64 = sqlx::query_scalar(left).fetch_one(&mut postgres).await.unwrap();
    assert_eq!(counted, 0);
    for empty in ["purges", "idempotency_keys"] {
        let count = AssertSqlSafe(format!("select count(*) from {empty}"));
        assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&mut postgres).await.unwrap(), 0, "{empty}");
    }
    assert_eq!(api.get("/v1/records/a").await.text, "x", "the owner's stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_records_are_deleted_in_as_many_commits_as_it_takes() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    put(&api, &format!("{OF_CONVERSATION}/a"), &[], "x").await;
    let mut postgres = stack.postgres().await;
    fill_large(&mut postgres, 240, 300_000).await;
    let (mut requests, mut deleted) = (0, 0);
    loop {
        let answer = api.delete(&format!("{OF_CONVERSATION}?prefix=large")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        (requests, deleted) = (requests + 1, deleted + answer.number("/deleted"));
        if answer.json()["has_more"] == false {
            break;
        }
    }
    assert_eq!(deleted, 240);
    assert!((2..=5).contains(&requests), "{requests} commits for 72 MB");
    // The same when the conversation goes: at once, and the rest by the sweep.
    fill_large(&mut postgres, 240, 300_000).await;
    assert_eq!(api.delete("/v1/conversations/c").await.status, 200);
    let swept = stack.store().sweep(Duration::from_secs(20)).await.unwrap();
    assert!(!swept.unfinished);
    let left: i64 =
        sqlx::query_scalar("select count(*) from records").fetch_one(&mut postgres).await.unwrap();
    assert_eq!(left, 0);
}

/// Many scopes of few records, and one of many: what a plan for any scope expects is wrong for that one.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_is_kept_reads_little_of_a_large_scope() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    put(&api, &format!("{OF_CONVERSATION}/a"), &[], "x").await;
    let mut postgres = stack.postgres().await;
    let small = "insert into records (scope_key, revision, updated_at, shard, key, value)
        select 1000000 + n, 1, now(), n % 4096, 'k' || m, 'value' from generate_series(1, 20000) n, generate_series(1, 3) m";
    sqlx::raw_sql(small).execute(&mut postgres).await.unwrap();
    fill(&mut postgres, false, i64::from(size("RECORDS", 20_000))).await;
    if conversation_tests::sharding() == "none" {
        let distinct = "alter table records alter scope_key set (n_distinct = -0.3); analyze records";
        sqlx::raw_sql(distinct).execute(&mut postgres).await.unwrap();
    }
    let shard = format!("shard_of('{OWNER}'), '{OWNER}', 'c'");
    for statement in [
        format!(
            "select list_records({shard}, '{{}}', '{{many/}}', 'many/000000500', false, 100, true, 100000)"
        ),
        format!(
            "select write_records({shard}, '{{many/000000500,many/000000700}}', '{{x,y}}', '{{null,null}}', '{{-1,-1}}', null, null)"
        ),
        format!(
            "select import_records({shard}, 9, '{{many/000000500}}', '{{x}}', '{{null}}', '{{1}}', '{{1}}')"
        ),
        format!("select delete_records({shard}, 'many/000000500', 10, null, null)"),
    ] {
        let mut read = 0;
        // From the sixth execution on it may be a plan for any scope.
        for _ in 0..8 {
            read = blocks(&mut postgres, &statement).await;
        }
        assert!(read < 900, "{read} blocks: {statement}");
    }
}
