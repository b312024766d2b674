//! The OpenAI view: what the `openai` SDKs ask for, and what they take for an answer.

use conversation_tests::{Answer, Api, Stack, user, user_as};
use serde_json::{Value, json};

pub(crate) const ITEMS: &str = "/v1/conversations/c/items";
pub(crate) const MESSAGES: &str = "/v1/conversations/c/messages";

pub(crate) async fn start() -> (Stack, Api) {
    let stack = Stack::start().await;
    let api = stack.api().await;
    assert_eq!(api.post("/v1/conversations", r#"{"id":"c"}"#).await.status, 200);
    (stack, api)
}

pub(crate) fn body(items: &[Value]) -> String {
    json!({ "items": items }).to_string()
}

pub(crate) fn ids(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    let data = body["data"].as_array().unwrap_or_else(|| panic!("{}", answer.text));
    data.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_conversation_is_created_with_items_and_without() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let items = [json!({"role":"user","content":"hi"}), json!({"type":"reasoning","summary":[]})];
    let created =
        api.post("/v1/conversations", json!({"items":items,"metadata":{"topic":"x"}}).to_string()).await;
    assert_eq!((created.status, created.at("/object")), (200, "conversation".into()), "{}", created.text);
    let id = created.at("/id");
    assert!(id.starts_with("conv_") && created.number("/created_at") > 0, "{}", created.text);
    assert_eq!(created.json()["metadata"], json!({"topic":"x"}));
    let listed = api.get(&format!("/v1/conversations/{id}/items?order=asc")).await;
    assert_eq!(listed.json()["data"][0]["content"], json!([{"type":"input_text","text":"hi"}]));
    assert_eq!(listed.at("/data/1/type"), "reasoning");

    for empty in [r#"{"items":[]}"#, r#"{"items":null,"metadata":null}"#, "{}"] {
        let created = api.post("/v1/conversations", empty).await;
        assert_eq!((created.status, created.number("/message_count")), (200, 0), "{}", created.text);
        let listed = api.get(&format!("/v1/conversations/{}/items", created.at("/id"))).await;
        let none = json!({"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false});
        assert_eq!(listed.json(), none);
    }
    let both = api.post("/v1/conversations", r#"{"items":[],"messages":[]}"#).await;
    assert_eq!((both.status, both.at("/error/param")), (400, "items".into()));
}

#[tokio::test]
async fn items_are_paged_in_both_orders() {
    let (stack, api) = start().await;
    let all: Vec<String> = (0..250).map(|n| format!("m{n}")).collect();
    for chunk in all.chunks(20) {
        let items: Vec<Value> = chunk.iter().map(|id| json!({"id":id,"role":"user","content":id})).collect();
        assert_eq!(api.post(ITEMS, body(&items)).await.status, 200);
    }
    let newest_first: Vec<String> = all.iter().rev().cloned().collect();
    for (query, limit, expected) in [
        ("", 20, &newest_first),
        ("&order=asc", 20, &all),
        ("&limit=100", 100, &newest_first),
        ("&limit=37&order=asc", 37, &all),
    ] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = api.get(&format!("{ITEMS}?include=message.output_text.logprobs{query}{after}")).await;
            let found = ids(&page);
            assert_eq!(
                (page.at("/first_id"), page.at("/last_id")),
                (found[0].clone(), found[found.len() - 1].clone())
            );
            assert_eq!(page.is_hit(), seen.is_empty() && !query.contains("asc"), "{page:?}");
            seen.extend(found);
            assert_eq!(page.json()["has_more"], json!(seen.len() < 250), "{query}: {}", seen.len());
            if seen.len() == 250 {
                break;
            }
            assert_eq!(seen.len() % limit, 0);
            after = format!("&after={}", page.at("/last_id"));
        }
        assert_eq!(&seen, expected, "{query}");
    }
    let past_the_end = api.get(&format!("{ITEMS}?after=m0")).await;
    assert_eq!(
        (past_the_end.json()["data"].clone(), past_the_end.json()["has_more"].clone()),
        (json!([]), json!(false))
    );
    // What is read around a deleted item is what is left.
    assert_eq!(api.delete(&format!("{ITEMS}/m100")).await.status, 200);
    assert_eq!(ids(&api.get(&format!("{ITEMS}?after=m99&order=asc&limit=1")).await), ["m101"]);
    assert_eq!(ids(&api.get(&format!("{ITEMS}?after=m101&limit=1")).await), ["m99"]);
    // Without the cache the first page is the same.
    let cached = api.get(ITEMS).await;
    redis::cmd("FLUSHALL").exec_async(&mut stack.redis().await).await.unwrap();
    let loaded = api.get(ITEMS).await;
    assert!(cached.is_hit() && !loaded.is_hit());
    assert_eq!(cached.text, loaded.text);
}

#[tokio::test]
async fn one_item_is_read_and_deleted() {
    let (_stack, api) = start().await;
    api.post(MESSAGES, user_as("m1", "one")).await;
    api.post(MESSAGES, user_as("m2", "two")).await;
    let got = api.get(&format!("{ITEMS}/m1")).await;
    let content = json!([{"type":"input_text","text":"one"}]);
    assert_eq!(
        got.json(),
        json!({"id":"m1","type":"message","status":"completed","role":"user","content":content})
    );
    assert_eq!(got.cache_status.as_deref(), Some("redis; fwd=bypass; detail=postgres-only"));
    let deleted = api.delete(&format!("{ITEMS}/m1")).await;
    assert_eq!(
        (deleted.at("/object"), deleted.at("/id"), deleted.number("/message_count")),
        ("conversation".into(), "c".into(), 1)
    );
    let gone = api.get(&format!("{ITEMS}/m1")).await;
    assert_eq!(
        (gone.status, gone.at("/error/code"), gone.at("/error/param")),
        (404, "message_not_found".into(), "item_id".into())
    );
    assert_eq!(api.delete(&format!("{ITEMS}/m1")).await.text, deleted.text);
    assert_eq!(ids(&api.get(ITEMS).await), ["m2"]);
    let owner = api.request("GET", &format!("{ITEMS}/m2")).header("x-owner-id", "another");
    assert_eq!(api.send(owner).await.status, 404);
}

#[tokio::test]
async fn only_conversations_that_exist_take_items() {
    let (stack, api) = start().await;
    let one = body(&[json!({"role":"user","content":"x"})]);
    let path = "/v1/conversations/none/items";
    let refused = api.post(path, one.as_str()).await;
    let keys: Vec<String> =
        redis::cmd("KEYS").arg("*none*").query_async(&mut stack.redis().await).await.unwrap();
    assert_eq!(keys, Vec::<String>::new(), "no intent is left");
    let asc = api.get(&format!("{path}?order=asc")).await;
    for answer in [refused, api.get(path).await, asc, api.get(&format!("{path}?after=m")).await] {
        assert_eq!((answer.status, answer.at("/error/code")), (404, "conversation_not_found".into()));
    }
    assert_eq!(
        api.get("/v1/conversations").await.json()["data"].as_array().unwrap().len(),
        1,
        "none was created"
    );

    assert_eq!(api.delete("/v1/conversations/c").await.status, 200);
    let gone = api.post(ITEMS, one.as_str()).await;
    assert_eq!((gone.status, gone.at("/error/code")), (404, "conversation_not_found".into()));
    assert_eq!(api.get(ITEMS).await.status, 404);
}

#[tokio::test]
async fn what_breaks_a_rule_is_refused_by_name() {
    let (_stack, api) = start().await;
    let many: Vec<Value> = (0..21).map(|n| json!({"role":"user","content":n.to_string()})).collect();
    let item = |item: &str| format!(r#"{{"items":[{{"role":"user","content":"x"}},{item}]}}"#);
    for (sent, param) in [
        (body(&many), "items"),
        (body(&[]), "items"),
        ("{}".into(), "items"),
        (r#"{"items":{}}"#.into(), "items"),
        (r#"{"messages":[]}"#.into(), "body"),
        (user("one message"), "body"),
        (item("1"), "items[1]"),
        (item("{}"), "items[1].role"),
        (item(r#"{"role":"user"}"#), "items[1].content"),
        (item(r#"{"type":"reasoning","id":7}"#), "items[1].id"),
        (item(r#"{"type":"reasoning","seq":7}"#), "items[1].seq"),
    ] {
        let answer = api.post(ITEMS, sent.as_str()).await;
        assert_eq!(
            (answer.status, answer.at("/error/param")),
            (400, param.into()),
            "{sent}: {}",
            answer.text
        );
    }
    let twice = item(r#"{"id":"a","role":"user","content":"x"},{"id":"a","role":"user","content":"x"}"#);
    let refused = api.post(ITEMS, twice).await;
    assert_eq!((refused.status, refused.at("/error/param")), (400, "items[2].id".into()));
    let refused = api.post("/v1/conversations", body(&many)).await;
    assert_eq!((refused.status, refused.at("/error/code")), (400, "too_many".into()));
    assert_eq!(api.get(ITEMS).await.json()["data"], json!([]), "nothing was stored");
    for (query, param) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("order=up", "order"),
        ("after=nobody", "after"),
        ("after=a%20b", "after"),
        ("order=asc&after=nobody", "after"),
    ] {
        let answer = api.get(&format!("{ITEMS}?{query}")).await;
        assert_eq!(
            (answer.status, answer.at("/error/param")),
            (400, param.into()),
            "{query}: {}",
            answer.text
        );
    }
    let ahead = api.get(&format!("{ITEMS}?min_version=99")).await;
    assert_eq!((ahead.status, ahead.at("/error/param")), (409, "min_version".into()));
}

#[tokio::test]
async fn an_id_used_again_is_answered_or_refused_and_not_tried_again() {
    let (_stack, api) = start().await;
    let one = body(&[json!({"id":"i1","role":"user","content":"x"})]);
    let (first, again) = (api.post(ITEMS, one.as_str()).await, api.post(ITEMS, one.as_str()).await);
    assert_eq!((first.status, &first.text), (200, &again.text));
    let other = body(&[json!({"id":"i1","role":"user","content":"y"})]);
    let url = format!("{}{ITEMS}", api.url());
    let client = reqwest::Client::new();
    let conflict =
        client.post(url).header("content-type", "application/json").body(other).send().await.unwrap();
    assert_eq!(conflict.status(), 409);
    assert_eq!(conflict.headers()["x-should-retry"], "false");
    assert_eq!(ids(&api.get(ITEMS).await), ["i1"]);
}

#[tokio::test]
async fn pages_too_large_for_an_answer_go_on_where_they_were_cut() {
    let (_stack, api) = start().await;
    for _ in 0..3 {
        let items: Vec<Value> =
            (0..10).map(|_| json!({"role":"user","content":"x".repeat(250_000)})).collect();
        assert_eq!(api.post(ITEMS, body(&items)).await.status, 200);
    }
    let mut all = ids(&api.get(&format!("{MESSAGES}?after=0&limit=15")).await);
    let last = api.get(&format!("{MESSAGES}?after=15")).await;
    all.extend(ids(&last));
    assert_eq!(all.len(), 30);
    for order in ["asc", "desc"] {
        let first = api.get(&format!("{ITEMS}?limit=100&order={order}")).await;
        assert!(first.text.len() <= 5 * 1024 * 1024 && first.text.len() > 4 * 1024 * 1024);
        assert_eq!(first.json()["has_more"], json!(true));
        let rest = api.get(&format!("{ITEMS}?limit=100&order={order}&after={}", first.at("/last_id"))).await;
        assert_eq!(rest.json()["has_more"], json!(false));
        let mut seen = [ids(&first), ids(&rest)].concat();
        if order == "desc" {
            seen.reverse();
        }
        assert_eq!(seen, all);
    }
}
