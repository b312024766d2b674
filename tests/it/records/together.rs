//! Records that are written with messages, and those that a fork copies.

use conversation_tests::{Answer, Api, Profile, Stack, in_each_profile};
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::{OF_CONVERSATION, all, code, put, write};
use crate::openai::MESSAGES;

in_each_profile!(messages_and_records_are_one_commit, what_was_done_before_is_not_done_again);

/// A message of this id.
fn message(id: &str) -> Value {
    json!({"id":id,"role":"user","content":id})
}

async fn send(api: &Api, (method, path): (&str, &str), key: Option<&str>, body: &Value) -> Answer {
    let request = api.request(method, path).header(CONTENT_TYPE, "application/json").body(body.to_string());
    api.send(key.into_iter().fold(request, |request, key| request.header("idempotency-key", key))).await
}

/// Every write of messages that takes records: what follows position 1 is replaced.
const WRITES: [(&str, &str); 2] = [("POST", MESSAGES), ("PUT", "/v1/conversations/c/messages?after=1")];

async fn messages_and_records_are_one_commit(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let api = stack.api().await;
    let new = json!({"id":"c","messages":[message("m0")],"records":[{"key":"state","value":"0"}]});
    assert_eq!(api.post("/v1/conversations", new.to_string()).await.status, 200);
    assert_eq!(all(&api, OF_CONVERSATION).await["state"], "0");
    for (at, route) in WRITES.into_iter().enumerate() {
        let revision = api.get(&format!("{OF_CONVERSATION}?key=state")).await.number("/data/0/revision");
        let before = api.get(MESSAGES).await.text;
        assert!(api.get(MESSAGES).await.is_hit());
        // A record's condition fails: nothing of either is stored, and the cache is as good as before.
        let stale = json!({"messages":[message("never")],"records":[{"key":"other","value":"x"},{"key":"state","value":"x","if_match":revision + 1}]});
        let refused = send(&api, route, None, &stale).await;
        assert_eq!(
            (code(&refused), refused.at("/error/param")),
            ((412, "revision_mismatch".into()), "records[1]".into())
        );
        assert_eq!(refused.number("/error/revision"), revision);
        let after = api.get(MESSAGES).await;
        assert!(after.is_hit(), "{after:?}");
        assert_eq!((after.text, all(&api, OF_CONVERSATION).await.len()), (before, 1));
        // The conversation's does: the same.
        let good = json!({"messages":[message(&format!("m{at}1"))],"records":[{"key":"state","value":format!("{at}"),"if_match":revision}]});
        let request = api
            .request(route.0, route.1)
            .header("if-match", "\"99\"")
            .header(CONTENT_TYPE, "application/json");
        assert_eq!(code(&api.send(request.body(good.to_string())).await), (412, "version_mismatch".into()));
        assert_eq!(api.get(&format!("{OF_CONVERSATION}/state")).await.text, "0");
        let done = send(&api, route, None, &good).await;
        assert_eq!((done.status, done.number("/records/0/revision")), (200, revision + 1), "{}", done.text);
        assert_eq!(api.get(&format!("{OF_CONVERSATION}/state")).await.text, format!("{at}"));
        let read = api.get(MESSAGES).await;
        assert!(read.is_hit() && read.text.contains(&format!("m{at}1")), "{read:?}");
    }
    // With nothing to cut off and nothing to add, the records are written all the same.
    let nothing = json!({"messages":[],"records":[{"key":"state","delete":true}]});
    let done = send(&api, ("PUT", "/v1/conversations/c/messages?after=3"), None, &nothing).await;
    assert_eq!((done.status, done.number("/records/0/deleted")), (200, 1), "{}", done.text);
    assert_eq!(all(&api, OF_CONVERSATION).await.len(), 0);
}

