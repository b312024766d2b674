//! Records: bytes under keys, of a conversation or of its owner.

mod lists;
mod many;
mod together;

use std::collections::BTreeMap;

use conversation_tests::{Answer, Api, Profile, Stack, in_each_profile, size};
use futures_util::future::join_all;
use reqwest::header::{CONTENT_TYPE, ETAG};
use serde_json::{Value, json};

use crate::openai::MESSAGES;

in_each_profile!(a_write_of_records_leaves_the_cached_conversation_as_it_is);

/// Those of the conversation `c`, and of the owner.
const RECORDS: [&str; 2] = ["/v1/conversations/c/records", "/v1/records"];
const OF_CONVERSATION: &str = RECORDS[0];

async fn put(api: &Api, path: &str, headers: &[(&str, &str)], value: impl Into<reqwest::Body>) -> Answer {
    let request =
        headers.iter().fold(api.request("PUT", path), |request, (name, value)| request.header(*name, *value));
    api.send(request.body(value)).await
}

/// Writes records as a batch.
async fn write(api: &Api, scope: &str, records: Value) -> Answer {
    api.post(scope, json!({ "records": records }).to_string()).await
}

fn code(answer: &Answer) -> (u16, String) {
    (answer.status, answer.at("/error/code"))
}

/// All records of a scope: their values by their keys.
async fn all(api: &Api, scope: &str) -> BTreeMap<String, String> {
    let (mut all, mut after) = (BTreeMap::new(), String::new());
    loop {
        let page = api.get(&format!("{scope}?values=true&limit=1000&after={after}")).await.json();
        for record in page["data"].as_array().unwrap() {
            let value = record["value"].as_str().or(record["base64"].as_str()).unwrap();
            all.insert(record["key"].as_str().unwrap().to_owned(), value.to_owned());
        }
        if page["has_more"] == false {
            return all;
        }
        let last = page["last_id"].as_str().unwrap();
        after = percent_encoding::utf8_percent_encode(last, percent_encoding::NON_ALPHANUMERIC).to_string();
    }
}

#[tokio::test]
async fn a_value_is_returned_to_the_byte() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let every_byte: Vec<u8> = (0..=255).cycle().take(4 << 20).collect();
    let values = [
        (Vec::new(), None),
        (b"text".to_vec(), Some("text/plain")),
        ("\u{feff}\u{0} \"\\\u{2028}".as_bytes().to_vec(), Some("application/json; charset=utf-8")),
        (vec![0; 4 << 20], Some("application/x-msgpack")),
        (every_byte, None),
    ];
    for scope in RECORDS {
        for (at, (value, content_type)) in values.iter().enumerate() {
            let path = format!("{scope}/a/b%20{at}");
            let headers: Vec<_> = content_type.map(|kind| ("content-type", kind)).into_iter().collect();
            let stored = put(&api, &path, &headers, value.clone()).await;
            assert_eq!((stored.status, stored.number("/size")), (200, value.len() as i64), "{}", stored.text);
            assert_eq!(stored.at("/key"), format!("a/b {at}"));
            for method in ["GET", "HEAD"] {
                let read = api.request(method, &path).send().await.unwrap();
                let header = |name: &str| read.headers()[name].to_str().unwrap().to_owned();
                assert_eq!(read.status(), 200);
                assert_eq!(header("content-type"), content_type.unwrap_or("application/octet-stream"));
                assert_eq!(header("etag"), format!("\"{}\"", stored.number("/revision")));
                assert_eq!(header("x-content-type-options"), "nosniff");
                let body = read.bytes().await.unwrap();
                assert!(if method == "HEAD" { body.is_empty() } else { body == *value }, "{method} {path}");
            }
        }
        assert_eq!(api.delete(&format!("{scope}/a/b%200")).await.number("/deleted"), 1);
        assert_eq!(api.delete(&format!("{scope}/a/b%200")).await.number("/deleted"), 0);
        assert_eq!(code(&api.get(&format!("{scope}/a/b%200")).await), (404, "record_not_found".into()));
    }
    assert_eq!(code(&api.get("/v1/conversations/d/records/a").await), (404, "conversation_not_found".into()));
    assert_eq!(api.delete("/v1/conversations/d/records/a").await.number("/deleted"), 0);
    assert_eq!(api.get("/v1/conversations/d").await.status, 404, "a deletion creates nothing");
    let large = put(&api, &format!("{OF_CONVERSATION}/large"), &[], vec![b'x'; (4 << 20) + 1]).await;
    assert_eq!(code(&large), (413, "record_too_large".into()));
    for path in ["%FF", "a%C3"] {
        let refused = put(&api, &format!("{OF_CONVERSATION}/{path}"), &[], "x").await;
        assert_eq!(code(&refused), (400, "invalid_key".into()), "no two of these are one key");
    }
}

