//! Pages of messages: where they begin, where they lead, and what they are asked for with.

use conversation_tests::{Answer, Api, Stack};
use serde_json::{Value, json};

use crate::openai::{ITEMS, MESSAGES};

/// A turn with a tool call, and a question after it.
async fn turn(api: &Api) {
    let call = json!({"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}});
    let messages = json!({"messages":[
        {"role":"user","content":"1"},
        {"role":"assistant","content":null,"tool_calls":[call]},
        {"role":"tool","tool_call_id":"c1","content":"3"},
        {"role":"assistant","content":"4"},
        {"role":"human","content":"5"},
        {"type":"reasoning","summary":[]},
        {"role":"assistant","content":"7"},
    ]});
    let added = api.post(MESSAGES, messages.to_string()).await;
    assert_eq!(added.status, 200, "{added:?}");
}

fn edges(page: &Answer) -> (Vec<i64>, Value, Value) {
    let body = page.json();
    (page.seqs(), body["before"].clone(), body["after"].clone())
}

#[tokio::test]
async fn a_page_begins_with_a_message_of_the_role_that_is_asked_for() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    turn(&api).await;
    for (query, seqs) in [
        ("start_on=user&limit=6", vec![5, 6, 7]),
        ("start_on=human&limit=7", vec![1, 2, 3, 4, 5, 6, 7]),
        ("start_on=user&limit=2", vec![]),
        ("start_on=assistant&limit=5", vec![4, 5, 6, 7]),
        ("start_on=ai&limit=2", vec![7]),
        ("start_on=tool", vec![3, 4, 5, 6, 7]),
        ("start_on=system", vec![]),
        ("start_on=user&after=1&limit=3", vec![]),
        ("start_on=user&after=1&limit=5", vec![5, 6]),
        ("start_on=user&before=7&limit=4", vec![5, 6]),
    ] {
        let page = api.get(&format!("{MESSAGES}?{query}")).await;
        let plain =
            api.get(&format!("{MESSAGES}?{}", query.split_once('&').map_or("", |(_, rest)| rest))).await;
        assert_eq!(page.seqs(), seqs, "{query}");
        // Nothing is missed by whoever goes on from there.
        assert_eq!((edges(&page).1, edges(&page).2), (edges(&plain).1, edges(&plain).2), "{query}");
        assert_eq!(page.json()["has_more"], plain.json()["has_more"], "{query}");
    }
    let wrong = api.get(&format!("{MESSAGES}?start_on=robot")).await;
    let seen = (wrong.status, wrong.at("/error/code"), wrong.at("/error/param"));
    assert_eq!(seen, (400, "unknown_role".into(), "start_on".into()));
}

#[tokio::test]
async fn an_empty_page_leads_both_ways() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    turn(&api).await;
    let page = async |query: &str| edges(&api.get(&format!("{MESSAGES}?{query}")).await);
    assert_eq!(page("after=7").await, (vec![], 8.into(), 7.into()));
    assert_eq!(page("before=8&limit=2").await, (vec![6, 7], 6.into(), 7.into()));
    assert_eq!(page("before=1").await, (vec![], Value::Null, 0.into()));
    assert_eq!(page(&format!("after={}", i64::MAX)).await, (vec![], Value::Null, i64::MAX.into()));
    let empty = api.post("/v1/conversations", r#"{"id":"e"}"#).await;
    assert_eq!(empty.status, 200);
    for query in ["", "?after=0"] {
        let page = api.get(&format!("/v1/conversations/e/messages{query}")).await;
        assert_eq!(edges(&page), (vec![], Value::Null, 0.into()), "{query}");
    }
}

#[tokio::test]
async fn a_parameter_has_one_value() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    turn(&api).await;
    for (method, path) in [
        ("GET", format!("{MESSAGES}?limit=1&limit=2")),
        ("GET", format!("{MESSAGES}?after=1&after=2")),
        ("GET", format!("{ITEMS}?order=asc&order=desc")),
        ("GET", "/v1/conversations?forked_from=a&forked_from=b".to_owned()),
        ("PUT", format!("{MESSAGES}?after=3&after=0")),
    ] {
        let request = api.request(method, &path).header("content-type", "application/json");
        let answer = api.send(request.body(r#"{"messages":[]}"#)).await;
        assert_eq!((answer.status, answer.at("/error/code").as_str()), (400, "invalid_parameter"), "{path}");
    }
    assert_eq!(api.get(&format!("{MESSAGES}?limit=2&limit=2&include=a&include=b")).await.seqs(), [6, 7]);
    assert_eq!(api.get(MESSAGES).await.seqs().len(), 7);
}
