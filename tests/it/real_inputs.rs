//! What chat back ends and agent frameworks really send: retries in another spelling, ids of other systems, text that was cut
//! through a character, messages without content; and what becomes of what was deleted.

use conversation_core::Scope;
use conversation_tests::{Answer, Api, Stack};
use serde_json::json;

const MESSAGES: &str = "/v1/conversations/c/messages";
const ITEMS: &str = "/v1/conversations/c/items";

async fn start() -> (Stack, Api) {
    let stack = Stack::start().await;
    let api = stack.api().await;
    (stack, api)
}

async fn keyed(api: &Api, path: &str, idempotency_key: &str, body: &str) -> Answer {
    let request = api.request("POST", path).header("content-type", "application/json");
    api.send(request.header("idempotency-key", idempotency_key).body(body.to_owned())).await
}

/// Spellings of one message, without its braces.
const SPELLINGS: [&str; 7] = [
    r#""role":"user","content":"é/1","n":[100,0.5,-0.0,123456789012345678901],"o":{"a":1,"b":null}"#,
    r#" "content" : "é/1", "role" : "user" ,"o":{"b":null,"a":1},"n":[100,0.5,-0.0,123456789012345678901]"#,
    r#""role":"\u0075ser","content":"\u00e9\/1","n":[100,0.5,-0.0,123456789012345678901],"o":{"a":1,"b":null}"#,
    r#""role":"user","content":"\u00E9/1","n":[1e2,5E-1,0,123456789012345678901],"o":{"a":1.0,"b":null}"#,
    "\"role\":\"user\",\n\t\"content\":\"é/1\",\"n\":[ 100.0 , 0.50 , -0e5 , 1.23456789012345678901e20 ],\"o\":{\"a\":1,\"b\":null}",
    r#""role":"user","content":"é/1","n":[100,0.5,-0.0,123456789012345678901],"o":{"a":1,"b":null},"seq":1,"created_at":1700000000"#,
    r#""role":"user","content":"é/1","n":[100,0.5,-0.0,123456789012345678901],"o":{"a":1,"b":null},"status":"completed""#,
];

