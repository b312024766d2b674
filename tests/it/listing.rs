//! Lists: filtered by metadata, and as fast among many conversations as among few.

use std::collections::BTreeMap;

use conversation_core::{ConversationFilter, Limit, Metadata, Order, OwnerId};
use conversation_tests::{Api, Stack, all_reported, sharding};
use serde_json::json;

async fn create(api: &Api, id: &str, metadata: serde_json::Value) {
    let created = api.post("/v1/conversations", json!({"id":id,"metadata":metadata}).to_string()).await;
    assert_eq!(created.status, 200, "{}", created.text);
}

async fn listed(api: &Api, query: &str) -> Vec<String> {
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/v1/conversations?limit=2&{query}{after}")).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let body = page.json();
        seen.extend(body["data"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap().to_owned()));
        if !body["has_more"].as_bool().unwrap() {
            return seen;
        }
        after = format!("&after={}", page.at("/after"));
    }
}

#[tokio::test]
async fn conversations_are_found_by_their_metadata() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    create(&api, "a", json!({"topic":"x","user":"1"})).await;
    create(&api, "b", json!({"topic":"x","user":"2"})).await;
    create(&api, "c", json!({"topic":"y","a[b]&=\u{1F600}":"1"})).await;
    create(&api, "d", json!({"topic":"x","user":"1"})).await;
    create(&api, "e", json!({})).await;
    assert_eq!(listed(&api, "metadata[topic]=x").await, ["d", "b", "a"]);
    assert_eq!(listed(&api, "metadata%5Btopic%5D=x&order=asc").await, ["a", "b", "d"]);
    assert_eq!(listed(&api, "metadata[topic]=x&metadata[user]=1").await, ["d", "a"]);
    assert_eq!(listed(&api, "metadata[a%5Bb%5D%26%3D%F0%9F%98%80]=1").await, ["c"]);
    assert_eq!(listed(&api, "metadata[topic]=z").await, [""; 0]);
    assert_eq!(listed(&api, "metadata[user]=x").await, [""; 0], "a value of another key");

    // What changes or goes is found no more as what it was.
    assert_eq!(api.post("/v1/conversations/d", r#"{"metadata":{"topic":"y"}}"#).await.status, 200);
    assert_eq!(api.delete("/v1/conversations/a").await.status, 200);
    assert_eq!(listed(&api, "metadata[topic]=x").await, ["b"]);
    assert_eq!(listed(&api, "metadata[topic]=y").await, ["d", "c"]);
    assert_eq!(listed(&api, "metadata[user]=1").await, [""; 0]);
    assert_eq!(api.post("/v1/conversations/d", r#"{"title":"t"}"#).await.status, 200);
    assert_eq!(listed(&api, "metadata[topic]=y").await, ["d", "c"]);

    let foreign = api.request("GET", "/v1/conversations?metadata[topic]=y").header("x-owner-id", "bob");
    assert_eq!(api.send(foreign).await.json()["data"], json!([]));
    for bad in [
        "metadata=a",
        "metadata[]=a",
        "metadata[a][b]=c",
        "metadata[a=1",
        "metadata[a]=1&metadata[a]=2",
        &format!("metadata[{}]=1", "k".repeat(65)),
        "metadata[a]=%00",
    ] {
        assert_eq!(api.get(&format!("/v1/conversations?{bad}")).await.status, 400, "{bad}");
    }
    // The largest pair that there may be still fits the index.
    create(&api, "f", json!({"\u{1F600}".repeat(64): "\u{1F601}".repeat(512)})).await;
}

const MANY: i64 = 50_000;

/// Conversations of two owners: all have `all`, one in a thousand `rare`, the older half `old`, two of the middle `middle`.
async fn fill(stack: &Stack) {
    let mut postgres = stack.postgres().await;
    let conversations =
        "insert into conversations (shard, owner_id, conversation_id, metadata, created_at, updated_at)
        select shard_of(owner), owner, 'c' || n, json_build_object('all', 'yes',
                case when n % 1000 = 0 then 'rare' else 'often' end, 'yes',
                case when n < $1 / 2 then 'old' else 'new' end, 'yes',
                case when n / 2 = $1 / 4 then 'middle' else 'margin' end, 'yes'),
            now(), timestamptz '2026-01-01' + n / 2 * interval '1 second'
        from generate_series(1, $1) n, unnest(array['local', 'other']) owner";
    sqlx::query(conversations).bind(MANY).execute(&mut postgres).await.unwrap();
    let pairs = "insert into metadata_pairs (shard, owner_id, pair, conversation_key)
        select c.shard, c.owner_id, metadata_pair(m.key, m.value), c.key from conversations c, json_each_text(c.metadata) m";
    sqlx::query(pairs).execute(&mut postgres).await.unwrap();
    sqlx::query("analyze").execute(&mut postgres).await.unwrap();
    // Sooner or later Postgres may keep a plan for whatever comes; here it does at once. Citus makes a plan for each call: it has
    // to know the shard.
    if sharding() == "citus" {
        return;
    }
    let generic = "do $$ begin
        execute format('alter database %I set plan_cache_mode = force_generic_plan', current_database()); end $$";
    sqlx::query(generic).execute(&mut postgres).await.unwrap();
}

fn having(pairs: &[&str]) -> ConversationFilter {
    let pairs: BTreeMap<_, _> = pairs.iter().map(|key| ((*key).to_owned(), "yes".to_owned())).collect();
    ConversationFilter { metadata: Metadata::new(pairs).unwrap(), ..ConversationFilter::default() }
}

/// How many index entries were read, and how many rows one after the other, since the database was made.
async fn read_so_far(stack: &Stack) -> (i64, i64) {
    let mut postgres = stack.postgres().await;
    all_reported(&mut postgres).await;
    let read = "select (select sum(idx_tup_read)::bigint from pg_stat_user_indexes),
        (select sum(seq_tup_read)::bigint from pg_stat_user_tables where relname <> 'retention')";
    sqlx::query_as(read).fetch_one(&mut postgres).await.unwrap()
}

#[tokio::test]
async fn a_page_reads_what_it_shows_however_many_conversations_there_are() {
    const TIMES: i64 = 10;
    let stack = Stack::start().await;
    fill(&stack).await;
    let owner = OwnerId::new("local").unwrap();
    let pages = async |filter: &ConversationFilter, order: Order| -> (i64, i64) {
        let before = read_so_far(&stack).await;
        let index = stack.index();
        // A cursor is a place in the whole list, whatever was listed.
        let middle = index.list(&owner, &having(&["middle"]), order, None, Limit::new(1).unwrap()).await;
        let mut cursor = middle.unwrap().after.filter(|_| filter.metadata.pairs().is_empty());
        for page in 0..TIMES {
            let found = index.list(&owner, filter, order, cursor.as_ref(), Limit::LIST).await.unwrap();
            assert_eq!(found.page.items.len(), 20, "{filter:?}, page {page}");
            cursor = found.after;
        }
        drop(index);
        let after = read_so_far(&stack).await;
        ((after.0 - before.0) / TIMES, after.1 - before.1)
    };
    // What it takes to find out how many have a pair, if many do.
    let counted = 20_000;
    for (filter, order, most) in [
        (having(&[]), Order::Descending, 100),
        (having(&[]), Order::Ascending, 100),
        (having(&["all"]), Order::Descending, counted + 300),
        (having(&["all"]), Order::Ascending, counted + 300),
        // Those that have it are the last in the list.
        (having(&["old"]), Order::Descending, counted + 3 * MANY),
    ] {
        let (entries, rows) = pages(&filter, order).await;
        assert!(entries <= most && rows == 0, "{filter:?}: {entries} entries and {rows} rows a page");
    }
    let before = read_so_far(&stack).await;
    let index = stack.index();
    for _ in 0..TIMES {
        let found = index.list(&owner, &having(&["all", "rare"]), Order::Descending, None, Limit::MAX).await;
        assert_eq!(found.unwrap().page.items.len(), 50);
    }
    drop(index);
    let after = read_so_far(&stack).await;
    let entries = (after.0 - before.0) / TIMES;
    assert!(entries <= counted + 500 && after.1 == before.1, "{entries} entries a page");
}
