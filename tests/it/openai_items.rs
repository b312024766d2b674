//! What a record looks like in the OpenAI view, and what an item looks like in the native one.

use serde_json::{Value, json};

use crate::openai::{ITEMS, MESSAGES, body, ids, start};

/// An item without the id that the store made.
fn without_id(item: &Value) -> Value {
    let mut item = item.clone();
    assert!(item.as_object_mut().unwrap().remove("id").is_some(), "{item}");
    item
}

#[tokio::test]
async fn items_are_answered_as_they_came_with_an_id_of_their_kind() {
    let (_stack, api) = start().await;
    let typed = [
        (
            "fc_",
            json!({"type":"function_call","call_id":"1","name":"f","arguments":"{\"a\": 1}","status":"completed"}),
        ),
        ("fco_", json!({"type":"function_call_output","call_id":"1","output":"[1,2]","status":"incomplete"})),
        (
            "rs_",
            json!({"type":"reasoning","summary":[{"type":"summary_text","text":"so"}],"encrypted_content":"gAAA"}),
        ),
        (
            "ws_",
            json!({"type":"web_search_call","status":"completed","action":{"type":"search","query":"q"}}),
        ),
        ("fs_", json!({"type":"file_search_call","status":"completed","queries":["q"],"results":null})),
        (
            "cu_",
            json!({"type":"computer_call","call_id":"2","action":{"type":"click","x":1,"y":2},"pending_safety_checks":[],"status":"completed"}),
        ),
        (
            "cuo_",
            json!({"type":"computer_call_output","call_id":"2","output":{"type":"computer_screenshot","image_url":"data:,"},"status":"completed"}),
        ),
        ("ig_", json!({"type":"image_generation_call","status":"completed","result":"aGk="})),
        (
            "ci_",
            json!({"type":"code_interpreter_call","container_id":"k","code":"1","outputs":null,"status":"completed"}),
        ),
        (
            "lsh_",
            json!({"type":"local_shell_call","call_id":"3","action":{"type":"exec","command":["ls"],"env":{}},"status":"completed"}),
        ),
        ("sh_", json!({"type":"shell_call","call_id":"4","action":{"commands":["ls"]},"status":"completed"})),
        (
            "apc_",
            json!({"type":"apply_patch_call","call_id":"5","operation":{"type":"delete_file","path":"p"},"status":"completed"}),
        ),
        ("mcpl_", json!({"type":"mcp_list_tools","server_label":"s","tools":[]})),
        ("mcp_", json!({"type":"mcp_call","server_label":"s","name":"n","arguments":"{}","output":"o"})),
        ("ctc_", json!({"type":"custom_tool_call","call_id":"6","name":"n","input":"i"})),
        ("ctco_", json!({"type":"custom_tool_call_output","call_id":"6","output":"o"})),
        ("cmp_", json!({"type":"compaction","encrypted_content":"gAAA"})),
        ("item_", json!({"type":"additional_tools","role":"developer","tools":[]})),
        ("item_", json!({"type":"not_known_yet","nested":{"id":1,"seq":2,"created_at":3},"n":1e3})),
    ];
    let items: Vec<Value> = typed.iter().map(|(_, item)| item.clone()).collect();
    let added = api.post(ITEMS, body(&items)).await;
    assert_eq!(added.status, 200, "{}", added.text);
    let (read, found) = (api.get(&format!("{ITEMS}?order=asc&limit=100")).await, ids(&added));
    assert_eq!(read.json()["data"], added.json()["data"]);
    for (at, (prefix, item)) in typed.iter().enumerate() {
        assert_eq!(&without_id(&read.json()["data"][at]), item);
        assert!(found[at].starts_with(prefix), "{} for {item}", found[at]);
    }
    let edges = [added.at("/object"), added.at("/first_id"), added.at("/last_id")];
    assert_eq!(edges, ["list".to_owned(), found[0].clone(), found[typed.len() - 1].clone()]);
    assert_eq!(added.json()["has_more"], json!(false));

    // To the byte, but for the spaces between the fields.
    let spelt = r#"{"type":"function_call","id":"fc_1","call_id":"c","name":"\u0066","arguments":"{}","n":1.0E+2,"s":"\ud800","o":{ "a" : -0.0 },"status":"completed"}"#;
    let answer = api.post(ITEMS, format!(r#"{{"items":[{spelt}]}}"#)).await;
    assert!(answer.text.contains(spelt), "{}", answer.text);
    assert!(api.get(&format!("{ITEMS}/fc_1")).await.text == spelt);
    assert!(api.get(MESSAGES).await.text.contains(&spelt[1..]));
}

#[tokio::test]
async fn what_the_sdks_expect_is_filled_in_and_what_they_leave_open_may_be_null() {
    let (_stack, api) = start().await;
    let items = [
        json!({"id":null,"type":"function_call","call_id":"1","name":"f","arguments":"{}","status":null}),
        json!({"id":null,"type":"function_call_output","call_id":"1","output":"ok"}),
        json!({"type":"message","role":"user","status":"incomplete","content":[{"type":"input_image","image_url":"data:,"}]}),
        json!({"id":"msg_own","type":"message","role":"assistant","content":[{"type":"output_text","text":"a","logprobs":[]}],"phase":"final_answer"}),
    ];
    let added = api.post(ITEMS, body(&items)).await;
    assert_eq!(added.status, 200, "{}", added.text);
    let data: Vec<Value> = added.json()["data"].as_array().unwrap().iter().map(without_id).collect();
    let expected = [
        json!({"type":"function_call","call_id":"1","name":"f","arguments":"{}","status":"completed"}),
        json!({"type":"function_call_output","call_id":"1","output":"ok","status":"completed"}),
        json!({"type":"message","role":"user","status":"incomplete","content":[{"type":"input_image","image_url":"data:,","detail":"auto"}]}),
        json!({"type":"message","role":"assistant","status":"completed","phase":"final_answer",
            "content":[{"type":"output_text","text":"a","logprobs":[],"annotations":[]}]}),
    ];
    assert_eq!(data, expected);
    assert_eq!(added.at("/last_id"), "msg_own");
    // The native view has what was sent, and no second id.
    let native = api.get(MESSAGES).await;
    assert_eq!(native.json()["data"][2]["content"], items[2]["content"]);
    assert_eq!(native.messages()[0].matches("\"id\"").count(), 1, "{}", native.text);
}

#[tokio::test]
async fn messages_of_chat_completions_read_as_items() {
    let (_stack, api) = start().await;
    let text = |text: &str| json!({"type":"output_text","text":text,"annotations":[]});
    let call = |id: &str| json!({"id":id,"type":"function","function":{"name":"f","arguments":"{\"a\":1}"}});
    let message = |role: &str, content: Value| json!({"type":"message","status":"completed","role":role,"content":content});
    let with = |mut item: Value, name: &str, value: Value| {
        item[name] = value;
        item
    };
    let pairs = [
        (
            json!({"role":"system","content":"be kind"}),
            message("system", json!([{"type":"input_text","text":"be kind"}])),
        ),
        (
            json!({"role":"user","content":"hi","name":"ann","metadata":{"a":"b"}}),
            with(
                with(message("user", json!([{"type":"input_text","text":"hi"}])), "name", json!("ann")),
                "metadata",
                json!({"a":"b"}),
            ),
        ),
        (json!({"role":"human","content":""}), message("user", json!([{"type":"input_text","text":""}]))),
        (
            json!({"role":"ai","content":"ho","additional_kwargs":{}}),
            message("assistant", json!([text("ho")])),
        ),
        (
            json!({"role":"user","content":[
                {"type":"text","text":"see","cache":1},
                {"type":"image_url","image_url":{"url":"https://a/b","detail":"low"}},
                {"type":"image_url","image_url":{"url":"data:,"}},
                {"type":"file","file":{"file_id":"f"}},
                {"type":"input_audio","input_audio":{"data":"","format":"wav"}},
            ]}),
            message(
                "user",
                json!([
                    {"type":"input_text","text":"see","cache":1},
                    {"type":"input_image","image_url":"https://a/b","detail":"low"},
                    {"type":"input_image","image_url":"data:,","detail":"auto"},
                    {"type":"input_file","file_id":"f"},
                    {"type":"input_audio","input_audio":{"data":"","format":"wav"}},
                ]),
            ),
        ),
        (
            json!({"role":"assistant","content":[{"type":"text","text":"x"}]}),
            message("assistant", json!([text("x")])),
        ),
        (
            json!({"role":"assistant","content":null,"refusal":"no"}),
            message("assistant", json!([{"type":"refusal","refusal":"no"}])),
        ),
        (
            json!({"role":"assistant","content":null,"refusal":null,"tool_calls":[call("c1")]}),
            json!({"type":"function_call","call_id":"c1","name":"f","arguments":"{\"a\":1}","status":"completed"}),
        ),
        (
            json!({"role":"tool","tool_call_id":"c1","content":"42"}),
            json!({"type":"function_call_output","call_id":"c1","output":"42","status":"completed"}),
        ),
        (
            json!({"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"42"}]}),
            json!({"type":"function_call_output","call_id":"c1","output":[{"type":"input_text","text":"42"}],"status":"completed"}),
        ),
    ];
    for (at, (sent, expected)) in pairs.iter().enumerate() {
        let added = api.post(MESSAGES, sent.to_string()).await;
        assert_eq!(added.status, 200, "{sent}: {}", added.text);
        let items = api.get(&format!("{ITEMS}?limit=1")).await;
        assert!(items.is_hit(), "{items:?}");
        assert_eq!(&without_id(&items.json()["data"][0]), expected, "{sent}");
        let (item, record) = (items.at("/data/0/id"), added.at("/data/0/id"));
        // What is no message says by its id of what kind it is.
        let is_message = expected["type"] == "message";
        assert!(if is_message { item == record } else { item.contains(&record) }, "{item} of {record}");
        assert_eq!(items.json()["has_more"], json!(at > 0));
    }
}

#[tokio::test]
async fn items_read_in_the_native_view_as_they_were_sent() {
    let (_stack, api) = start().await;
    let items = [
        r#"{"role":"user","content":"easy"}"#,
        r#"{"type":"message","role":"user","content":[{"type":"input_text","text":"parts"}]}"#,
        r#"{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}"#,
    ];
    let added = api.post(ITEMS, format!(r#"{{"items":[{}]}}"#, items.join(","))).await;
    let native = api.get(MESSAGES).await;
    assert_eq!((native.seqs(), ids(&native)), (vec![1, 2, 3], ids(&added)));
    for (message, item) in native.messages().iter().zip(items) {
        assert!(message.ends_with(&item[1..]), "{message}");
    }
    assert_eq!(api.get("/v1/conversations/c").await.number("/message_count"), 3);
}
