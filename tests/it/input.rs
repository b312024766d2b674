//! Bad input gets a 4xx that names the parameter, and nothing is stored.

use conversation_tests::{Api, Stack, user, user_as};

/// No trace of a conversation in either store.
async fn assert_nothing_stored(stack: &Stack) {
    let mut postgres = stack.postgres().await;
    let count = "select (select count(*) from conversations) + (select count(*) from messages)";
    let rows: i64 = sqlx::query_scalar(count).fetch_one(&mut postgres).await.unwrap();
    assert_eq!(rows, 0, "rows were stored");
    let keys: Vec<String> =
        redis::cmd("KEYS").arg("*:messages").query_async(&mut stack.redis().await).await.unwrap();
    assert!(keys.is_empty(), "{keys:?}");
}

async fn assert_refused(api: &Api, request: reqwest::RequestBuilder, expected: (u16, &str), what: &str) {
    let answer = api.send(request).await;
    let (status, param) = (answer.status, answer.at("/error/param"));
    assert_eq!((status, param.as_str()), expected, "{what}: {}", answer.text);
    assert!(answer.at("/error/message").ends_with('.'), "{what}: {}", answer.text);
    assert_eq!(answer.at("/error/type"), "invalid_request_error", "{what}");
    assert!(!answer.at("/error/code").is_empty(), "{what}");
}

