//! Items that are parts of records: what they are called, and what becomes of them when they are deleted or put back.

use conversation_tests::{Answer, Api};
use serde_json::{Value, json};

use crate::openai::{ITEMS, MESSAGES, body, ids, start};

fn call(id: &str) -> Value {
    json!({"id":id,"type":"function","function":{"name":"f","arguments":"{}"}})
}

fn custom(id: &str) -> Value {
    json!({"id":id,"type":"custom","custom":{"name":"g","input":"x"}})
}

async fn add(api: &Api, message: Value) {
    let added = api.post(MESSAGES, message.to_string()).await;
    assert_eq!(added.status, 200, "{message}: {}", added.text);
}

async fn keyed(api: &Api, path: &str, key: &str, body: String) -> Answer {
    let request = api.request("POST", path).header("content-type", "application/json");
    api.send(request.header("idempotency-key", key).body(body)).await
}

async fn read(api: &Api) -> Vec<Value> {
    api.get(&format!("{ITEMS}?order=asc")).await.json()["data"].as_array().unwrap().clone()
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.at("/error/code"))
}

#[tokio::test]
async fn an_id_that_only_looks_like_a_part_deletes_nothing_else() {
    let (_stack, api) = start().await;
    for id in ["m1", "1", "2024", "msg_1_2", "fc_a_0"] {
        add(&api, json!({"id":id,"role":"user","content":"x"})).await;
    }
    for none in ["fc_m1_7", "msg_m1_0", "msg_2024_99", "rs_1_0", "ctco_1_0"] {
        assert_eq!(api.delete(&format!("{ITEMS}/{none}")).await.status, 404, "{none}");
    }
    // A record's own id that looks like a part's is deleted once, and again.
    for id in ["msg_1_2", "msg_1_2", "fc_a_0", "fc_a_0"] {
        assert_eq!(api.delete(&format!("{ITEMS}/{id}")).await.status, 200, "{id}");
    }
    assert_eq!(ids(&api.get(&format!("{ITEMS}?order=asc")).await), ["m1", "1", "2024"]);
    for none in ["fc_m1_7", "msg_1_0"] {
        let page = api.get(&format!("{ITEMS}?order=asc&after={none}")).await;
        assert_eq!((page.status, page.at("/error/param").as_str()), (400, "after"), "{}", page.text);
    }
}

#[tokio::test]
async fn parts_of_a_deleted_record_are_not_stored_anew() {
    let (_stack, api) = start().await;
    add(&api, json!({"id":"m","role":"assistant","content":"on it","tool_calls":[call("a"),custom("b")]}))
        .await;
    let parts = read(&api).await;
    let new = json!({"type":"message","role":"user","content":"new","id":"n"});
    let both = body(&[parts[1].clone(), new.clone()]);
    let first = keyed(&api, ITEMS, "k", both.clone()).await;
    assert_eq!(ids(&first), ["fc_m_1", "n"], "{}", first.text);
    assert_eq!(api.delete("/v1/conversations/c/items/m").await.status, 200);
    for (path, sent) in [
        (ITEMS, body(&parts)),
        (ITEMS, body(&parts[1..2])),
        (ITEMS, body(&[json!({"role":"user","content":"y"}), parts[2].clone()])),
        (MESSAGES, json!({ "messages": parts }).to_string()),
        (MESSAGES, parts[0].to_string()),
    ] {
        let refused = api.post(path, sent.clone()).await;
        assert_eq!(code(&refused), (409, "message_deleted".into()), "{sent}: {}", refused.text);
    }
    // What was done under a key is answered as far as it is there.
    let again = keyed(&api, ITEMS, "k", both).await;
    assert_eq!((again.status, ids(&again)), (200, vec!["n".to_owned()]), "{}", again.text);
    assert_eq!(ids(&api.get(ITEMS).await), ["n"]);
}

#[tokio::test]
async fn parts_that_are_put_back_are_answered_in_the_order_of_the_request() {
    let (_stack, api) = start().await;
    add(&api, json!({"id":"m","role":"assistant","content":"on it","tool_calls":[call("a"),call("b")]}))
        .await;
    let parts = read(&api).await;
    let user = |id: &str, text: &str| json!({"id":id,"type":"message","role":"user","content":text});
    let mixed =
        api.post(ITEMS, body(&[user("u", "1"), parts[2].clone(), user("v", "2"), parts[0].clone()])).await;
    assert_eq!(ids(&mixed), ["u", "fc_m_2", "v", "msg_m_0"], "{}", mixed.text);
    // As messages they are the record that they are parts of.
    let native = api.post(MESSAGES, json!({ "messages": parts }).to_string()).await;
    assert_eq!((native.status, native.seqs()), (200, vec![1]), "{}", native.text);
    let native = api.post(MESSAGES, parts[1].to_string()).await;
    assert_eq!((native.status, native.seqs()), (200, vec![1]), "{}", native.text);
    // Errors name the place in the request.
    for (sent, param) in [
        (vec![parts[1].clone(), user("u", "another")], "items[1].content"),
        (vec![user("w", "3"), parts[1].clone(), user("w", "4")], "items[2].id"),
        (vec![parts[1].clone(), parts[1].clone()], "items[1].id"),
        (
            vec![
                user("x", "5"),
                json!({"id":"fc_m_1","type":"function_call","call_id":"a","name":"z","arguments":"{}"}),
            ],
            "items[1].name",
        ),
    ] {
        let refused = api.post(ITEMS, body(&sent)).await;
        assert_eq!(refused.at("/error/param"), param, "{}", refused.text);
    }
    assert_eq!(api.get(MESSAGES).await.seqs(), [1, 2, 3]);
    // A reference is to an item that is there.
    let reference = |id: &str| json!({"type":"item_reference","id":id});
    let referred = api.post(ITEMS, body(&[reference("u"), reference("fc_m_1")])).await;
    assert_eq!(ids(&referred), ["u", "fc_m_1"], "{}", referred.text);
    let refused = api.post(ITEMS, body(&[reference("nobody")])).await;
    assert_eq!(code(&refused), (404, "item_not_found".into()), "{}", refused.text);
    assert_eq!(api.get(MESSAGES).await.seqs(), [1, 2, 3]);
}

