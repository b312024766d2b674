//! What belongs to somebody else does not exist: by no route, id, cursor or key does one owner learn of another's.

use conversation_core::{
    Anchor, Change, ConversationFields, ConversationId, ConversationKey, Limit, MessageId, Metadata, OwnerId,
    Precondition, Range,
};
use conversation_functions::ROUTES;
use conversation_tests::{Answer, Api, Failpoint, LinkFault, Loss, Stack, batch, user, user_as};
use futures_util::future::join_all;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;

const SECRET: &str = "the secret of ann";

/// Ann's conversation, with all that it may have.
async fn anns(api: &Api) -> Vec<Answer> {
    let body = |id: &str| json!({"id":id,"title":SECRET,"metadata":{"topic":SECRET}}).to_string();
    let messages =
        json!({"messages":[{"id":"m1","role":"user","content":SECRET},{"role":"user","content":SECRET}]});
    vec![
        post_as(api, "ann", "/v1/conversations", &body("c"), None).await,
        post_as(api, "ann", "/v1/conversations", &body("d"), None).await,
        post_as(api, "ann", "/v1/conversations/c/messages", &messages.to_string(), Some("k")).await,
    ]
}

async fn post_as(api: &Api, owner: &str, path: &str, body: &str, key: Option<&str>) -> Answer {
    let mut request = api.request("POST", path).header("x-owner-id", owner);
    request = request.header(CONTENT_TYPE, "application/json").body(body.to_owned());
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    api.send(request).await
}

/// What bob sends to a route for a conversation and an item.
async fn ask_as_bob(api: &Api, method: &str, path: &str, id: &str, item: &str, query: &str) -> Answer {
    let path = path.replace("{conversation_id}", id).replace("{item_id}", item);
    let body = match path.rsplit('/').next() {
        _ if method != "POST" => String::new(),
        Some("messages") => json!({"role":"user","content":"of bob"}).to_string(),
        Some("items") => json!({"items":[{"role":"user","content":"of bob"}]}).to_string(),
        _ => json!({"title":"of bob"}).to_string(),
    };
    let request = api.request(method, &format!("{path}{query}")).header("x-owner-id", "bob");
    api.send(request.header(CONTENT_TYPE, "application/json").body(body)).await
}

/// An answer with nothing in it that must differ: ids, and times.
fn shape(answer: &Answer, id: &str, item: &str) -> (u16, String) {
    // An export has many lines, or none.
    let lines = answer.text.lines().map(|line| {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        blank(&mut line);
        line.to_string().replace(id, "ID").replace(item, "ITEM")
    });
    (answer.status, lines.collect::<Vec<_>>().join("\n"))
}

fn blank(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let made = name.ends_with("id") && field.as_str().is_some_and(|id| id.contains("_0"));
                if made
                    || name.ends_with("_at")
                    || name.ends_with("_at_us")
                    || matches!(name.as_str(), "before" | "after")
                {
                    *field = "...".into();
                } else {
                    blank(field);
                }
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(blank),
        _ => {}
    }
}

#[tokio::test]
async fn by_no_route_does_one_owner_learn_of_another() {
    // Bob asks for what ann has in one store, and for what nobody has in another.
    let (stack, empty) = (Stack::start().await, Stack::start().await);
    let (api, other) = (stack.api().await, empty.api().await);
    let made = anns(&api).await;
    assert!(made.iter().all(|answer| answer.status == 200), "{made:?}");
    let page = api.send(api.request("GET", "/v1/conversations?limit=1").header("x-owner-id", "ann")).await;
    let cursor = page.at("/after");
    assert!(!cursor.is_empty(), "{}", page.text);
    let (before, first) = (everything(&api).await, made[2].at("/data/1/id"));

    for route in ROUTES {
        for (id, item) in [("c", "m1"), ("c", first.as_str()), ("d", "m1")] {
            for query in ["", &format!("?after={cursor}"), &format!("?after={item}"), "?metadata[topic]=x"] {
                let given = ask_as_bob(&api, route.method, route.path, id, item, query).await;
                let expected = ask_as_bob(&other, route.method, route.path, id, item, query).await;
                assert!(!given.text.contains(SECRET), "{route:?}{query}: {}", given.text);
                let (given, expected) = (shape(&given, id, item), shape(&expected, id, item));
                assert_eq!(given, expected, "{} {}{query}", route.method, route.path);
            }
        }
    }
    // Ann's key is nobody's key to bob: his request under it is done, and is his.
    let body = json!({"role":"user","content":"of bob"}).to_string();
    let his = post_as(&api, "bob", "/v1/conversations/c2/messages", &body, Some("k")).await;
    assert_eq!((his.status, his.seqs()), (200, vec![1]), "{his:?}");
    assert_eq!(everything(&api).await, before, "bob changed something of ann's");
}

/// All that ann can read.
async fn everything(api: &Api) -> Vec<String> {
    let paths = ["", "/c", "/d", "/c/messages", "/c/items", "/d/messages"];
    let ask = async |path: &&str| {
        let request = api.request("GET", &format!("/v1/conversations{path}")).header("x-owner-id", "ann");
        api.send(request).await.text
    };
    join_all(paths.iter().map(ask)).await
}

/// How long an answer takes goes by how often the stores are asked: for what is somebody else's as often as for nothing.
#[tokio::test]
async fn the_stores_are_asked_the_same_for_what_is_not_there_and_for_what_is_somebody_elses() {
    let stack = Stack::start().await;
    let healthy = stack.store();
    let key = |owner: &str, id: &str| ConversationKey {
        owner: OwnerId::new(owner).unwrap(),
        id: ConversationId::new(id).unwrap(),
    };
    healthy.add(&key("ann", "c"), &batch([user_as("m1", "one"), user("two")])).await.unwrap();
    let count = async |id: &str| -> Vec<u32> {
        let failpoint = Failpoint::new(LinkFault::LoseReply, Loss::Close);
        let (store, _proxies) = stack.store_behind(&failpoint).await;
        let (bobs, item) = (key("bob", id), MessageId::new("m1").unwrap());
        // Connections are made before.
        store.health().await.0.unwrap();
        let mut requests = Vec::new();
        for operation in 0..8 {
            failpoint.set(u32::MAX);
            match operation {
                0 => drop(store.recent(&bobs, Limit::MAX, None).await.unwrap()),
                1 => drop(store.get(&bobs, None).await.unwrap()),
                2 => drop(store.history(&bobs, Range::After(0), Limit::MAX, None).await.unwrap()),
                3 => drop(
                    store.adjacent_to(&bobs, &Anchor::After(item.clone()), Limit::MAX, None).await.unwrap(),
                ),
                4 => drop(store.message(&bobs, &item).await.unwrap()),
                5 => drop(
                    store
                        .update(
                            &bobs,
                            &Change::from(ConversationFields {
                                metadata: Some(Metadata::default()),
                                ..ConversationFields::default()
                            }),
                        )
                        .await,
                ),
                6 => drop(store.delete_message(&bobs, &item, Precondition::None).await),
                _ => drop(store.delete(&bobs, Precondition::None).await),
            }
            requests.push(failpoint.requests());
        }
        requests
    };
    // A script goes with its text the first time that a server is asked for it.
    count("before").await;
    let (somebodys, nobodys) = (count("c").await, count("x").await);
    assert_eq!(somebodys, nobodys);
    assert!(nobodys.iter().all(|requests| *requests > 0), "{nobodys:?}");
}
