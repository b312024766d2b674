//! Reads of what the caller has already: `ETag` and `If-None-Match`.

use conversation_tests::{Api, Stack};
use serde_json::json;

use crate::openai::{ITEMS, MESSAGES};

const CONVERSATION: &str = "/v1/conversations/c";

/// Status, tag, cache status and body.
type Seen = (u16, String, String, String);

async fn seen(api: &Api, method: &str, path: &str, if_none_match: Option<&str>) -> Seen {
    let request = api.request(method, path);
    let request = match if_none_match {
        Some(tags) => request.header("if-none-match", tags),
        None => request,
    };
    let response = request.send().await.unwrap();
    let header = |name: &str| {
        response.headers().get(name).map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    };
    let (status, etag, cache_status) = (response.status().as_u16(), header("etag"), header("cache-status"));
    (status, etag, cache_status, response.text().await.unwrap())
}

async fn add(api: &Api) {
    let added = api.post(MESSAGES, json!({"role":"user","content":"x"}).to_string()).await;
    assert_eq!(added.status, 200, "{}", added.text);
}

#[tokio::test]
async fn who_has_the_present_version_gets_no_body() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    add(&api).await;
    let first = format!("{MESSAGES}?after=0");
    let reads = [CONVERSATION, MESSAGES, ITEMS, &first, "/v1/conversations/c/items?order=asc&limit=1"];
    for version in 1..4 {
        let tag = format!("\"{version}\"");
        for path in reads {
            let (status, etag, _, body) = seen(&api, "GET", path, None).await;
            assert_eq!((status, etag.as_str(), body.is_empty()), (200, tag.as_str(), false), "{path}");
            for tags in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
                for method in ["GET", "HEAD"] {
                    let (status, etag, cache_status, body) = seen(&api, method, path, Some(&tags)).await;
                    assert_eq!(
                        (status, etag.as_str(), body.as_str()),
                        (304, tag.as_str(), ""),
                        "{method} {path} {tags}"
                    );
                    assert_eq!(cache_status, "redis; hit", "{path}");
                }
            }
            let earlier = format!("\"{}\"", version - 1);
            for others in [earlier.as_str(), "\"99\"", "\"x\"", "1", ""] {
                let (status, etag, _, body) = seen(&api, "GET", path, Some(others)).await;
                assert_eq!(
                    (status, etag.as_str(), body.is_empty()),
                    (200, tag.as_str(), false),
                    "{path} {others}"
                );
            }
        }
        add(&api).await;
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_yet_there_is_not_unchanged() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    for path in [CONVERSATION, MESSAGES, ITEMS] {
        assert_eq!(seen(&api, "GET", path, Some("*")).await.0, 404, "{path}");
    }
    add(&api).await;
    for path in [CONVERSATION, MESSAGES, ITEMS] {
        let ahead = format!("{path}?min_version=2");
        assert_ne!(seen(&api, "GET", &ahead, Some("\"1\"")).await.0, 304, "{path}");
        let foreign = api.request("GET", path).header("x-owner-id", "bob").header("if-none-match", "\"1\"");
        assert_eq!(foreign.send().await.unwrap().status(), 404, "{path}");
    }
    for path in [format!("{ITEMS}/never"), format!("{ITEMS}?after=never")] {
        for tags in ["*", "\"1\""] {
            let status = seen(&api, "GET", &path, Some(tags)).await.0;
            assert_eq!(status, if path.contains('?') { 400 } else { 404 }, "{path} {tags}");
        }
    }
    // Where nothing is cached, Postgres says it.
    redis::cmd("FLUSHALL").exec_async(&mut stack.redis().await).await.unwrap();
    let (status, etag, cache_status, _) = seen(&api, "GET", MESSAGES, Some("\"1\"")).await;
    assert_eq!((status, etag.as_str()), (304, "\"1\""));
    assert!(cache_status.starts_with("redis; fwd=miss"), "{cache_status}");
    assert_eq!(api.delete(CONVERSATION).await.status, 200);
    for path in [CONVERSATION, MESSAGES, ITEMS] {
        assert_eq!(seen(&api, "GET", path, Some("\"1\"")).await.0, 404, "{path}");
    }
}