/// Other messages, and where they differ.
const OTHERS: [(&str, &str); 6] = [
    (
        r#""role":"user","content":"e/1","n":[100,0.5,0,123456789012345678901],"o":{"a":1,"b":null}"#,
        "content",
    ),
    (r#""role":"user","content":"é/1","n":[100,0.5,0,123456789012345678902],"o":{"a":1,"b":null}"#, "n[3]"),
    (r#""role":"user","content":"é/1","n":[100,0.5,0],"o":{"a":1,"b":null}"#, "n[3]"),
    (r#""role":"user","content":"é/1","n":[100,0.5,0,123456789012345678901],"o":{"a":"1","b":null}"#, "o.a"),
    (r#""role":"user","content":"é/1","n":[100,0.5,0,123456789012345678901],"o":{"a":1}"#, "o.b"),
    (
        r#""role":"user","content":"é/1","n":[100,0.5,0,123456789012345678901],"o":{"a":1,"b":null},"name":"x""#,
        "name",
    ),
];

#[tokio::test]
async fn a_message_that_is_sent_again_is_known_however_it_is_spelt() {
    let (_stack, api) = start().await;
    let first = format!(r#"{{"id":"m",{}}}"#, SPELLINGS[0]);
    let stored = api.post(MESSAGES, first.as_str()).await;
    assert_eq!(stored.status, 200, "{}", stored.text);
    for spelling in SPELLINGS {
        let again = api.post(MESSAGES, format!(r#"{{{spelling},"id":"m"}}"#)).await;
        assert_eq!((again.status, again.number("/version")), (200, 1), "{spelling}: {}", again.text);
        // What was stored first is what is answered, to the byte.
        assert_eq!(again.messages(), stored.messages());
        // Among others in a batch, too.
        let body = format!(r#"{{"messages":[{{"role":"user","content":"new"}},{{"id":"m",{spelling}}}]}}"#);
        let answer = api.post("/v1/conversations/other/messages", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    for (other, path) in OTHERS {
        let refused = api.post(MESSAGES, format!(r#"{{"id":"m",{other}}}"#)).await;
        let found = (refused.status, refused.at("/error/code"), refused.at("/error/param"));
        assert_eq!(found, (409, "message_conflict".into(), path.into()), "{}", refused.text);
        let both = format!(r#"{{"messages":[{{"role":"user","content":"x"}},{{"id":"m",{other}}}]}}"#);
        let refused = api.post(MESSAGES, both).await;
        assert_eq!(refused.at("/error/param"), format!("messages[1].{path}"), "{}", refused.text);
        let items = format!(r#"{{"items":[{{"id":"m",{other}}}]}}"#);
        assert_eq!(api.post(ITEMS, items).await.at("/error/param"), format!("items[0].{path}"));
    }
    assert_eq!(api.get("/v1/conversations/c").await.number("/version"), 1);
}

#[tokio::test]
async fn a_request_that_is_sent_again_is_known_however_it_is_spelt() {
    let (_stack, api) = start().await;
    let body = |spelling: &str| format!(r#"{{"messages":[{{"role":"user","content":"0"}},{{{spelling}}}]}}"#);
    let stored = keyed(&api, MESSAGES, "k", &body(SPELLINGS[0])).await;
    assert_eq!(stored.status, 200, "{}", stored.text);
    for spelling in SPELLINGS.into_iter().filter(|spelling| !spelling.contains("seq")) {
        let again = keyed(&api, MESSAGES, "k", &body(spelling)).await;
        assert_eq!(again.status, 200, "{spelling}: {}", again.text);
        assert_eq!(again.messages(), stored.messages());
    }
    for (other, path) in OTHERS {
        let refused = keyed(&api, MESSAGES, "k", &body(other)).await;
        let found = (refused.status, refused.at("/error/code"), refused.at("/error/param"));
        assert_eq!(
            found,
            (409, "idempotency_conflict".into(), format!("messages[1].{path}")),
            "{}",
            refused.text
        );
    }
    // Another number of messages, and another kind of request.
    let refused = keyed(&api, MESSAGES, "k", r#"{"messages":[{"role":"user","content":"0"}]}"#).await;
    assert_eq!((refused.status, refused.at("/error/param")), (409, "messages[1]".into()), "{}", refused.text);
    let created = keyed(&api, "/v1/conversations", "k2", r#"{"title":"t","metadata":{"a":"b"}}"#).await;
    let id = created.at("/id");
    let again =
        keyed(&api, "/v1/conversations", "k2", r#"{ "metadata" : {"a":"\u0062"}, "title":"t" }"#).await;
    assert_eq!((again.status, again.at("/id")), (200, id), "{}", again.text);
    for (body, param) in
        [(r#"{"title":"u","metadata":{"a":"b"}}"#, "title"), (r#"{"title":"t"}"#, "metadata")]
    {
        let refused = keyed(&api, "/v1/conversations", "k2", body).await;
        assert_eq!((refused.status, refused.at("/error/param")), (409, param.into()), "{}", refused.text);
    }
}

#[tokio::test]
async fn what_was_read_can_be_put_back() {
    let (_stack, api) = start().await;
    for message in [
        json!({"role":"user","content":"plain"}),
        json!({"id":"own","role":"user","content":[{"type":"text","text":"parts"}]}),
        json!({"role":"assistant","content":null,"tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{}"}}]}),
        json!({"role":"tool","tool_call_id":"t","content":"42"}),
        json!({"type":"reasoning","summary":[]}),
        json!({"type":"function_call","call_id":"u","name":"f","arguments":"{}"}),
    ] {
        assert_eq!(api.post(MESSAGES, message.to_string()).await.status, 200);
    }
    let (native, items) = (api.get(MESSAGES).await, api.get(&format!("{ITEMS}?order=asc")).await);
    let all = format!(r#"{{"messages":[{}]}}"#, native.messages().join(","));
    let again = api.post(MESSAGES, all.as_str()).await;
    assert_eq!((again.status, again.number("/version")), (200, 6), "{}", again.text);
    for message in native.messages() {
        assert_eq!(api.post(MESSAGES, message).await.number("/version"), 6);
    }
    let back = api.post(ITEMS, json!({"items": items.json()["data"]}).to_string()).await;
    assert_eq!((back.status, back.number("/version")), (200, 6), "{}", back.text);
    assert_eq!(api.get(MESSAGES).await.messages(), native.messages());
    // Elsewhere they are new, under the same ids, and without the old positions and times.
    let copied = api.post("/v1/conversations/copy/messages", all).await;
    assert_eq!((copied.status, copied.seqs()), (200, vec![1, 2, 3, 4, 5, 6]), "{}", copied.text);
    // Without an id they are nothing that was read here.
    for bad in [r#"{"role":"user","content":"","seq":1}"#, r#"{"role":"user","content":"","created_at":1}"#] {
        assert_eq!(api.post(MESSAGES, bad).await.at("/error/code"), "reserved");
    }
}

#[tokio::test]
async fn what_is_deleted_stays_deleted() {
    let (stack, api) = start().await;
    let message = |id: &str| json!({"id":id,"role":"user","content":id}).to_string();
    for id in ["a", "b", "c", "d", "e"] {
        assert_eq!(api.post(MESSAGES, message(id)).await.status, 200);
    }
    let keyed_body = r#"{"messages":[{"id":"x","role":"user","content":"x"},{"role":"user","content":"y"}]}"#;
    let first = keyed(&api, MESSAGES, "k", keyed_body).await;
    let unnamed = first.at("/data/1/id");
    for id in ["a", "c", "e", "x", unnamed.as_str()] {
        let once = api.delete(&format!("{ITEMS}/{id}")).await;
        let twice = api.delete(&format!("{ITEMS}/{id}")).await;
        assert_eq!((once.status, twice.status), (200, 200), "{}", twice.text);
        assert_eq!(once.text, twice.text);
        let late = api.post(MESSAGES, json!({"id":id,"role":"user","content":"late"}).to_string()).await;
        assert_eq!((late.status, late.at("/error/code")), (409, "message_deleted".into()), "{}", late.text);
        assert!(late.text.contains(id));
        assert_eq!(api.get(&format!("{ITEMS}/{id}")).await.status, 404);
    }
    let in_batch = format!(r#"{{"messages":[{},{}]}}"#, message("new"), message("a"));
    let refused = api.post(MESSAGES, in_batch).await;
    assert_eq!(
        (refused.status, refused.at("/error/param")),
        (409, "messages[1].id".into()),
        "{}",
        refused.text
    );
    // Pages begin where messages were.
    for (order, after, expected) in [
        ("asc", "a", vec!["b", "d"]),
        ("asc", "c", vec!["d"]),
        ("asc", "e", vec![]),
        ("desc", "e", vec!["d", "b"]),
        ("desc", "c", vec!["b"]),
        ("desc", "a", vec![]),
    ] {
        let page = api.get(&format!("{ITEMS}?order={order}&after={after}")).await;
        let found: Vec<String> = page.json()["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(found, expected, "{order} after {after}");
    }
    assert_eq!(api.get(&format!("{ITEMS}?after=never")).await.at("/error/code"), "invalid_cursor");
    // The keyed request is answered with what is left of it.
    let replayed = keyed(&api, MESSAGES, "k", keyed_body).await;
    assert_eq!((replayed.status, replayed.json()["data"].clone()), (200, json!([])), "{}", replayed.text);
    // What nobody ever stored is not found.
    assert_eq!(api.delete(&format!("{ITEMS}/never")).await.status, 404);
    // Nothing of it is left when the conversation is gone.
    assert_eq!(api.delete("/v1/conversations/c").await.status, 200);
    let late = api.post(MESSAGES, message("z")).await;
    assert_eq!((late.status, late.at("/error/code")), (409, "conversation_deleted".into()));
    assert!(late.at("/error/message").contains("\"c\""), "{}", late.text);
    stack.store().sweep(std::time::Duration::from_secs(10)).await.unwrap();
    let left: i64 = sqlx::query_scalar("select count(*) from deleted_messages")
        .fetch_one(&mut stack.postgres().await)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_create_that_is_tried_again_after_a_deletion_names_the_conversation() {
    let (_stack, api) = start().await;
    let created = keyed(&api, "/v1/conversations", "k", "{}").await;
    let id = created.at("/id");
    assert_eq!(api.delete(&format!("/v1/conversations/{id}")).await.status, 200);
    let again = keyed(&api, "/v1/conversations", "k", "{}").await;
    assert_eq!((again.status, again.at("/error/code").as_str()), (409, "conversation_deleted"));
    assert!(again.at("/error/message").contains(&id), "{}", again.text);
}

#[tokio::test]
async fn going_through_items_and_deleting_each_empties_a_conversation() {
    let (_stack, api) = start().await;
    for n in 0..25 {
        assert_eq!(
            api.post(MESSAGES, json!({"role":"user","content":n.to_string()}).to_string()).await.status,
            200
        );
    }
    for order in ["asc", "desc"] {
        let mut after = String::new();
        loop {
            let page = api.get(&format!("{ITEMS}?limit=4&order={order}{after}")).await;
            assert_eq!(page.status, 200, "{}", page.text);
            let items = page.json()["data"].as_array().unwrap().clone();
            for item in items.iter().take(if order == "asc" { 2 } else { 4 }) {
                assert_eq!(
                    api.delete(&format!("{ITEMS}/{}", item["id"].as_str().unwrap())).await.status,
                    200
                );
            }
            if page.json()["has_more"] == json!(false) {
                break;
            }
            after = format!("&after={}", page.at("/last_id"));
        }
    }
    assert_eq!(api.get("/v1/conversations/c").await.number("/message_count"), 0);
}

const IDS: [&str; 14] = [
    "-1001234567890",
    "+14155550100",
    "_V1StGXR8_Z5jdHi6B-myT",
    "-V1StGXR8_Z5jdHi6B_myT",
    "19:meeting_MjdhNjM4@thread.v2;messageid=1700000000000",
    "a:1|29:1XJKJMvc5GBtc2JwZq0oj8tHZmzrQgFmB39ATiQWA85g",
    "wamid.HBgLMTY0NjcwNDM1OTUVAgARGBI1RjQyNUE3NEYxMzAzMzQ5MkEA==",
    "!room:matrix.org",
    "$event:matrix.org",
    "user@example.com",
    ".hidden",
    "~",
    "a*b,c(d)[e]^f",
    "urn:uuid:0198c2f0-7e1a-7000-8000-000000000000",
];

fn encoded(id: &str) -> String {
    id.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_of_other_systems_go_everywhere() {
    let (stack, api) = start().await;
    for id in IDS {
        let created = api.post("/v1/conversations", json!({"id":id}).to_string()).await;
        assert_eq!((created.status, created.at("/id")), (200, id.into()), "{}", created.text);
        for (at, path) in [id.to_owned(), encoded(id)].into_iter().enumerate() {
            let of = format!("/v1/conversations/{path}");
            let own = format!("{id}{at}");
            let added = api
                .post(&format!("{of}/messages"), json!({"id":own,"role":"user","content":"x"}).to_string())
                .await;
            assert_eq!(added.status, 200, "{of}: {}", added.text);
            assert_eq!(api.get(&of).await.at("/id"), id);
            assert!(api.get(&format!("{of}/messages")).await.is_hit(), "{of}");
            for item in [own.clone(), encoded(&own)] {
                let read = api.get(&format!("{of}/items/{item}")).await;
                assert_eq!((read.status, read.at("/id")), (200, own.clone()), "{}", read.text);
                let page = api.get(&format!("{of}/items?order=asc&after={item}")).await;
                assert_eq!(
                    (page.status, page.json()["data"].clone()),
                    (200, json!([])),
                    "{item}: {}",
                    page.text
                );
            }
        }
        assert_eq!(
            api.delete(&format!("/v1/conversations/{}/items/{}", encoded(id), encoded(&format!("{id}0"))))
                .await
                .status,
            200
        );
    }
    let (mut listed, mut after) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/v1/conversations?limit=3{after}")).await;
        listed.extend(
            page.json()["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page.json()["after"].as_str().map(str::to_owned) else { break };
        after = format!("&after={cursor}");
    }
    listed.sort();
    let mut all = IDS.map(str::to_owned);
    all.sort();
    assert_eq!(listed, all);
    let mut export = stack.index().export(&Scope::Everything).await.unwrap();
    let mut exported = 0;
    loop {
        let records = export.next().await.unwrap();
        if records.is_empty() {
            break;
        }
        exported += records.len();
    }
    assert_eq!(exported, 2 * IDS.len());
    for bad in
        ["", ".", "..", "a b", "a\"b", "<b>", "a{b}", "a&b", "a'b", "a`b", "a\\b", "a/b", "é", "a\u{7f}"]
    {
        let refused = api.post("/v1/conversations", json!({"id":bad}).to_string()).await;
        assert_eq!(
            (refused.status, refused.at("/error/code")),
            (400, "invalid_id".into()),
            "{bad:?}: {}",
            refused.text
        );
    }
}

#[tokio::test]
async fn text_that_was_cut_through_a_character_is_kept_or_mended() {
    let (_stack, api) = start().await;
    for (title, expected) in [
        (r"cut \ud83d", "cut \u{FFFD}"),
        (r"\ude00 cut", "\u{FFFD} cut"),
        (r"\ud83d\ude00", "😀"),
        (r"\ud83d\ud83d\ude00", "\u{FFFD}😀"),
        (r"a\udfffb\ud800", "a\u{FFFD}b\u{FFFD}"),
    ] {
        let created = api
            .post(
                "/v1/conversations",
                format!(r#"{{"title":"{title}","metadata":{{"k":"{title}","{title}":"v"}}}}"#),
            )
            .await;
        assert_eq!(created.status, 200, "{}", created.text);
        assert_eq!((created.at("/title"), created.at("/metadata/k")), (expected.into(), expected.into()));
        assert_eq!(created.json()["metadata"][expected], json!("v"));
        let path = format!("/v1/conversations/{}", created.at("/id"));
        let updated = api.post(&path, format!(r#"{{"title":"{title}"}}"#)).await;
        assert_eq!((updated.status, updated.at("/title")), (200, expected.into()), "{}", updated.text);
    }
    for (n, fields) in [
        r#""content":"\ud83d""#,
        r#""content":"","\ud83d":1,"\ud83e":2"#,
        r#""content":[{"type":"text","text":"\udc00","\ud800":{"\ud801":[{"\ud802":"\ud803"}]}}]"#,
        r#""content":"x","name":"\ud83d""#,
        r#""content":"x","metadata":{"\ud800":"a","\ud801":"b"}"#,
    ]
    .into_iter()
    .enumerate()
    {
        let message = format!(r#"{{"role":"user",{fields}}}"#);
        for body in [message.clone(), format!(r#"{{"messages":[{message}]}}"#)] {
            let added = api.post(MESSAGES, body).await;
            assert_eq!(added.status, 200, "{fields}: {}", added.text);
            assert!(added.text.contains(fields), "{}", added.text);
        }
        let read = api.get(MESSAGES).await;
        assert_eq!(read.text.matches(fields).count(), 2, "{n}: {}", read.text);
        let items = api.get(&format!("{ITEMS}?limit=1")).await;
        assert_eq!((items.status, items.text.contains(r"\ud8")), (200, true), "{}", items.text);
    }
    // Pages go on after messages whose keys were cut.
    let page = api.get(&format!("{ITEMS}?limit=2")).await;
    assert!(
        page.text.contains(r#""last_id":"msg_"#) && page.text.contains(r#""has_more":true"#),
        "{}",
        page.text
    );
    assert!(api.get(MESSAGES).await.text.contains(r#""first_id":"msg_"#));
    // Keys that differ stay apart, and of one that stands twice the last counts.
    let created = api
        .post("/v1/conversations", r#"{"metadata":{"\ud800":"1","\ud801":"2","\ufffd":"3","a":"4","a":"5"}}"#)
        .await;
    let metadata = json!({"\u{FFFD}\u{FFFD}":"1","\u{FFFD}\u{FFFD}\u{FFFD}":"2","\u{FFFD}":"3","a":"5"});
    assert_eq!(created.json()["metadata"], metadata, "{}", created.text);
    // What nests too deep to be looked through is refused, at any depth.
    for depth in [101, 200, 2_000, 100_000] {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        for field in ["title", "metadata"] {
            let refused =
                api.post("/v1/conversations", format!(r#"{{"{field}":{open}"\ud800"{close}}}"#)).await;
            assert_eq!((refused.status, refused.at("/error/param")), (400, field.into()), "{}", refused.text);
        }
    }
    let twice = api.post(MESSAGES, r#"{"role":"user","role":"user","content":""}"#).await;
    assert_eq!((twice.status, twice.at("/error/code")), (400, "duplicate_key".into()));
}

#[tokio::test]
async fn what_models_say_without_content_is_stored() {
    let (_stack, api) = start().await;
    for message in [
        json!({"role":"assistant","content":null}),
        json!({"role":"assistant"}),
        json!({"role":"assistant","content":null,"reasoning_content":"hm"}),
        json!({"role":"assistant","content":null,"tool_calls":[]}),
        json!({"role":"assistant","content":null,"refusal":"no"}),
        json!({"role":"assistant","content":null,"audio":{"id":"a"}}),
        json!({"role":"assistant","content":"","tool_calls":null,"function_call":null}),
        json!({"role":"function","name":"f","content":"1"}),
        json!({"role":"function","name":"f","content":null}),
        json!({"id":"ui","role":"assistant","metadata":"free","parts":[]}),
    ] {
        let added = api.post(MESSAGES, message.to_string()).await;
        assert_eq!(added.status, 200, "{message}: {}", added.text);
        let item = api.get(&format!("{ITEMS}?limit=1")).await.json()["data"][0].clone();
        let expected = if message["role"] == "function" { "function_call_output" } else { "message" };
        assert_eq!(item["type"], json!(expected), "{item}");
        for field in ["reasoning_content", "audio"] {
            assert_eq!(item.get(field), message.get(field), "{item}");
        }
    }
    let image = json!({"type":"function_call_output","call_id":"c","output":[{"type":"input_image","image_url":"data:,"}]});
    let added = api.post(ITEMS, json!({"items":[image]}).to_string()).await;
    assert_eq!(added.json()["data"][0]["output"][0]["detail"], json!("auto"), "{}", added.text);
    let named = json!({"role":"user","name":"ann","content":"x","custom":{"a":[1]}});
    let added = api.post(ITEMS, json!({"items":[named]}).to_string()).await;
    assert_eq!(
        (added.at("/data/0/name"), &added.json()["data"][0]["custom"]),
        ("ann".into(), &json!({"a":[1]}))
    );
    for role in ["user", "system", "developer", "tool"] {
        assert_eq!(
            api.post(MESSAGES, json!({"role":role,"name":"f"}).to_string()).await.status,
            400,
            "{role}"
        );
    }
}

#[tokio::test]
async fn http_is_spoken_as_callers_expect() {
    let (_stack, api) = start().await;
    // Nothing, and what some clients send for nothing, is an empty conversation.
    for (body, kind) in [
        ("", None),
        ("", Some("application/json")),
        ("null", Some("application/json")),
        (" null\n", Some("application/json")),
        (" \n", Some("application/json")),
        ("{}", Some("application/json")),
    ] {
        let request = api.request("POST", "/v1/conversations").body(body);
        let request = if let Some(kind) = kind { request.header("content-type", kind) } else { request };
        let created = api.send(request).await;
        assert_eq!(
            (created.status, created.number("/message_count")),
            (200, 0),
            "{body:?}: {}",
            created.text
        );
    }
    assert_eq!(api.post(MESSAGES, json!({"role":"user","content":"x"}).to_string()).await.status, 200);
    for path in
        ["/v1/conversations", "/v1/conversations/c", MESSAGES, ITEMS, "/v1/health", "/v1/conversations/none"]
    {
        let (get, head) =
            (api.request("GET", path).send().await.unwrap(), api.request("HEAD", path).send().await.unwrap());
        assert_eq!(get.status(), head.status(), "{path}");
        assert_eq!(get.headers().get("content-type"), head.headers().get("content-type"), "{path}");
        assert!(head.headers().contains_key("x-request-id"), "{path}");
        assert!(head.bytes().await.unwrap().is_empty());
    }
    for path in ["/nowhere", "/v1/conversations/c/nothing"] {
        assert!(
            api.request("GET", path).send().await.unwrap().headers().contains_key("x-request-id"),
            "{path}"
        );
    }
    for (encoding, status) in
        [("gzip", 415), ("br", 415), ("deflate, gzip", 415), ("identity", 200), ("Identity", 200)]
    {
        let request = api.request("POST", MESSAGES).header("content-type", "application/json");
        let body = json!({"role":"user","content":encoding}).to_string();
        let answer = api.send(request.header("content-encoding", encoding).body(body)).await;
        assert_eq!(answer.status, status, "{encoding}: {}", answer.text);
        if status == 415 {
            assert_eq!(answer.at("/error/param"), "content-encoding");
            assert!(answer.text.contains(encoding));
        }
    }
    // JSON that does not fit is another mistake than no JSON.
    for (body, code) in [
        ("{", "invalid_json"),
        ("x", "invalid_json"),
        ("[]", "invalid_request"),
        ("7", "invalid_request"),
        (r#"{"unknown":1}"#, "invalid_request"),
    ] {
        assert_eq!(api.post("/v1/conversations", body).await.at("/error/code"), code, "{body}");
    }
    // Whoever waits for more begins where nothing was.
    let last = api.get(MESSAGES).await.number("/after");
    for after in [last, last + 10] {
        let page = api.get(&format!("{MESSAGES}?after={after}")).await;
        assert_eq!((page.json()["data"].clone(), page.number("/after")), (json!([]), after), "{}", page.text);
    }
    assert_eq!(api.post("/v1/conversations", r#"{"id":"empty"}"#).await.status, 200);
    assert_eq!(api.get("/v1/conversations/empty/messages").await.number("/after"), 0);
}

#[tokio::test]
async fn preflight_is_answered_as_by_api_gateway() {
    let (_stack, api) = start().await;
    let origin = api.url();
    let asked = api
        .request("OPTIONS", MESSAGES)
        .header("origin", &origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,idempotency-key");
    let answer = asked.send().await.unwrap();
    assert_eq!(answer.status(), 204);
    let header = |name: &str| {
        answer.headers().get(name).map(|value| value.to_str().unwrap().to_lowercase()).unwrap_or_default()
    };
    assert_eq!(header("access-control-allow-origin"), origin);
    for method in ["get", "head", "post", "delete"] {
        assert!(header("access-control-allow-methods").contains(method));
    }
    assert!(header("access-control-allow-headers").contains("idempotency-key"));
    assert_eq!(header("access-control-max-age"), "7200");
    let read = api.request("GET", "/v1/conversations").header("origin", &origin).send().await.unwrap();
    assert_eq!(read.headers().get("access-control-allow-origin").unwrap().to_str().unwrap(), origin);
}
