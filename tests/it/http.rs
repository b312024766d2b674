//! The routes, through the binaries that are deployed.

use conversation_client::CONTRACT_VERSION;
use conversation_tests::{Stack, user, user_as};
use serde_json::json;

#[tokio::test]
async fn a_conversation_lives_from_first_message_to_deletion() {
    let stack = Stack::start().await;
    let api = stack.api().await;

    let added = api.post("/v1/conversations/c1/messages", user_as("m1", "hello")).await;
    assert_eq!(added.status, 200, "{}", added.text);
    assert_eq!(
        (added.at("/id"), added.number("/version"), added.at("/first_id")),
        ("c1".into(), 1, "m1".into())
    );
    assert_eq!(added.cache_status.as_deref(), Some("redis; fwd=method; stored"));

    let batch = format!(r#"{{"messages":[{},{}]}}"#, user("two"), user("three"));
    let added = api.post("/v1/conversations/c1/messages", batch).await;
    assert_eq!(added.seqs(), [2, 3]);

    let recent = api.get("/v1/conversations/c1/messages").await;
    assert!(recent.is_hit(), "{recent:?}");
    assert_eq!(recent.seqs(), [1, 2, 3]);
    assert_eq!((recent.json()["has_more"].clone(), recent.number("/after")), (json!(false), 3));

    let got = api.get("/v1/conversations/c1").await;
    assert!(got.is_hit(), "{got:?}");
    assert_eq!(
        (got.at("/object"), got.number("/message_count"), got.number("/version")),
        ("conversation".into(), 3, 2)
    );

    let listed = api.get("/v1/conversations").await;
    assert_eq!(listed.json()["data"][0], got.json());
    assert_eq!(listed.cache_status.as_deref(), Some("redis; fwd=bypass; detail=postgres-only"));

    let deleted = api.delete("/v1/conversations/c1").await;
    assert_eq!(deleted.json(), json!({ "id": "c1", "object": "conversation.deleted", "deleted": true }));
    assert_eq!(api.delete("/v1/conversations/c1").await.status, 200, "a retried delete is no error");
    for path in
        ["/v1/conversations/c1", "/v1/conversations/c1/messages", "/v1/conversations/c1/messages?after=0"]
    {
        let gone = api.get(path).await;
        assert_eq!((gone.status, gone.at("/error/code")), (404, "conversation_not_found".into()), "{path}");
        assert!(gone.cache_status.is_some(), "{path}");
    }
    let again = api.post("/v1/conversations/c1/messages", user("back?")).await;
    assert_eq!((again.status, again.at("/error/code")), (409, "conversation_deleted".into()));
    assert_eq!(api.get("/v1/conversations").await.json()["data"], json!([]));
}

#[tokio::test]
async fn creating_gives_an_id_title_metadata_and_first_messages() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let body = json!({ "title": "Été", "metadata": { "topic": "trip" }, "messages": [{ "role": "user", "content": "hi" }] });
    let created = api.post("/v1/conversations", body.to_string()).await;
    assert_eq!(created.status, 200, "{}", created.text);
    let id = created.at("/id");
    assert!(id.starts_with("conv_"), "{id}");
    assert_eq!((created.at("/title"), created.at("/metadata/topic")), ("Été".into(), "trip".into()));
    assert_eq!(created.number("/message_count"), 1);
    assert_eq!(api.get(&format!("/v1/conversations/{id}")).await.json(), created.json());

    let empty = api.post("/v1/conversations", r#"{"id":"mine"}"#).await;
    assert_eq!((empty.at("/id"), empty.number("/message_count")), ("mine".into(), 0));
    let recent = api.get("/v1/conversations/mine/messages").await;
    assert!(recent.is_hit(), "an empty conversation is a hit: {recent:?}");
    assert_eq!(recent.json()["data"], json!([]));
    assert_eq!(api.get("/v1/conversations/mine/messages?before=10").await.json()["data"], json!([]));

    let twice = api.post("/v1/conversations", r#"{"id":"mine"}"#).await;
    assert_eq!(
        (twice.status, twice.at("/error/code"), twice.at("/error/param")),
        (409, "conversation_exists".into(), "id".into())
    );
}

#[tokio::test]
async fn history_is_paged_in_both_directions() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    for first in [1, 101] {
        let messages: Vec<_> = (first..first + 100).map(|n| user(&format!("message {n}"))).collect();
        let body = format!(r#"{{"messages":[{}]}}"#, messages.join(","));
        assert_eq!(api.post("/v1/conversations/long/messages", body).await.status, 200);
    }
    let path = "/v1/conversations/long/messages";
    let recent = api.get(path).await;
    assert_eq!(recent.seqs(), (101..=200).collect::<Vec<_>>());
    assert_eq!((recent.json()["has_more"].clone(), recent.number("/before")), (json!(true), 101));
    let five = api.get(&format!("{path}?limit=5")).await;
    assert!(five.is_hit(), "{five:?}");
    assert_eq!(five.seqs(), [196, 197, 198, 199, 200]);
    assert_eq!(five.number("/before"), 196);

    let (mut seen, mut before) = (Vec::new(), recent.number("/before"));
    while before > 0 {
        let page = api.get(&format!("{path}?limit=37&before={before}")).await;
        seen.splice(0..0, page.seqs());
        before = page.number("/before");
        assert_eq!(page.json()["has_more"], json!(before > 0));
    }
    assert_eq!(seen, (1..=100).collect::<Vec<_>>());

    let (mut seen, mut after) = (Vec::new(), 0);
    loop {
        let page = api.get(&format!("{path}?limit=63&after={after}")).await;
        seen.extend(page.seqs());
        after = page.number("/after");
        if page.json()["has_more"] == json!(false) {
            break;
        }
    }
    assert_eq!(seen, (1..=200).collect::<Vec<_>>());
    assert_eq!(api.get(&format!("{path}?after=200")).await.json()["data"], json!([]));
}

#[tokio::test]
async fn lists_are_paged_in_both_orders_and_directions_without_skipping_ties() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    for n in 0..7 {
        api.post("/v1/conversations", format!(r#"{{"id":"c{n}"}}"#)).await;
    }
    // The same moment for most of them: only the id tells them apart.
    let mut postgres = stack.postgres().await;
    let tie = "update conversations set updated_at = '2026-01-01' where conversation_id <> 'c3'";
    sqlx::query(tie).execute(&mut postgres).await.unwrap();

    let ids = |answer: &conversation_tests::Answer| -> Vec<String> {
        let body = answer.json();
        body["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    let newest_first = ["c3", "c6", "c5", "c4", "c2", "c1", "c0"];
    for (order, expected) in
        [("desc", newest_first.to_vec()), ("asc", newest_first.iter().rev().copied().collect())]
    {
        let path = format!("/v1/conversations?limit=3&order={order}");
        let mut pages = vec![api.get(&path).await];
        while pages.last().unwrap().json()["has_more"] == json!(true) {
            let after = pages.last().unwrap().at("/after");
            pages.push(api.get(&format!("{path}&after={after}")).await);
        }
        assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), expected, "{order}");
        assert_eq!((pages[0].at("/before"), pages[2].at("/after")), (String::new(), String::new()));

        let back = api.get(&format!("{path}&before={}", pages[2].at("/before"))).await;
        assert_eq!(ids(&back), expected[3..6], "{order}");
        assert_eq!(back.json()["has_more"], json!(true));
        let first = api.get(&format!("{path}&before={}", back.at("/before"))).await;
        assert_eq!((ids(&first), first.json()["has_more"].clone()), (ids(&pages[0]), json!(false)));
    }
    assert_eq!(api.get("/v1/conversations").await.number("/data/0/version"), 1);
}

#[tokio::test]
async fn tickets_are_honoured() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let version = api.post("/v1/conversations/c/messages", user("one")).await.number("/version");
    let path = "/v1/conversations/c/messages";
    assert!(api.get(&format!("{path}?min_version={version}")).await.is_hit());
    let ahead = api.get(&format!("{path}?min_version={}", version + 1)).await;
    assert_eq!((ahead.status, ahead.at("/error/code")), (409, "version_ahead".into()));
    for ranged in ["before=5", "after=0"] {
        let ahead = api.get(&format!("{path}?{ranged}&min_version=99")).await;
        assert_eq!((ahead.status, ahead.at("/error/param")), (409, "min_version".into()));
    }
}

#[tokio::test]
async fn owners_see_their_own_conversations_only() {
    let stack = Stack::start().await;
    let api = stack.api_with(&[("DEFAULT_OWNER", "")]).await;
    let nobody = api.get("/v1/conversations").await;
    assert_eq!((nobody.status, nobody.at("/error/type")), (401, "authentication_error".into()));
    let as_owner = |method: &str, path: &str, owner: &str| {
        api.request(method, path).header("x-owner-id", owner).header("content-type", "application/json")
    };
    let path = "/v1/conversations/c/messages";
    api.send(as_owner("POST", path, "ann").body(user("mine"))).await;
    for other in ["/v1/conversations/c", path, "/v1/conversations/c/messages?after=0"] {
        assert_eq!(api.send(as_owner("GET", other, "bob")).await.status, 404, "{other}");
    }
    assert_eq!(api.send(as_owner("DELETE", "/v1/conversations/c", "bob")).await.status, 404);
    assert_eq!(api.send(as_owner("GET", "/v1/conversations", "bob")).await.json()["data"], json!([]));
    // The same id under another owner is another conversation.
    api.send(as_owner("POST", path, "bob").body(user("his"))).await;
    let mine = api.send(as_owner("GET", path, "ann")).await;
    assert_eq!(mine.at("/data/0/content"), "mine");
    let cursor = api.send(as_owner("POST", "/v1/conversations", "ann").body("{}")).await;
    assert_eq!(cursor.status, 200);
    let cursor = api.send(as_owner("GET", "/v1/conversations?limit=1", "ann")).await.at("/after");
    let foreign = api.send(as_owner("GET", &format!("/v1/conversations?after={cursor}"), "bob")).await;
    assert_eq!((foreign.status, foreign.at("/error/param")), (400, "after".into()));
    assert_eq!(api.send(as_owner("GET", path, "a b")).await.status, 400);
}

#[tokio::test]
async fn health_needs_no_owner_and_looks_deeper_on_demand() {
    let stack = Stack::start().await;
    let api = stack.api_with(&[("DEFAULT_OWNER", "")]).await;
    let version = CONTRACT_VERSION;
    assert_eq!(api.get("/v1/health").await.json(), json!({ "status": "ok", "version": version }));
    let deep = api.get("/v1/health?deep=1").await;
    let all = json!({ "status": "ok", "version": version, "postgres": "ok", "redis": "ok" });
    assert_eq!(deep.json(), all);
}

#[tokio::test]
async fn log_lines_say_where_a_read_was_answered() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    api.post("/v1/conversations/c/messages", user("a secret")).await;
    api.get("/v1/conversations/c/messages").await;
    redis::cmd("FLUSHALL").exec_async(&mut stack.redis().await).await.unwrap();
    api.get("/v1/conversations/c/messages").await;
    let log = api.log();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let find = |message: &str| {
        lines.iter().find(|line| line["message"] == message).unwrap_or_else(|| panic!("{log}"))
    };
    let (hit, miss) = (find("cache HIT"), find("cache MISS"));
    let hashed = json!(conversation_core::HashedId::of("c").to_string());
    assert_eq!((&hit["conversation"], &miss["conversation"]), (&hashed, &hashed));
    assert!(
        hit["ms"].is_number() && miss["ms"].is_number() && hit["span"]["request_id"].is_string(),
        "{log}"
    );
    assert_eq!((&miss["reason"], &miss["stored"]), (&json!("cold"), &json!(true)));
    assert!(!log.contains("a secret"), "content is never logged");
}

#[tokio::test]
async fn what_no_route_fits_is_answered_in_the_envelope() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    for (method, path) in [("GET", "/"), ("GET", "/v1/conversations/c/nope"), ("GET", "/v2/health")] {
        let answer = api.send(api.request(method, path)).await;
        assert_eq!((answer.status, answer.at("/error/code")), (404, "unknown_url".into()), "{method} {path}");
    }
    let answer = api.send(api.request("PUT", "/v1/conversations/c")).await;
    assert_eq!((answer.status, answer.at("/error/code")), (405, "method_not_allowed".into()));
    assert_eq!(
        answer.at("/error/message"),
        "There is no PUT /v1/conversations/c, only GET, HEAD, POST, DELETE."
    );
}