#[tokio::test]
async fn bad_bodies_are_refused() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let hundred_and_one = format!(r#"{{"messages":[{}]}}"#, vec![user("x"); 101].join(","));
    let sized = |bytes: usize| user(&"x".repeat(bytes));
    let deep = format!(r#"{{"role":"user","content":"","x":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let add = "/v1/conversations/c/messages";
    let create = "/v1/conversations";
    let cases: Vec<(&str, Vec<u8>, (u16, &str))> = vec![
        (add, b"".to_vec(), (400, "body")),
        (add, b"{".to_vec(), (400, "body")),
        (add, b"nonsense".to_vec(), (400, "body")),
        (add, b"[]".to_vec(), (400, "body")),
        (add, b"\"text\"".to_vec(), (400, "body")),
        (add, b"{\"role\":\"user\",\"content\":\"\xff\"}".to_vec(), (400, "body")),
        (add, b"{\"role\":\"user\",\"content\":\"a\x00b\"}".to_vec(), (400, "body")),
        (add, b"\xef\xbb\xbf{}".to_vec(), (400, "body")),
        (add, b"{}".to_vec(), (400, "role")),
        (add, br#"{"role":"robot","content":""}"#.to_vec(), (400, "role")),
        (add, br#"{"role":["user"],"content":""}"#.to_vec(), (400, "role")),
        (add, br#"{"role":"user","content":7}"#.to_vec(), (400, "content")),
        (add, br#"{"role":"user"}"#.to_vec(), (400, "content")),
        (add, br#"{"messages":[]}"#.to_vec(), (400, "messages")),
        (add, br#"{"messages":{}}"#.to_vec(), (400, "messages")),
        (add, br#"{"messages":[1]}"#.to_vec(), (400, "messages[0]")),
        (
            add,
            br#"{"messages":[{"role":"user","content":""},{"role":"x"}]}"#.to_vec(),
            (400, "messages[1].role"),
        ),
        (add, br#"{"messages":[{"role":"user","content":""}],"title":"t"}"#.to_vec(), (400, "body")),
        (add, hundred_and_one.into_bytes(), (400, "messages")),
        (add, sized(256 * 1024).into_bytes(), (413, "body")),
        (add, format!(r#"{{"messages":[{}]}}"#, sized(300_000)).into_bytes(), (413, "messages[0]")),
        (add, vec![b' '; 4 * 1024 * 1024 + 1], (413, "body")),
        (add, deep.into_bytes(), (400, "body")),
        (add, user_as("a b", "").into_bytes(), (400, "id")),
        (add, user_as(&"x".repeat(200), "").into_bytes(), (400, "id")),
        (add, format!(r#"{{"messages":[{0},{0}]}}"#, user_as("m", "")).into_bytes(), (400, "messages[1].id")),
        (add, br#"{"role":"user","content":"","seq":1}"#.to_vec(), (400, "seq")),
        (create, br#"{"id":"a b"}"#.to_vec(), (400, "id")),
        (create, br#"{"id":7}"#.to_vec(), (400, "id")),
        (create, br#"{"title":7}"#.to_vec(), (400, "title")),
        (create, br#"{"title":"a\u0000b"}"#.to_vec(), (400, "title")),
        (create, br#"{"metadata":{"k":1}}"#.to_vec(), (400, "metadata")),
        (create, br#"{"metadata":{"k":"\u0000"}}"#.to_vec(), (400, "metadata.k")),
        (create, br#"{"unknown":1}"#.to_vec(), (400, "body")),
        (create, br#"{"messages":[{"role":"x","content":""}]}"#.to_vec(), (400, "messages[0].role")),
    ];
    for (path, body, expected) in cases {
        let what = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        let request = api.request("POST", path).header("content-type", "application/json").body(body);
        assert_refused(&api, request, expected, &what).await;
    }
    assert_nothing_stored(&stack).await;
}

#[tokio::test]
async fn a_body_must_say_that_it_is_json() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let path = "/v1/conversations/c/messages";
    let plain = || api.request("POST", path).body(user("x"));
    assert_refused(&api, plain(), (415, "content-type"), "none").await;
    assert_refused(&api, plain().header("content-type", "text/plain"), (415, "content-type"), "text").await;
    assert_nothing_stored(&stack).await;
    let with_charset = plain().header("content-type", "Application/JSON; charset=UTF-8");
    assert_eq!(api.send(with_charset).await.status, 200);
}

#[tokio::test]
async fn bad_ids_cursors_and_limits_are_refused() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let long = "x".repeat(200);
    for id in ["a%20b", "%00", "a%0Ab", "%7Ba%7D", "caf%C3%A9", "%FF", "%3Cb%3E", &long] {
        for (method, path) in [
            ("GET", format!("/v1/conversations/{id}")),
            ("DELETE", format!("/v1/conversations/{id}")),
            ("GET", format!("/v1/conversations/{id}/messages")),
            ("POST", format!("/v1/conversations/{id}/messages")),
        ] {
            let request =
                api.request(method, &path).header("content-type", "application/json").body(user("x"));
            assert_refused(&api, request, (400, "conversation_id"), &format!("{method} {path}")).await;
        }
    }
    // An HTTP API decodes a path before it hands it on.
    let slash = api.get("/v1/conversations/a%2Fb").await;
    assert_eq!((slash.status, slash.at("/error/code")), (404, "unknown_url".into()));
    for (query, param) in [
        ("conversations/c/messages?limit=0", "limit"),
        ("conversations/c/messages?limit=101", "limit"),
        ("conversations/c/messages?limit=ten", "limit"),
        ("conversations/c/messages?limit=", "limit"),
        ("conversations/c/messages?before=0", "before"),
        ("conversations/c/messages?before=-1", "before"),
        ("conversations/c/messages?before=msg_1", "before"),
        ("conversations/c/messages?after=1e3", "after"),
        ("conversations/c/messages?after=99999999999999999999", "after"),
        ("conversations/c/messages?before=3&after=1", "after"),
        ("conversations/c/messages?min_version=x", "min_version"),
        ("conversations?limit=0", "limit"),
        ("conversations?limit=101", "limit"),
        ("conversations?order=up", "order"),
        ("conversations?after=nonsense", "after"),
        ("conversations?before=%FF%FE", "before"),
        ("conversations?after=", "after"),
    ] {
        assert_refused(&api, api.request("GET", &format!("/v1/{query}")), (400, param), query).await;
    }
    assert_nothing_stored(&stack).await;
}

#[tokio::test]
async fn a_batch_is_stored_whole_or_not_at_all() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let path = "/v1/conversations/c/messages";
    assert_eq!(api.post(path, user_as("m1", "first")).await.status, 200);
    let clash = format!(r#"{{"messages":[{},{}]}}"#, user_as("m2", "new"), user_as("m1", "other"));
    let refused = api.post(path, clash).await;
    assert_eq!((refused.status, refused.at("/error/code")), (409, "message_conflict".into()));
    assert_eq!(api.get(path).await.seqs(), [1]);
    assert!(api.get(path).await.is_hit(), "a refused write leaves no intent behind");
    let full: Vec<_> = (0..100).map(|n| user(&n.to_string())).collect();
    let added = api.post(path, format!(r#"{{"messages":[{}]}}"#, full.join(","))).await;
    assert_eq!(added.seqs(), (2..=101).collect::<Vec<_>>());
}