#[tokio::test]
async fn a_deployment_may_allow_less() {
    let stack = Stack::start().await;
    let api = stack.api_with(&[("RECORD_BYTES", "10")]).await;
    let path = format!("{OF_CONVERSATION}/a");
    assert_eq!(put(&api, &path, &[], "0123456789").await.status, 200);
    let refused = put(&api, &path, &[], "0123456789x").await;
    assert_eq!(
        (code(&refused), refused.at("/error/param")),
        ((413, "record_too_large".into()), "body".into())
    );
    let large = json!([{"key":"a","value":"0123456789"},{"key":"b","value":"0123456789x"}]);
    let messages = json!({"messages":[{"id":"m","role":"user","content":""}],"records":large});
    for refused in [write(&api, OF_CONVERSATION, large).await, api.post(MESSAGES, messages.to_string()).await]
    {
        assert_eq!(code(&refused), (413, "record_too_large".into()));
        assert_eq!(refused.at("/error/param"), "records[1].value");
    }
    assert_eq!(api.get(MESSAGES).await.number("/data/0/seq"), -1, "nothing of it is stored");
}

#[tokio::test]
async fn a_write_is_done_at_the_revision_that_it_names_and_at_no_other() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    for scope in RECORDS {
        let path = format!("{scope}/a");
        let absent = [("if-match", "*"), ("if-match", "\"1\"")];
        for condition in absent {
            let refused = put(&api, &path, &[condition], "x").await;
            assert_eq!(
                (code(&refused), refused.number("/error/revision")),
                ((412, "revision_mismatch".into()), 0)
            );
        }
        let first = put(&api, &path, &[("if-none-match", "*")], "x").await.number("/revision");
        let other = put(&api, &format!("{scope}/b"), &[], "y").await.number("/revision");
        assert!(first > 0 && other > first, "one counter for all");
        let (newest, old) = (format!("\"{first}\""), format!("\"{other}\""));
        for condition in [("if-none-match", "*"), ("if-match", old.as_str())] {
            for method in ["PUT", "DELETE"] {
                let refused =
                    api.send(api.request(method, &path).header(condition.0, condition.1).body("z")).await;
                assert_eq!(code(&refused), (412, "revision_mismatch".into()));
                assert_eq!(
                    (refused.number("/error/revision"), refused.at("/error/param")),
                    (first, condition.0.into())
                );
            }
        }
        let kept = api
            .request("GET", &path)
            .header("if-none-match", format!("\"9\", {newest}"))
            .send()
            .await
            .unwrap();
        assert_eq!((kept.status().as_u16(), kept.headers()[ETAG].to_str().unwrap()), (304, newest.as_str()));
        let second = put(&api, &path, &[("if-match", &newest)], "z").await.number("/revision");
        assert!(second > other);
        assert_eq!(put(&api, &path, &[("if-match", "*")], "z").await.status, 200);
        // A revision is not given twice, whatever is deleted in between.
        assert_eq!(api.delete(&format!("{scope}?prefix=")).await.number("/deleted"), 2);
        assert!(put(&api, &path, &[("if-none-match", "*")], "x").await.number("/revision") > second + 1);
        assert_eq!(api.get(&path).await.text, "x");
    }
}

#[tokio::test]
async fn of_writers_that_have_read_the_same_revision_one_wins() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let (writers, rounds) = (size("WRITERS", 12), size("ROUNDS", 15));
    for scope in RECORDS {
        let path = format!("{scope}/counter");
        let mut revision = put(&api, &path, &[], "0").await.number("/revision");
        for round in 1..=rounds {
            let known = format!("\"{revision}\"");
            let tries = (0..writers).map(|writer| {
                let (api, path, known) = (&api, &path, &known);
                // By itself, and in a batch with a record of its own.
                async move {
                    let value = format!("{round} {writer}");
                    if writer % 2 == 0 {
                        return put(api, path, &[("if-match", known)], value).await;
                    }
                    let known: i64 = known.trim_matches('"').parse().unwrap();
                    let records = json!([{"key":format!("w{writer}"),"value":value},{"key":"counter","value":value,"if_match":known}]);
                    write(api, scope, records).await
                }
            });
            let answers = join_all(tries).await;
            let won: Vec<_> = answers.iter().enumerate().filter(|(_, answer)| answer.status == 200).collect();
            let [(winner, _)] = won.as_slice() else { panic!("{round}: {} won", won.len()) };
            assert!(answers.iter().all(|answer| [200, 412].contains(&answer.status)));
            assert_eq!(api.get(&path).await.text, format!("{round} {winner}"));
            if winner % 2 == 1 {
                assert_eq!(api.get(&format!("{scope}/w{winner}")).await.text, format!("{round} {winner}"));
            }
            revision = answers[*winner].number("/revision").max(answers[*winner].number("/data/1/revision"));
        }
        let won: Vec<_> = all(&api, scope).await.into_values().collect();
        assert!(won.len() > 1 && won.iter().all(|value| value.contains(' ')), "{won:?}");
    }
}

