//! At the edge of what one message, one request, one answer and one window may hold.

use conversation_core::MESSAGE_BYTES;
use conversation_tests::{Stack, user};
use redis::{AsyncCommands as _, cmd};
use serde_json::json;

const MESSAGES: &str = "/v1/conversations/c/messages";

/// A message of just so many bytes.
fn sized(bytes: usize, filling: &str) -> String {
    let empty = user("").len();
    user(&filling.repeat((bytes - empty) / filling.len()))
}

#[tokio::test]
async fn a_full_request_is_stored_although_its_answer_is_cut() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    // Quotes double in JSON, and double again in the envelope that the answer travels in.
    let message = json!({"role":"user","content":"\"".repeat(14_500)}).to_string();
    let body = format!(r#"{{"messages":[{}]}}"#, vec![message.as_str(); 100].join(","));
    assert!((2_800_000..4_000_000).contains(&body.len()), "{}", body.len());
    for _ in 0..2 {
        let request = api.request("POST", MESSAGES).header("content-type", "application/json");
        let added = api.send(request.header("idempotency-key", "full").body(body.clone())).await;
        assert_eq!(added.status, 200, "{}", added.text);
        let seqs = added.seqs();
        assert_eq!(seqs, (1..=seqs.len() as i64).collect::<Vec<_>>());
        assert!(seqs.len() > 50 && added.json()["has_more"] == true, "{}", seqs.len());
    }
    assert_eq!(api.get("/v1/conversations/c").await.number("/message_count"), 100);
    let (mut seen, mut after) = (Vec::new(), 0);
    while after < 100 {
        let page = api.get(&format!("{MESSAGES}?after={after}")).await;
        seen.extend(page.seqs());
        after = page.number("/after");
    }
    assert_eq!(seen, (1..=100).collect::<Vec<_>>());
    let items = json!({"items":vec![json!({"role":"user","content":"\"".repeat(72_500)}); 20]}).to_string();
    let added = api.post("/v1/conversations/c/items", items).await;
    assert_eq!(
        (added.status, added.json()["has_more"].clone()),
        (200, true.into()),
        "{}",
        &added.text[..200]
    );
}

#[tokio::test]
async fn a_conversation_of_the_largest_messages_is_read_whole_and_leaves_room_for_others() {
    let stack = Stack::start().await;
    let (api, mut redis) = (stack.api().await, stack.redis().await);
    let other = "/v1/conversations/other/messages";
    assert_eq!(api.post(other, user("small")).await.status, 200);
    let largest = sized(MESSAGE_BYTES, "x");
    assert_eq!(largest.len(), MESSAGE_BYTES);
    let body = format!(r#"{{"messages":[{}]}}"#, [largest.as_str(); 10].join(","));
    for _ in 0..11 {
        assert_eq!(api.post(MESSAGES, body.clone()).await.status, 200);
    }
    // What was published, then what a reader filled.
    for _ in 0..2 {
        for limit in [1, 10, 100] {
            let read = api.get(&format!("{MESSAGES}?limit={limit}")).await;
            let seqs = read.seqs();
            assert_eq!((read.status, seqs.last().copied()), (200, Some(110)), "{:?}", read.cache_status);
            // The newest fits into the cache; the rest is read from Postgres, as much as an answer holds.
            assert_eq!(read.is_hit(), limit == 1, "{limit}: {:?}", read.cache_status);
            assert_eq!(seqs.len(), limit.min(19));
            assert!(api.get(other).await.is_hit());
        }
        let mut bytes = 0;
        for key in ["conversation:{local/c}", "conversation:{local/c}:messages"] {
            let usage: u64 = cmd("MEMORY")
                .arg("USAGE")
                .arg(key)
                .arg("SAMPLES")
                .arg(0)
                .query_async(&mut redis)
                .await
                .unwrap();
            bytes += usage;
        }
        assert!(bytes < 1 << 20, "{bytes}");
        let elements: Vec<String> = redis.lrange("conversation:{local/c}:messages", 0, -1).await.unwrap();
        assert_eq!(
            (elements.len(), elements.iter().filter(|element| element.contains('{')).count()),
            (100, 1)
        );
        cmd("DEL").arg("conversation:{local/c}").exec_async(&mut redis).await.unwrap();
        assert_eq!(api.get(&format!("{MESSAGES}?limit=1")).await.status, 200);
    }
    let over = api.post(MESSAGES, sized(MESSAGE_BYTES + 1, "x")).await;
    assert_eq!((over.status, over.at("/error/code")), (413, "message_too_large".into()));
}

#[tokio::test]
async fn a_list_that_does_not_fit_is_a_shorter_page() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let metadata: serde_json::Map<String, serde_json::Value> =
        (0..16).map(|n| (format!("{n:\u{1}>64}"), "\u{2}".repeat(512).into())).collect();
    for n in 0..100 {
        let created =
            api.post("/v1/conversations", json!({"id":format!("c{n}"),"metadata":metadata}).to_string());
        assert_eq!(created.await.status, 200);
    }
    let (mut seen, mut after) = (0, String::new());
    loop {
        let page = api.get(&format!("/v1/conversations?limit=100{after}")).await;
        assert_eq!(page.status, 200, "{}", page.text);
        seen += page.json()["data"].as_array().unwrap().len();
        if page.json()["has_more"] == false {
            break;
        }
        after = format!("&after={}", page.at("/after"));
    }
    assert_eq!(seen, 100);
    assert!(!after.is_empty(), "they were meant not to fit");
}
