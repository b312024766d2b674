//! Records that read as several items: what is said, each call, and what each call returned.

use conversation_tests::Answer;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::openai::{ITEMS, MESSAGES, body, ids, start};

/// Items without their ids, and these.
fn parts(answer: &Answer) -> (Vec<Value>, Vec<String>) {
    let mut items = answer.json()["data"].as_array().unwrap().clone();
    for item in &mut items {
        item.as_object_mut().unwrap().remove("id");
    }
    (items, ids(answer))
}

fn said(text: &str) -> Value {
    json!({"type":"message","status":"completed","role":"assistant",
        "content":[{"type":"output_text","text":text,"annotations":[]}]})
}

fn called(id: &str, name: &str, arguments: &str) -> Value {
    json!({"type":"function_call","call_id":id,"name":name,"arguments":arguments,"status":"completed"})
}

fn returned(id: &str, output: &str) -> Value {
    json!({"type":"function_call_output","call_id":id,"output":output,"status":"completed"})
}

fn tool(id: &str, name: &str, arguments: &str) -> Value {
    json!({"id":id,"type":"function","function":{"name":name,"arguments":arguments}})
}

fn custom(id: &str, name: &str, input: &str) -> Value {
    json!({"id":id,"type":"custom","custom":{"name":name,"input":input}})
}

