//! JSON comes back as it went in, from either store.

use conversation_tests::Stack;

const TRICKY: &[&str] = &[
    r#"{"content":"order of keys","role":"user","z":1,"a":2}"#,
    r#"{"role":"user","content":"numbers","big":123456789012345678901234567890,"f":1.0,"e":1E+2,"z":-0.0,"t":0.1000,"huge":1e999}"#,
    r#"{"role":"user","content":"\u0000 \ud83d\ude00 \ud800 \/ \" \\ \b\f\n\r\t"}"#,
    r#"{"role":"user","content":"👩‍👩‍👧‍👦 é é עברית العربية 日本語 𝔘"}"#,
    "{ \"role\" :\t\"user\" ,\n\"content\" : [ { \"type\" : \"text\" , \"text\" : \"spaced\" } ] }",
    r#"{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}]}"#,
    r#"{"role":"tool","tool_call_id":"c1","content":"[1,2]"}"#,
    r#"{"role":"ai","content":"LangChain","additional_kwargs":{},"response_metadata":{"x":[null,true,false]}}"#,
    r#"{"type":"function_call","call_id":"c","name":"f","arguments":"{}","status":"completed"}"#,
    r#"{"type":"reasoning","summary":[],"encrypted_content":"gAAA"}"#,
    r#"{"id":"client-1","role":"user","content":"an id of one's own","nested":{"id":1,"seq":2,"created_at":3}}"#,
    r#"{"\u0072ole":"user","content":"escaped key"}"#,
    r#"{"role":"user","content":""}"#,
];

/// The client's JSON within an answered message, without what the store put in.
fn client_part(message: &str) -> String {
    let mut rest = message.strip_prefix('{').unwrap();
    // An id of the store's begins with what it is of.
    for field in ["\"id\":\"msg_", "\"id\":\"fc_", "\"id\":\"rs_", "\"seq\":", "\"created_at\":"] {
        if rest.starts_with(field) {
            rest = &rest[rest.find(',').unwrap() + 1..];
        }
    }
    format!("{{{rest}")
}

#[tokio::test]
async fn json_comes_back_to_the_byte_from_either_store() {
    let stack = Stack::start().await;
    let (store, key) = (stack.store(), conversation_tests::key("c"));
    let added = store.add(&key, &conversation_tests::batch(TRICKY)).await.unwrap();
    let sent: Vec<String> = TRICKY.iter().map(ToString::to_string).collect();
    let texts = |messages: &[conversation_core::Message]| -> Vec<String> {
        messages.iter().map(|message| client_part(message.json())).collect()
    };
    assert_eq!(texts(&added.messages), sent, "as answered");

    let limit = conversation_core::Limit::MAX;
    let cached = store.recent(&key, limit, None).await.unwrap();
    assert_eq!(cached.source, conversation_core::Source::Hit);
    assert_eq!(texts(&cached.found.as_ref().unwrap().items), sent, "from Redis");

    redis::cmd("FLUSHALL").exec_async(&mut stack.redis().await).await.unwrap();
    let loaded = store.recent(&key, limit, None).await.unwrap();
    assert_ne!(loaded.source, conversation_core::Source::Hit);
    assert_eq!(loaded.found, cached.found, "from Postgres");

    let history = store.history(&key, conversation_core::Range::After(0), limit, None).await.unwrap();
    assert_eq!(history.found.unwrap().items, cached.found.unwrap().items, "from the history");
    let bodies: Vec<String> = sqlx::query_scalar("select body::text from messages order by seq")
        .fetch_all(&mut stack.postgres().await)
        .await
        .unwrap();
    assert_eq!(bodies, sent, "in Postgres itself");
}

#[tokio::test]
async fn json_comes_back_to_the_byte_through_http() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let path = "/v1/conversations/c/messages";
    for message in TRICKY {
        let added = api.post(path, *message).await;
        assert_eq!(added.status, 200, "{message}: {}", added.text);
    }
    let (hit, paged) = (api.get(path).await, api.get(&format!("{path}?after=0")).await);
    assert!(hit.is_hit());
    for message in TRICKY {
        let inside = message.strip_prefix('{').unwrap();
        assert!(hit.text.contains(inside) && paged.text.contains(inside), "{message}");
    }
}

#[tokio::test]
async fn windows_too_large_for_an_answer_are_cut_at_the_far_end() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let path = "/v1/conversations/c/messages";
    let large = conversation_tests::user(&"x".repeat(250_000));
    for _ in 0..2 {
        let body = format!(r#"{{"messages":[{}]}}"#, vec![large.as_str(); 15].join(","));
        assert_eq!(api.post(path, body).await.status, 200);
    }
    let recent = api.get(path).await;
    let seqs = recent.seqs();
    assert!(recent.text.len() <= 5 * 1024 * 1024 && recent.text.len() > 4 * 1024 * 1024);
    assert_eq!((*seqs.last().unwrap(), recent.json()["has_more"].clone()), (30, true.into()));
    let older = api.get(&format!("{path}?before={}", recent.number("/before"))).await;
    assert_eq!([older.seqs(), seqs].concat(), (1..=30).collect::<Vec<_>>());
    let first = api.get(&format!("{path}?after=0")).await;
    assert_eq!((first.seqs()[0], first.json()["has_more"].clone()), (1, true.into()));
    let rest = api.get(&format!("{path}?after={}", first.number("/after"))).await;
    assert_eq!([first.seqs(), rest.seqs()].concat(), (1..=30).collect::<Vec<_>>());
}
