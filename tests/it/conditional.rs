//! Conditional writes: `If-Match` and `If-None-Match` (RFC 9110, section 13.1).

use conversation_tests::{Answer, Api, Profile, Stack, in_each_profile, size};
use futures_util::future::join_all;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;

use crate::openai::{ITEMS, MESSAGES};

in_each_profile!(
    a_write_is_done_at_the_version_that_it_names_and_at_no_other,
    of_writers_that_have_read_the_same_version_one_wins,
    a_failed_condition_leaves_the_cache_as_it_was,
);

const CONVERSATIONS: &str = "/v1/conversations";
const CONVERSATION: &str = "/v1/conversations/c";

/// A request under a condition.
async fn send(api: &Api, method: &str, path: &str, condition: (&str, &str), body: &str) -> Answer {
    let request = api.request(method, path).header(condition.0, condition.1);
    let request = match body {
        "" => request,
        body => request.header(CONTENT_TYPE, "application/json").body(body.to_owned()),
    };
    api.send(request).await
}

fn message(id: &str) -> String {
    json!({"id":id,"role":"user","content":id}).to_string()
}

fn items(id: &str) -> String {
    json!({"items":[{"id":id,"role":"user","content":id}]}).to_string()
}

/// Every write, which each time is another one.
fn writes(at: usize) -> [(&'static str, String, String); 5] {
    [
        ("POST", MESSAGES.to_owned(), message(&format!("m{at}"))),
        ("POST", ITEMS.to_owned(), items(&format!("i{at}"))),
        ("POST", CONVERSATION.to_owned(), json!({"title":format!("{at}")}).to_string()),
        ("DELETE", format!("{ITEMS}/d{at}"), String::new()),
        ("DELETE", CONVERSATION.to_owned(), String::new()),
    ]
}

/// The conversation as it is.
async fn state(api: &Api) -> (i64, String) {
    let (conversation, messages) = (api.get(CONVERSATION).await, api.get(MESSAGES).await);
    (conversation.number("/version"), conversation.text + &messages.text)
}

fn mismatch(answer: &Answer, version: i64) {
    let code = answer.at("/error/code");
    assert_eq!((answer.status, code.as_str()), (412, "version_mismatch"), "{answer:?}");
    assert_eq!(answer.number("/error/version"), version, "{answer:?}");
}

async fn a_write_is_done_at_the_version_that_it_names_and_at_no_other(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let api = stack.api().await;
    for at in 0..8 {
        api.post(MESSAGES, message(&format!("d{at}"))).await;
    }
    for at in 0..5 {
        let (method, path, body) = writes(at)[at].clone();
        let (version, before) = state(&api).await;
        let others = [1, version - 1, version + 1, i64::MAX].map(|other| format!("\"{other}\""));
        for other in others {
            let answer = send(&api, method, &path, ("if-match", &other), &body).await;
            mismatch(&answer, version);
        }
        let answer = send(&api, method, &path, ("if-none-match", "*"), &body).await;
        mismatch(&answer, version);
        assert_eq!(state(&api).await.1, before, "{method} {path}");
        let condition = if at % 2 == 0 { "*".to_owned() } else { format!("\"{version}\"") };
        let done = send(&api, method, &path, ("if-match", &condition), &body).await;
        assert_eq!(done.status, 200, "{method} {path} {done:?}");
    }
    // Where it was deleted, there is nothing to be at a version.
    for (method, path, body) in writes(9) {
        let answer = send(&api, method, &path, ("if-match", "\"1\""), &body).await;
        let expected = match (method, path.as_str()) {
            ("POST", MESSAGES) => 409,
            ("DELETE", CONVERSATION) => 200,
            _ => 404,
        };
        assert_eq!(answer.status, expected, "{method} {path} {answer:?}");
    }
}

#[tokio::test]
async fn a_mismatch_answers_the_present_version_as_a_tag() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    for version in 1..3 {
        api.post(MESSAGES, message(&format!("m{version}"))).await;
        let request = api.request("POST", MESSAGES).header("if-match", "\"7\"");
        let request = request.header(CONTENT_TYPE, "application/json").body(message("x"));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 412);
        assert_eq!(response.headers()["etag"], format!("\"{version}\""));
        // The SDKs would not try it again by themselves.
        assert!(response.headers().get("retry-after").is_none());
    }
}