#[tokio::test]
async fn a_batch_is_written_as_a_whole_or_not_at_all() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    for scope in RECORDS {
        let first = write(&api, scope, json!([
            {"key":"a","value":"1"},{"key":"b","base64":"/w==","content_type":"image/png"},{"key":"c","delete":true}
        ]))
        .await;
        assert_eq!(first.status, 200, "{}", first.text);
        assert_eq!(first.number("/data/0/revision"), first.number("/data/1/revision"), "one commit");
        assert_eq!(
            [first.at("/data/0/content_type"), first.at("/data/1/content_type")],
            ["text/plain; charset=utf-8", "image/png"]
        );
        assert_eq!(first.number("/data/2/deleted"), 0);
        let before = all(&api, scope).await;
        let revision = first.number("/data/0/revision");
        for (records, at) in [
            (json!([{"key":"a","value":"2"},{"key":"b","delete":true,"if_match":revision + 1}]), 1),
            (json!([{"key":"new","value":"2","if_match":"*"},{"key":"a","delete":true}]), 0),
            (
                json!([{"key":"new","value":"2"},{"key":"c","value":"2"},{"key":"a","value":"2","if_none_match":"*"}]),
                2,
            ),
        ] {
            let refused = write(&api, scope, records).await;
            assert_eq!(
                (code(&refused), refused.at("/error/param")),
                ((412, "revision_mismatch".into()), format!("records[{at}]"))
            );
            assert_eq!(all(&api, scope).await, before);
        }
        for (records, param) in [
            (json!([{"key":"a","value":"2"},{"key":"a","delete":true}]), "records[1].key"),
            (json!([{"key":"a\u{0}","value":"2"}]), "records[0].key"),
            (json!([{"key":"a","value":"2","base64":""}]), "records[0].base64"),
            (json!([{"key":"a"}]), "records[0].value"),
            (json!([{"key":"a","value":"","if_match":0}]), "records[0].if_match"),
            (json!([{"key":"a","value":"","content_type":"text"}]), "records[0].content_type"),
            (json!([{"key":"a","base64":"a"}]), "records[0].base64"),
            (json!([{"key":"a","value":"","ifmatch":1}]), "records[0].ifmatch"),
            (json!([{"key":"a","delete":true,"value":""}]), "records[0].delete"),
            (json!([]), "body"),
            (json!((0..101).map(|n| json!({"key":n.to_string(),"value":""})).collect::<Vec<_>>()), "records"),
        ] {
            let refused = write(&api, scope, records).await;
            assert_eq!(
                (refused.status, refused.at("/error/param").as_str()),
                (400, param),
                "{}",
                refused.text
            );
        }
        let surrogate = api.post(scope, r#"{"records":[{"key":"a","value":"\ud800"}]}"#).await;
        assert_eq!((surrogate.status, surrogate.at("/error/param").as_str()), (400, "records[0].value"));
        assert_eq!(all(&api, scope).await, before);
    }
}

#[tokio::test]
async fn a_request_under_a_key_is_done_once_and_always_answered_alike() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    for (scope, name) in RECORDS.into_iter().zip(["k1", "k2"]) {
        let send = |method: &str, path: String, key: String, body: String| {
            let request = api
                .request(method, &path)
                .header("idempotency-key", key)
                .header(CONTENT_TYPE, "application/json");
            api.send(request.body(body))
        };
        put(&api, &format!("{scope}/gone"), &[], "x").await;
        let requests = [
            (
                "POST",
                scope.to_owned(),
                json!({"records":[{"key":"a","value":"1","if_none_match":"*"},{"key":"gone","delete":true}]})
                    .to_string(),
            ),
            ("PUT", format!("{scope}/b"), "1".to_owned()),
            ("DELETE", format!("{scope}/a"), String::new()),
            ("DELETE", format!("{scope}?prefix=b"), String::new()),
        ];
        let mut first = Vec::new();
        for (at, (method, path, body)) in requests.iter().enumerate() {
            first.push(send(method, path.clone(), format!("{name}-{at}"), body.clone()).await);
        }
        let codes: Vec<_> = first.iter().map(|answer| answer.status).collect();
        assert_eq!(codes, [200; 4], "{first:?}");
        assert_eq!(first[0].number("/data/1/deleted"), 1);
        assert_eq!([first[2].number("/deleted"), first[3].number("/deleted")], [1, 1]);
        write(
            &api,
            scope,
            json!([{"key":"a","value":"later"},{"key":"b","value":"later"},{"key":"gone","value":"later"}]),
        )
        .await;
        for (at, (method, path, body)) in requests.iter().enumerate() {
            let again = send(method, path.clone(), format!("{name}-{at}"), body.clone()).await;
            assert_eq!((again.status, again.text), (200, first[at].text.clone()));
        }
        assert!(
            all(&api, scope).await.values().all(|value| value == "later"),
            "nothing of it was done again"
        );
        for (method, path, body) in [
            ("POST", scope.to_owned(), r#"{"records":[{"key":"a","value":"2"}]}"#.to_owned()),
            ("DELETE", format!("{scope}?prefix=a"), String::new()),
        ] {
            let other = send(method, path, format!("{name}-0"), body).await;
            assert_eq!(code(&other), (409, "idempotency_conflict".into()));
        }
    }
}