#[tokio::test]
async fn a_record_reads_as_the_items_that_say_the_same() {
    let citation = json!({"type":"url_citation","start_index":0,"end_index":2,"title":"t","url":"https://a"});
    let nested = json!({"type":"url_citation","url_citation":{"start_index":0,"end_index":2,"title":"t","url":"https://a"}});
    for (record, expected, prefixes) in [
        (
            json!({"role":"assistant","content":null,"tool_calls":[tool("a","f","{}"),tool("b","g","{\"x\":1}")]}),
            vec![called("a", "f", "{}"), called("b", "g", "{\"x\":1}")],
            vec!["fc_", "fc_"],
        ),
        (
            json!({"role":"assistant","content":"let me see","tool_calls":[tool("a","f","{}")],"refusal":null,"annotations":[]}),
            vec![said("let me see"), called("a", "f", "{}")],
            vec!["msg_", "fc_"],
        ),
        (
            json!({"role":"assistant","content":"","tool_calls":[custom("a","sql","select 1"),tool("b","f","{}")]}),
            vec![
                json!({"type":"custom_tool_call","call_id":"a","name":"sql","input":"select 1"}),
                called("b", "f", "{}"),
            ],
            vec!["ctc_", "fc_"],
        ),
        // Arguments are a string, whatever a library made of them; and what it keeps beside a call stays.
        (
            json!({"role":"assistant","tool_calls":[
                {"id":"a","type":"function","index":0,"function":{"name":"f","arguments":{"x": 1.0}}},
                {"id":"b","type":"tool_call","name":"g","args":{"y":[2]}}]}),
            vec![
                json!({"type":"function_call","call_id":"a","name":"f","arguments":"{\"x\":1.0}","status":"completed","index":0}),
                called("b", "g", "{\"y\":[2]}"),
            ],
            vec!["fc_", "fc_"],
        ),
        (
            json!({"role":"assistant","content":"see","annotations":[nested],"tool_calls":[tool("a","f","{}")]}),
            vec![
                json!({"type":"message","status":"completed","role":"assistant",
                    "content":[{"type":"output_text","text":"see","annotations":[citation]}]}),
                called("a", "f", "{}"),
            ],
            vec!["msg_", "fc_"],
        ),
        (
            json!({"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[tool("a","f","{}")]}),
            vec![
                json!({"type":"function_call","call_id":"a","name":"f","arguments":"{}","status":"completed","reasoning_content":"hm"}),
            ],
            vec!["fc_"],
        ),
        (
            json!({"role":"assistant","name":"agent","content":null,"tool_calls":[tool("a","f","{}")]}),
            vec![
                json!({"type":"message","status":"completed","role":"assistant","content":[],"name":"agent"}),
                called("a", "f", "{}"),
            ],
            vec!["msg_", "fc_"],
        ),
        (
            json!({"id":"ui-1","role":"assistant","metadata":{"n":1},"parts":[
                {"type":"step-start"},
                {"type":"reasoning","text":"hm","state":"done"},
                {"type":"text","text":"looking","state":"done"},
                {"type":"tool-weather","toolCallId":"a","state":"output-available","input":{"city":"Ulm"},"output":{"c":3}},
                {"type":"dynamic-tool","toolName":"ask","toolCallId":"b","state":"output-error","input":"q","errorText":"no"},
                {"type":"text","text":"3 degrees"},
                {"type":"source-url","sourceId":"s","url":"https://a","title":"t"}]}),
            vec![
                json!({"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"hm"}],"status":"completed","state":"done","metadata":{"n":1}}),
                json!({"type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"looking","annotations":[],"state":"done"}]}),
                called("a", "weather", "{\"city\":\"Ulm\"}"),
                returned("a", "{\"c\":3}"),
                called("b", "ask", "\"q\""),
                json!({"type":"function_call_output","call_id":"b","output":"no","status":"incomplete"}),
                json!({"type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"3 degrees","annotations":[
                    {"type":"url_citation","url":"https://a","title":"t","start_index":0,"end_index":0,"sourceId":"s"}]}]}),
            ],
            vec!["rs_", "msg_", "fc_", "fco_", "fc_", "fco_", "msg_"],
        ),
        (
            json!({"id":"ui-2","role":"user","parts":[{"type":"text","text":"see"},
                {"type":"file","mediaType":"image/png","url":"data:image/png;base64,AA==","filename":"a.png"},
                {"type":"file","mediaType":"application/pdf","url":"https://a/b.pdf"}]}),
            vec![json!({"type":"message","status":"completed","role":"user","content":[
                {"type":"input_text","text":"see"},
                {"type":"input_image","image_url":"data:image/png;base64,AA==","detail":"auto","filename":"a.png"},
                {"type":"input_file","file_url":"https://a/b.pdf"}]})],
            vec!["ui-2"],
        ),
        // Version 4 of the AI SDK, whose text stands in the content as well.
        (
            json!({"role":"assistant","content":"It is 3 degrees.","parts":[
                {"type":"step-start"},
                {"type":"tool-invocation","toolInvocation":{"state":"result","step":0,"toolCallId":"a","toolName":"weather","args":{"city":"Ulm"},"result":{"c":3}}},
                {"type":"tool-invocation","toolInvocation":{"state":"call","toolCallId":"b","toolName":"ask","args":{}}},
                {"type":"text","text":"It is 3 degrees."}]}),
            vec![
                json!({"type":"function_call","call_id":"a","name":"weather","arguments":"{\"city\":\"Ulm\"}","status":"completed","step":0}),
                returned("a", "{\"c\":3}"),
                called("b", "ask", "{}"),
                said("It is 3 degrees."),
            ],
            vec!["fc_", "fco_", "fc_", "msg_"],
        ),
        (
            json!({"role":"assistant","content":"","parts":[
                {"type":"tool-rm","toolCallId":"a","state":"output-denied","input":{},"approval":{"id":"x","approved":false,"reason":"too risky"}},
                {"type":"tool-rm","toolCallId":"b","state":"output-denied","input":{},"approval":{"id":"y","approved":false}}]}),
            vec![
                json!({"type":"function_call","call_id":"a","name":"rm","arguments":"{}","status":"completed","approval":{"id":"x","approved":false,"reason":"too risky"}}),
                json!({"type":"function_call_output","call_id":"a","output":"too risky","status":"incomplete"}),
                json!({"type":"function_call","call_id":"b","name":"rm","arguments":"{}","status":"completed","approval":{"id":"y","approved":false}}),
                json!({"type":"function_call_output","call_id":"b","output":"Tool execution denied.","status":"incomplete"}),
            ],
            vec!["fc_", "fco_", "fc_", "fco_"],
        ),
        // Of calls those that items have no word for stay what they are; the others are items.
        (
            json!({"role":"assistant","content":null,"tool_calls":[tool("a","f","{}"),{"id":"b","type":"mcp","mcp":{"x":1}},{"id":"c","name":"g","args":null}]}),
            vec![
                json!({"type":"function_call","call_id":"a","name":"f","arguments":"{}","status":"completed","tool_calls":[{"id":"b","type":"mcp","mcp":{"x":1}}]}),
                called("c", "g", "{}"),
            ],
            vec!["fc_", "fc_"],
        ),
        (
            json!({"role":"tool","tool_call_id":"a","content":"boom","status":"error"}),
            vec![json!({"type":"function_call_output","call_id":"a","output":"boom","status":"incomplete"})],
            vec!["fco_"],
        ),
    ] {
        let (_stack, api) = start().await;
        let added = api.post(MESSAGES, record.to_string()).await;
        assert_eq!(added.status, 200, "{}", added.text);
        let listed = api.get(&format!("{ITEMS}?order=asc")).await;
        let (items, names) = parts(&listed);
        assert_eq!(items, expected, "{record}");
        for (name, prefix) in names.iter().zip(&prefixes) {
            assert!(name.starts_with(prefix), "{name} does not begin with {prefix}");
        }
        // The native view has the record, to the byte.
        let rest = record.to_string();
        assert!(api.get(MESSAGES).await.messages()[0].ends_with(&rest[rest.len() - 20..]));
        // Each is read by its id, and pages begin after it.
        for (at, (item, name)) in expected.iter().zip(&names).enumerate() {
            let read = api.get(&format!("{ITEMS}/{name}")).await;
            assert_eq!(
                (read.status, read.json()["type"].clone()),
                (200, item["type"].clone()),
                "{}",
                read.text
            );
            let after = api.get(&format!("{ITEMS}?order=asc&limit=1&after={name}")).await;
            assert_eq!(ids(&after), names.iter().skip(at + 1).take(1).cloned().collect::<Vec<_>>());
            assert_eq!(after.json()["has_more"], json!(at + 2 < names.len()));
            let before = api.get(&format!("{ITEMS}?order=desc&limit=1&after={name}")).await;
            assert_eq!(ids(&before), names[..at].last().cloned().into_iter().collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn pages_count_items_and_go_through_records() {
    let (_stack, api) = start().await;
    for record in [
        json!({"role":"user","content":"q"}),
        json!({"role":"assistant","content":"on it","tool_calls":[tool("a","f","{}"),tool("b","f","{}"),tool("c","f","{}")]}),
        json!({"role":"tool","tool_call_id":"a","content":"1"}),
        json!({"role":"tool","tool_call_id":"b","content":"2"}),
        json!({"role":"tool","tool_call_id":"c","content":"3"}),
        json!({"role":"assistant","content":"done"}),
    ] {
        assert_eq!(api.post(MESSAGES, record.to_string()).await.status, 200);
    }
    let all = ids(&api.get(&format!("{ITEMS}?order=asc&limit=100")).await);
    assert_eq!(all.len(), 9);
    for order in ["asc", "desc"] {
        for limit in 1..=9 {
            let (mut seen, mut after) = (Vec::new(), String::new());
            loop {
                let page = api.get(&format!("{ITEMS}?order={order}&limit={limit}{after}")).await;
                let names = ids(&page);
                assert!(names.len() <= limit, "{}", page.text);
                let Some(last) = names.last() else { break };
                after = format!("&after={last}");
                seen.extend(names);
                if page.json()["has_more"] == json!(false) {
                    break;
                }
            }
            if order == "desc" {
                seen.reverse();
            }
            assert_eq!(seen, all, "{order} by {limit}");
        }
    }
}

#[tokio::test]
async fn a_result_is_of_the_kind_of_its_call_wherever_that_stands() {
    let (_stack, api) = start().await;
    for record in [
        json!({"role":"assistant","content":null,"tool_calls":[custom("a","sql","x"),tool("b","f","{}")]}),
        json!({"role":"tool","tool_call_id":"b","content":"1"}),
        json!({"role":"tool","tool_call_id":"a","content":"2"}),
        json!({"role":"assistant","content":null,"function_call":{"name":"old","arguments":"{}"}}),
        json!({"role":"function","name":"old","content":"3"}),
    ] {
        assert_eq!(api.post(MESSAGES, record.to_string()).await.status, 200);
    }
    let all = api.get(&format!("{ITEMS}?order=asc")).await.json()["data"].as_array().unwrap().clone();
    let kinds: Vec<&str> = all.iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "custom_tool_call",
            "function_call",
            "function_call_output",
            "custom_tool_call_output",
            "function_call",
            "function_call_output"
        ]
    );
    assert_eq!(all[4]["call_id"], all[5]["call_id"]);
    // A page that has the result alone, and one item.
    for item in &all {
        let id = item["id"].as_str().unwrap();
        assert_eq!(&api.get(&format!("{ITEMS}/{id}")).await.json(), item);
    }
    for (at, item) in all.iter().rev().enumerate() {
        let after = if at == 0 {
            String::new()
        } else {
            format!("&after={}", all[all.len() - at]["id"].as_str().unwrap())
        };
        let page = api.get(&format!("{ITEMS}?limit=1{after}")).await;
        assert_eq!(&page.json()["data"][0], item);
    }
}

#[tokio::test]
async fn a_part_is_deleted_with_its_record_and_not_by_itself() {
    let (_stack, api) = start().await;
    let records = [
        json!({"id":"fc_r1_1","role":"user","content":"an id that looks like a part's"}),
        json!({"id":"r1","role":"assistant","content":"x","tool_calls":[tool("a","f","{}"),tool("b","f","{}")]}),
        json!({"id":"r2","role":"assistant","content":null,"tool_calls":[tool("c","f","{}")]}),
    ];
    for record in &records {
        assert_eq!(api.post(MESSAGES, record.to_string()).await.status, 200);
    }
    let names = ids(&api.get(&format!("{ITEMS}?order=asc")).await);
    assert_eq!(names, ["fc_r1_1", "msg_r1_0", "fc_r1_1", "fc_r1_2", "fc_r2_0"]);
    for part in ["msg_r1_0", "fc_r1_2"] {
        let refused = api.delete(&format!("{ITEMS}/{part}")).await;
        assert_eq!(
            (refused.status, refused.at("/error/code").as_str()),
            (409, "part_of_message"),
            "{}",
            refused.text
        );
        assert!(refused.text.contains("r1"), "{}", refused.text);
    }
    let several = api.get(&format!("{ITEMS}/r1")).await;
    assert_eq!(several.status, 404);
    assert!(several.text.contains("fc_r1_2"), "{}", several.text);
    // A record's own id comes first.
    assert_eq!(api.get(&format!("{ITEMS}/fc_r1_1")).await.json()["role"], "user");
    for gone in ["fc_r1_1", "r1", "fc_r2_0", "fc_r2_0"] {
        let deleted = api.delete(&format!("{ITEMS}/{gone}")).await;
        assert_eq!(deleted.status, 200, "{gone}: {}", deleted.text);
    }
    assert!(ids(&api.get(ITEMS).await).is_empty());
    for unknown in ["fc_r9_0", "fc_r1", "nothing"] {
        assert_eq!(api.delete(&format!("{ITEMS}/{unknown}")).await.status, 404, "{unknown}");
        assert_eq!(api.get(&format!("{ITEMS}/{unknown}")).await.status, 404, "{unknown}");
    }
}

#[tokio::test]
async fn what_was_read_as_items_can_be_put_back() {
    let (_stack, api) = start().await;
    for record in [
        json!({"role":"user","content":"q"}),
        json!({"role":"assistant","content":"on it","tool_calls":[tool("a","f","{}"),custom("b","g","x")]}),
        json!({"role":"tool","tool_call_id":"a","content":"1"}),
        json!({"role":"tool","tool_call_id":"b","content":"2"}),
    ] {
        assert_eq!(api.post(MESSAGES, record.to_string()).await.status, 200);
    }
    let version = api.get("/v1/conversations/c").await.number("/version");
    let read = api.get(&format!("{ITEMS}?order=asc")).await.json()["data"].as_array().unwrap().clone();
    let again = api.post(ITEMS, body(&read)).await;
    assert_eq!(again.status, 200, "{}", again.text);
    assert_eq!(again.number("/version"), version);
    assert_eq!(api.get(&format!("{ITEMS}?order=asc")).await.json()["data"], json!(read));
    // Changed, it is another item.
    let mut changed = read[1].clone();
    changed["content"][0]["text"] = json!("off it");
    let refused = api.post(ITEMS, body(&[changed])).await;
    assert_eq!((refused.status, refused.at("/error/code").as_str()), (409, "message_conflict"));
    assert!(refused.at("/error/param").contains("content[0].text"), "{}", refused.text);
    // In another conversation they are what they were.
    assert_eq!(api.post("/v1/conversations", r#"{"id":"d"}"#).await.status, 200);
    assert_eq!(api.post("/v1/conversations/d/items", body(&read)).await.status, 200);
    assert_eq!(api.get("/v1/conversations/d/items?order=asc").await.json()["data"], json!(read));
}

/// What a message says, however it is written down.
#[derive(Debug, Default, PartialEq)]
struct Said {
    role: String,
    texts: Vec<String>,
    images: Vec<String>,
    refusals: Vec<Value>,
    citations: Vec<Value>,
    /// Kind, id, name, and what it is called with.
    calls: Vec<[String; 4]>,
    /// The id of a call, and what it returned.
    results: Vec<[String; 2]>,
    /// A field that nobody knows.
    unknown: Option<Value>,
}

fn string(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Said {
    fn parts(&mut self, content: &Value) {
        if let Some(text) = content.as_str() {
            self.texts.push(text.to_owned());
        }
        for part in content.as_array().into_iter().flatten() {
            match part["type"].as_str().unwrap() {
                "text" | "input_text" | "output_text" => self.texts.push(string(&part["text"])),
                "image_url" => self.images.push(string(&part["image_url"]["url"])),
                "input_image" => self.images.push(string(&part["image_url"])),
                "refusal" => self.refusals.push(part["refusal"].clone()),
                other => panic!("{other}"),
            }
            self.citations.extend(part["annotations"].as_array().cloned().unwrap_or_default());
        }
    }

    fn of_message(message: &Value) -> Self {
        let mut said = Self { unknown: message.get("x").cloned(), ..Self::default() };
        if message["role"] == "tool" {
            said.results.push([string(&message["tool_call_id"]), result(&message["content"])]);
            return said;
        }
        said.role = string(&message["role"]);
        said.parts(&message["content"]);
        said.refusals.extend(message.get("refusal").filter(|refusal| !refusal.is_null()).cloned());
        said.texts.retain(|text| !text.is_empty());
        for annotation in message["annotations"].as_array().into_iter().flatten() {
            let mut flat = annotation["url_citation"].clone();
            flat["type"] = json!("url_citation");
            said.citations.push(flat);
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let id = string(&call["id"]);
            said.calls.push(match call["type"].as_str() {
                Some("custom") => {
                    ["custom".into(), id, string(&call["custom"]["name"]), string(&call["custom"]["input"])]
                }
                _ => [
                    "function".into(),
                    id,
                    string(&call["function"]["name"]),
                    string(&call["function"]["arguments"]),
                ],
            });
        }
        said
    }

    fn of_items(items: &[Value]) -> Self {
        let mut said = Self::default();
        for item in items {
            match item["type"].as_str().unwrap() {
                "message" => {
                    said.role = string(&item["role"]);
                    said.parts(&item["content"]);
                }
                kind @ ("function_call" | "custom_tool_call") => {
                    said.role = "assistant".into();
                    let (kind, input) =
                        if kind == "function_call" { ("function", "arguments") } else { ("custom", "input") };
                    assert!(item[input].is_string(), "{item}");
                    said.calls.push([
                        kind.into(),
                        string(&item["call_id"]),
                        string(&item["name"]),
                        string(&item[input]),
                    ]);
                }
                "function_call_output" | "custom_tool_call_output" => {
                    said.results.push([string(&item["call_id"]), result(&item["output"])]);
                }
                other => panic!("{other}"),
            }
            said.unknown = said.unknown.or_else(|| item.get("x").cloned());
        }
        said.texts.retain(|text| !text.is_empty());
        said
    }
}

/// What a tool returned, as text.
fn result(content: &Value) -> String {
    match content.as_array() {
        Some(parts) => parts.iter().map(|part| string(&part["text"])).collect::<Vec<_>>().join("|"),
        None => string(content),
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z \"\\\\é😀]{1,8}"]
}

fn content() -> impl Strategy<Value = Value> {
    let part = prop_oneof![
        text().prop_map(|text| json!({"type":"text","text":text})),
        "[a-z]{1,4}".prop_map(
            |name| json!({"type":"image_url","image_url":{"url":format!("https://a/{name}"),"detail":"low"}})
        ),
        "[a-z]{1,4}".prop_map(|name| json!({"type":"image_url","image_url":{"url":name}})),
    ];
    prop_oneof![text().prop_map(Value::from), vec(part, 1..4).prop_map(Value::from)]
}

fn call() -> impl Strategy<Value = Value> {
    let arguments = prop_oneof![Just(json!("{}")), Just(json!("{\"a\": 1.0}")), Just(json!({"a":[1,null]}))];
    prop_oneof![
        ("[a-c]", "[f-h]", arguments)
            .prop_map(|(id, name, arguments)| json!({"id":id,"type":"function","function":{"name":name,"arguments":arguments}})),
        ("[d-e]", "[f-h]", text()).prop_map(|(id, name, input)| json!({"id":id,"type":"custom","custom":{"name":name,"input":input}})),
    ]
}

fn message() -> impl Strategy<Value = Value> {
    let unknown = prop_oneof![Just(None), Just(Some(json!({"n":1e2}))), Just(Some(json!("kept")))];
    let words = prop_oneof![
        Just(json!(null)),
        text().prop_map(Value::from),
        vec(text().prop_map(|text| json!({"type":"text","text":text})), 1..3).prop_map(Value::from)
    ];
    let citation =
        json!([{"type":"url_citation","url_citation":{"start_index":0,"end_index":1,"title":"t","url":"u"}}]);
    let assistant = (words, vec(call(), 0..4), proptest::option::of(text()), any::<bool>(), any::<bool>()).prop_map(
        move |(content, calls, refusal, cites, names)| {
            // Citations are of a text.
            let is_text = content.as_str().is_some_and(|text| !text.is_empty());
            let mut message = json!({"role":"assistant","content":content,"refusal":refusal.filter(|refusal| !refusal.is_empty())});
            if !calls.is_empty() || names {
                message["tool_calls"] = calls.into();
            }
            if cites && is_text {
                message["annotations"] = citation.clone();
            }
            message
        },
    );
    let user = (prop_oneof![Just("user"), Just("system"), Just("developer")], content())
        .prop_map(|(role, content)| json!({"role":role,"content":content}));
    let tool = (
        "[a-e]",
        prop_oneof![
            text().prop_map(Value::from),
            vec(text().prop_map(|text| json!({"type":"text","text":text})), 1..3).prop_map(Value::from)
        ],
    )
        .prop_map(|(id, content)| json!({"role":"tool","tool_call_id":id,"content":content}));
    (prop_oneof![user, assistant, tool], unknown).prop_map(|(mut message, unknown)| {
        if let Some(unknown) = unknown {
            message["x"] = unknown;
        }
        message
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_all_shapes_read_as_items_that_say_the_same_and_can_be_put_back() {
    const CASES: usize = 40;
    let (_stack, api) = start().await;
    let mut runner = TestRunner::deterministic();
    for case in 0..CASES {
        let messages = vec(message(), 1..8).new_tree(&mut runner).unwrap().current();
        let (path, items) =
            (format!("/v1/conversations/g{case}/messages"), format!("/v1/conversations/g{case}/items"));
        let added = api.post(&path, json!({"messages":messages}).to_string()).await;
        assert_eq!(added.status, 200, "{messages:#?}: {}", added.text);
        let (records, version) = (ids(&added), added.number("/version"));
        let read =
            api.get(&format!("{items}?order=asc&limit=100")).await.json()["data"].as_array().unwrap().clone();
        let mut rest = read.as_slice();
        for (message, record) in messages.iter().zip(&records) {
            let its =
                rest.iter().take_while(|item| item["id"].as_str().unwrap().contains(record.as_str())).count();
            let (own, others) = rest.split_at(its);
            rest = others;
            assert!(!own.is_empty(), "{message} reads as nothing");
            assert_eq!(Said::of_items(own), Said::of_message(message), "{message}: {own:#?}");
        }
        assert!(rest.is_empty(), "{rest:?}");
        for chunk in read.chunks(20) {
            let back = api.post(&items, body(chunk)).await;
            assert_eq!((back.status, back.number("/version")), (200, version), "{}", back.text);
        }
        let native = api.get(&path).await;
        let back = api.post(&path, format!(r#"{{"messages":[{}]}}"#, native.messages().join(","))).await;
        assert_eq!((back.status, back.number("/version")), (200, version), "{}", back.text);
        assert_eq!(api.get(&path).await.messages(), native.messages());
    }
}