async fn what_was_done_before_is_not_done_again(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let api = stack.api().await;
    assert_eq!(api.post(MESSAGES, message("m0").to_string()).await.status, 200);
    for (at, route) in WRITES.into_iter().enumerate() {
        for key in [None, Some(format!("k{at}"))] {
            let key = key.as_deref();
            let id = format!("n{at}{}", key.unwrap_or_default());
            let body = json!({"messages":[message(&id)],"records":[{"key":"a","value":"1"},{"key":"gone","delete":true}]});
            assert_eq!(put(&api, &format!("{OF_CONVERSATION}/gone"), &[], "x").await.status, 200);
            let first = send(&api, route, key, &body).await;
            assert_eq!((first.status, first.number("/records/1/deleted")), (200, 1), "{}", first.text);
            let later = write(
                &api,
                OF_CONVERSATION,
                json!([{"key":"a","value":"later"},{"key":"gone","value":"later"}]),
            )
            .await;
            let again = send(&api, route, key, &body).await;
            assert_eq!(again.status, 200, "{}", again.text);
            let (said, is) = (again.json()["records"].clone(), later.number("/data/0/revision"));
            // Under a key what the first try did; otherwise nothing is said of what was not done.
            assert_eq!(said, if key.is_some() { first.json()["records"].clone() } else { Value::Null });
            assert!(all(&api, OF_CONVERSATION).await.values().all(|value| value == "later"));
            // Of messages that were partly stored before, the rest is stored, and so are the records.
            if route.0 == "POST" {
                let more = json!({"messages":[message(&id),message(&format!("{id}-2"))],"records":[{"key":"a","value":"2"}]});
                assert_eq!(send(&api, route, None, &more).await.number("/records/0/revision"), is + 1);
            }
            // Messages that come again under another key bring back no older state, and nothing says that they did.
            let fresh = json!({"messages":[message(&id)],"records":[{"key":"a","value":"1"}]});
            if route.0 == "POST" {
                let done = send(&api, route, Some(&format!("fresh-{id}")), &fresh).await;
                assert_eq!((done.status, &done.json()["records"]), (200, &Value::Null), "{}", done.text);
            }
            if let Some(key) = key {
                let mut other = body.clone();
                other["records"][0]["value"] = "2".into();
                assert_eq!(
                    code(&send(&api, route, Some(key), &other).await),
                    (409, "idempotency_conflict".into())
                );
            }
        }
    }
}

#[tokio::test]
async fn a_fork_has_the_records_of_its_origin() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let records = json!([{"key":"a/1","value":"1"},{"key":"a/2","base64":"/w==","content_type":"image/png"},{"key":"b","value":"3"}]);
    assert_eq!(
        api.post(MESSAGES, json!({"messages":[message("m")],"records":records}).to_string()).await.status,
        200
    );
    put(&api, &format!("{OF_CONVERSATION}/b"), &[], "4").await;
    let listed = api.get(OF_CONVERSATION).await.json();
    for (id, more, held) in [
        ("all", json!({}), 3),
        ("some", json!({"records_prefix":"a/","at":0}), 2),
        ("none", json!({"records_prefix":"c"}), 0),
    ] {
        let mut body =
            json!({"id":id,"fork_of":"c","records":[{"key":"own","value":"x","if_none_match":"*"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let fork = api.post("/v1/conversations", body.to_string()).await;
        assert_eq!(fork.status, 200, "{}", fork.text);
        let scope = format!("/v1/conversations/{id}/records");
        let of_fork = api.get(&scope).await.json();
        let of_fork = of_fork["data"].as_array().unwrap();
        assert_eq!(of_fork.len(), held + 1);
        assert_eq!(
            of_fork[..held],
            listed["data"].as_array().unwrap()[..held],
            "revisions and types are kept"
        );
        // It goes on by itself, above all revisions that its origin gave.
        assert!(of_fork[held]["revision"].as_i64() > listed["data"][2]["revision"].as_i64());
        assert_eq!(api.delete(&format!("{scope}?prefix=")).await.status, 200);
    }
    assert_eq!(all(&api, OF_CONVERSATION).await.len(), 3);
    let orphan = api.post("/v1/conversations", r#"{"records_prefix":"a"}"#).await;
    assert_eq!((orphan.status, orphan.at("/error/param").as_str()), (400, "fork_of"));
}