#[tokio::test]
async fn what_is_not_there_is_at_no_version() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    for condition in ["*", "\"1\""] {
        let absent = send(&api, "POST", MESSAGES, ("if-match", condition), &message("m")).await;
        mismatch(&absent, 0);
        for (method, path, body) in &writes(0)[1..] {
            let absent = send(&api, method, path, ("if-match", condition), body).await;
            assert_eq!(absent.status, 404, "{method} {path} {absent:?}");
        }
    }
    assert_eq!(api.get(CONVERSATION).await.status, 404);
    let first = send(&api, "POST", MESSAGES, ("if-none-match", "*"), &message("m")).await;
    assert_eq!((first.status, first.number("/version")), (200, 1));
    let second = send(&api, "POST", MESSAGES, ("if-none-match", "*"), &message("n")).await;
    mismatch(&second, 1);
    let named = send(&api, "POST", CONVERSATIONS, ("if-none-match", "*"), r#"{"id":"c"}"#).await;
    mismatch(&named, 1);
    let fresh = send(&api, "POST", CONVERSATIONS, ("if-none-match", "*"), r#"{"id":"d"}"#).await;
    assert_eq!(fresh.status, 200);
}

#[tokio::test]
async fn a_retry_after_success_is_no_conflict() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    for condition in [("if-none-match", "*"), ("if-match", "\"1\""), ("if-match", "\"2\"")] {
        let id = condition.1.trim_matches('"').replace('*', "0");
        let first = send(&api, "POST", MESSAGES, condition, &message(&id)).await;
        assert_eq!(first.status, 200, "{first:?}");
        let again = send(&api, "POST", MESSAGES, condition, &message(&id)).await;
        assert_eq!((again.status, &again.messages()), (200, &first.messages()));
        let other = send(&api, "POST", MESSAGES, condition, &message("another")).await;
        assert_eq!(other.status, 412, "{other:?}");
    }
    let under = async |name: &str, tag: &str| {
        let request = api.request("POST", CONVERSATION).header("idempotency-key", name.to_owned());
        let request = request.header("if-match", tag.to_owned()).header(CONTENT_TYPE, "application/json");
        api.send(request.body(r#"{"title":"t"}"#)).await
    };
    assert_eq!(under("k", "\"9\"").await.status, 412, "what failed is no use of the key");
    assert_eq!(under("k", "\"3\"").await.number("/version"), 4);
    assert_eq!(under("k", "\"3\"").await.number("/version"), 4);
    assert_eq!(under("l", "\"3\"").await.status, 412);
    for path in [format!("{ITEMS}/0"), CONVERSATION.to_owned()] {
        let version = api.get(CONVERSATION).await.number("/version");
        for _ in 0..2 {
            let deleted = send(&api, "DELETE", &path, ("if-match", &format!("\"{version}\"")), "").await;
            assert_eq!(deleted.status, 200, "{deleted:?}");
        }
    }
}

#[tokio::test]
async fn what_is_no_condition_is_refused_by_name() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    api.post(MESSAGES, message("m")).await;
    let before = state(&api).await;
    let tags =
        ["", "1", "\"\"", "\"0\"", "\"-1\"", "\"01\"", "W/\"1\"", "\"1\", \"2\"", "\"x\"", "\"1", "**", "é"];
    for (method, path, body) in writes(0) {
        for tag in tags {
            let answer = send(&api, method, &path, ("if-match", tag), &body).await;
            let seen = (answer.status, answer.at("/error/code"), answer.at("/error/param"));
            assert_eq!(seen, (400, "invalid_etag".into(), "if-match".into()), "{method} {path} {tag}");
        }
        for tag in ["\"1\"", "\"2\"", "", "x"] {
            let answer = send(&api, method, &path, ("if-none-match", tag), &body).await;
            let seen = (answer.status, answer.at("/error/code"), answer.at("/error/param"));
            assert_eq!(seen, (400, "invalid_etag".into(), "if-none-match".into()), "{method} {path} {tag}");
        }
        let request = api.request(method, &path).header("if-match", "\"1\"").header("if-none-match", "*");
        let answer = api.send(request.header(CONTENT_TYPE, "application/json").body(body)).await;
        let seen = (answer.status, answer.at("/error/code"), answer.at("/error/param"));
        assert_eq!(seen, (400, "invalid_parameter".into(), "if-none-match".into()), "{method} {path}");
    }
    let created = send(&api, "POST", CONVERSATIONS, ("if-match", "\"1\""), "{}").await;
    assert_eq!((created.status, created.at("/error/param").as_str()), (400, "if-match"));
    assert_eq!(state(&api).await, before);
}

async fn of_writers_that_have_read_the_same_version_one_wins(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let api = stack.api().await;
    api.post(MESSAGES, message("first")).await;
    let (writers, rounds) = (i64::from(size("WRITERS", 16)), i64::from(size("ROUNDS", 10)));
    for round in 1..=rounds {
        let tag = format!("\"{}\"", api.get(CONVERSATION).await.number("/version"));
        let api = &api;
        let races = (0..writers).map(|writer| {
            let (tag, body) = (tag.clone(), message(&format!("{round}-{writer}")));
            async move { send(api, "POST", MESSAGES, ("if-match", &tag), &body).await }
        });
        let answers = join_all(races).await;
        let won = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(won, 1, "round {round}: {answers:?}");
        for lost in answers.iter().filter(|answer| answer.status != 200) {
            mismatch(lost, round + 1);
        }
    }
    let (conversation, messages) = (api.get(CONVERSATION).await, api.get(MESSAGES).await);
    assert_eq!(conversation.number("/message_count"), rounds + 1);
    assert_eq!(messages.seqs(), ((rounds - 98).max(1)..=rounds + 1).collect::<Vec<_>>());
}

async fn a_failed_condition_leaves_the_cache_as_it_was(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let api = stack.api().await;
    api.post(MESSAGES, message("m")).await;
    assert!(api.get(MESSAGES).await.is_hit());
    for (method, path, body) in writes(0) {
        let path = path.replace("d0", "m");
        let answer = send(&api, method, &path, ("if-match", "\"9\""), &body).await;
        mismatch(&answer, 1);
        assert!(api.get(MESSAGES).await.is_hit(), "{method} {path}");
    }
}