#[tokio::test]
async fn records_belong_to_one_owner_and_one_conversation() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let of = |owner: &'static str, method: &str, path: String| {
        api.request(method, &path).header("x-owner-id", owner)
    };
    for (owner, value) in [("ann", "a"), ("bob", "b")] {
        for scope in ["/v1/conversations/c/records", "/v1/conversations/d/records", "/v1/records"] {
            let request = of(owner, "PUT", format!("{scope}/k")).body(format!("{value} {scope}"));
            assert_eq!(api.send(request).await.number("/revision"), 1, "each counts by itself");
        }
    }
    for (owner, value) in [("ann", "a"), ("bob", "b")] {
        for scope in ["/v1/conversations/c/records", "/v1/conversations/d/records", "/v1/records"] {
            let read = api.send(of(owner, "GET", format!("{scope}/k"))).await;
            assert_eq!(read.text, format!("{value} {scope}"));
        }
    }
    assert_eq!(api.send(of("bob", "DELETE", "/v1/conversations/c".into())).await.status, 200);
    assert_eq!(api.send(of("bob", "GET", "/v1/conversations/c/records/k".into())).await.status, 404);
    assert_eq!(api.send(of("bob", "DELETE", "/v1/records?prefix=".into())).await.number("/deleted"), 1);
    assert_eq!(api.send(of("ann", "GET", "/v1/conversations/c/records/k".into())).await.status, 200);
    assert_eq!(api.send(of("ann", "GET", "/v1/records/k".into())).await.status, 200);
    // What was deleted stays so.
    let refused = api.send(of("bob", "PUT", "/v1/conversations/c/records/k".into()).body("x")).await;
    assert_eq!(code(&refused), (409, "conversation_deleted".into()));
    assert_eq!(api.send(of("eve", "GET", "/v1/records".into())).await.json()["data"], json!([]));
}

async fn a_write_of_records_leaves_the_cached_conversation_as_it_is(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let api = stack.api().await;
    // Created by a record: a conversation like any other.
    assert_eq!(put(&api, &format!("{OF_CONVERSATION}/a"), &[], "x").await.status, 200);
    let created = api.get("/v1/conversations/c").await;
    assert_eq!([created.number("/version"), created.number("/message_count")], [1, 0], "{created:?}");
    for n in 1..=3 {
        let message = json!({"id":format!("m{n}"),"role":"user","content":"x"});
        assert_eq!(api.post(MESSAGES, message.to_string()).await.status, 200);
        let (read, conversation) = (api.get(MESSAGES).await, api.get("/v1/conversations/c").await);
        assert!(read.is_hit() || n == 1, "{read:?}");
        for path in ["a", "b"] {
            assert_eq!(
                put(&api, &format!("{OF_CONVERSATION}/{path}"), &[], format!("{n}")).await.status,
                200
            );
        }
        let again = api.get(MESSAGES).await;
        assert!(again.is_hit(), "{again:?}");
        assert_eq!(again.text, read.text);
        assert_eq!(api.get("/v1/conversations/c").await.text, conversation.text);
    }
    let listed = api.get("/v1/conversations").await.json();
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn records_need_no_redis() {
    let stack = Stack::start().await;
    let api = stack.api_with(&[("REDIS_URL", "redis://127.0.0.1:1/")]).await;
    for scope in RECORDS {
        assert_eq!(put(&api, &format!("{scope}/a"), &[], "x").await.status, 200);
        assert_eq!(api.get(&format!("{scope}/a")).await.text, "x");
        assert_eq!(api.get(scope).await.status, 200);
        assert_eq!(api.delete(&format!("{scope}?prefix=")).await.number("/deleted"), 1);
    }
}