#[tokio::test]
async fn a_request_under_a_key_is_known_by_what_was_read_of_it() {
    let (_stack, api) = start().await;
    for (key, first) in [
        ("k1", json!({"role":"user","content":"q"})),
        ("k2", json!({"type":"function_call","call_id":"a","name":"f","arguments":"{}"})),
        ("k3", json!({"id":"own","role":"user","content":"a"})),
        (
            "k4",
            json!({"type":"function_call_output","call_id":"a","output":[{"type":"input_image","image_url":"data:,"}]}),
        ),
        ("k5", json!({"type":"tool_search_call","arguments":{}})),
    ] {
        let stored = keyed(&api, ITEMS, key, body(std::slice::from_ref(&first))).await;
        if stored.status == 404 {
            assert_eq!(api.post("/v1/conversations", r#"{"id":"c"}"#).await.status, 200);
        }
        let stored = keyed(&api, ITEMS, key, body(&[first])).await;
        let read = stored.json()["data"][0].clone();
        let mut plain = read.clone();
        plain.as_object_mut().unwrap().remove("id");
        for again in [read, plain] {
            let again = keyed(&api, ITEMS, key, body(&[again])).await;
            assert_eq!((again.status, ids(&again)), (200, ids(&stored)), "{}", again.text);
        }
        let mut other = stored.json()["data"][0].clone();
        other["id"] = json!("another");
        let refused = keyed(&api, ITEMS, key, body(&[other.clone()])).await;
        assert_eq!(refused.at("/error/param"), "items[0].id", "{}", refused.text);
        other["id"] = stored.json()["data"][0]["id"].clone();
        other["status"] = json!("incomplete");
        let refused = keyed(&api, ITEMS, key, body(&[other])).await;
        assert_eq!(code(&refused), (409, "idempotency_conflict".into()), "{}", refused.text);
    }
    let native = keyed(&api, MESSAGES, "n", r#"{"role":"user","content":"q"}"#.into()).await;
    for again in
        [native.messages()[0].clone(), r#"{"role":"user","content":"q","status":"completed"}"#.into()]
    {
        let again = keyed(&api, MESSAGES, "n", again).await;
        assert_eq!((again.status, again.messages()), (200, native.messages()), "{}", again.text);
    }
    assert_eq!(api.get(MESSAGES).await.seqs().len(), 6);
}

#[tokio::test]
async fn a_result_is_known_under_either_kind() {
    let (_stack, api) = start().await;
    add(&api, json!({"id":"call","role":"assistant","content":"x","tool_calls":[custom("a")]})).await;
    add(&api, json!({"id":"res","role":"tool","tool_call_id":"a","content":"1"})).await;
    let read = read(&api).await;
    assert_eq!(read[2]["id"], "ctco_res_0");
    assert_eq!(api.delete(&format!("{ITEMS}/call")).await.status, 200);
    // Without its call it is one of a function, as far as anybody knows.
    assert_eq!(ids(&api.get(ITEMS).await), ["fco_res_0"]);
    assert_eq!(api.get(&format!("{ITEMS}/ctco_res_0")).await.at("/id"), "fco_res_0");
    let back = api.post(ITEMS, body(&read[2..])).await;
    assert_eq!((back.status, ids(&back)), (200, vec!["fco_res_0".to_owned()]), "{}", back.text);
    assert_eq!(api.get(&format!("{ITEMS}?order=asc&after=ctco_res_0")).await.status, 200);
    for _ in 0..2 {
        assert_eq!(api.delete(&format!("{ITEMS}/ctco_res_0")).await.status, 200);
    }
    assert!(ids(&api.get(ITEMS).await).is_empty());
}

#[tokio::test]
async fn a_result_is_called_the_same_on_every_page() {
    let (_stack, api) = start().await;
    add(&api, json!({"id":"call","role":"assistant","content":null,"tool_calls":[custom("a")]})).await;
    let fillers = |from: usize, to: usize| {
        let fillers: Vec<_> = (from..to).map(|n| json!({"role":"user","content":n.to_string()})).collect();
        json!({ "messages": fillers })
    };
    add(&api, fillers(0, 99)).await;
    add(&api, json!({"id":"near","role":"tool","tool_call_id":"a","content":"1"})).await;
    add(&api, json!({"id":"far","role":"tool","tool_call_id":"a","content":"1"})).await;
    for limit in [1, 2, 3, 20, 100] {
        let newest = ids(&api.get(&format!("{ITEMS}?limit={limit}")).await);
        assert_eq!(newest[0], "fco_far_0", "{limit}");
        assert!(limit == 1 || newest[1] == "ctco_near_0", "{limit}: {newest:?}");
    }
}
