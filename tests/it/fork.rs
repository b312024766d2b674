//! Forks: conversations that begin as copies of others.

use conversation_tests::{Answer, Api, Profile, Stack, in_each_profile};
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::long::grown;
use crate::openai::{ITEMS, MESSAGES};

in_each_profile!(
    a_fork_has_the_messages_up_to_its_position_and_then_its_own,
    what_cannot_be_forked_is_said_by_name_and_leaves_nothing,
);

const CONVERSATIONS: &str = "/v1/conversations";

async fn create(api: &Api, body: Value) -> Answer {
    api.post(CONVERSATIONS, body.to_string()).await
}

/// A conversation of these messages.
async fn origin(api: &Api, ids: &[&str]) {
    let messages: Vec<_> = ids.iter().map(|id| json!({"id":id,"role":"user","content":id})).collect();
    let body = json!({"id":"c","title":"t","metadata":{"k":"v"},"messages":messages});
    assert_eq!(create(api, body).await.status, 200);
}

/// The messages of a conversation as they are answered, from both stores.
async fn messages(api: &Api, id: &str) -> Vec<String> {
    let path = format!("{CONVERSATIONS}/{id}/messages");
    let recent = api.get(&path).await;
    assert_eq!(api.get(&path).await.messages(), recent.messages());
    assert_eq!(api.get(&format!("{path}?after=0")).await.messages(), recent.messages());
    recent.messages()
}

async fn a_fork_has_the_messages_up_to_its_position_and_then_its_own(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let api = stack.api().await;
    origin(&api, &["a", "b", "c", "d"]).await;
    assert_eq!(api.delete(&format!("{ITEMS}/b")).await.status, 200);
    let all = messages(&api, "c").await;
    for (at, held) in [(0, 0), (1, 1), (2, 1), (3, 2), (4, 3)] {
        let id = format!("f{at}");
        let fork = create(&api, json!({"id":id,"fork_of":"c","at":at})).await;
        assert_eq!(fork.status, 200, "{fork:?}");
        let fields = ["/title", "/metadata/k", "/forked_from"].map(|field| fork.at(field));
        assert_eq!(fields, ["t", "v", "c"], "{fork:?}");
        let numbers = ["/forked_at", "/message_count", "/version"].map(|field| fork.number(field));
        assert_eq!(numbers, [at, i64::try_from(held).unwrap(), 1]);
        assert!(api.get(&format!("{CONVERSATIONS}/{id}/messages")).await.is_hit(), "it is in the cache");
        assert_eq!(messages(&api, &id).await, all[..held]);
        // It goes on by itself, where its origin was.
        let added =
            api.post(&format!("{CONVERSATIONS}/{id}/messages"), r#"{"role":"user","content":"x"}"#).await;
        assert_eq!(added.seqs(), [at + 1]);
        assert_eq!(messages(&api, &id).await.len(), held + 1);
        assert_eq!(messages(&api, "c").await, all);
    }
    // All of it, under a name of its own, with what it is to begin with besides: an edit that keeps what it replaces.
    let edit = json!({"id":"e","fork_of":"c","title":"mine","metadata":{"k":"w"},
        "messages":[{"id":"d","role":"user","content":"conflict?"}]});
    let refused = create(&api, edit.clone()).await;
    assert_eq!(
        (refused.status, refused.at("/error/code").as_str()),
        (409, "message_conflict"),
        "{refused:?}"
    );
    assert_eq!(refused.at("/error/param"), "messages[0].id");
    let mut edit = edit;
    edit["at"] = 3.into();
    let edited = create(&api, edit).await;
    assert_eq!([edited.at("/title"), edited.at("/metadata/k")], ["mine", "w"], "{edited:?}");
    assert_eq!(api.get(&format!("{CONVERSATIONS}/e/messages")).await.seqs(), [1, 3, 4]);
    let whole = create(&api, json!({"id":"w","fork_of":"c"})).await;
    assert_eq!((whole.number("/forked_at"), messages(&api, "w").await), (4, all));
    // A copy stays when its origin goes, and a fork of a fork is one.
    assert_eq!(api.delete("/v1/conversations/c").await.status, 200);
    assert_eq!(messages(&api, "w").await.len(), 3);
    let second = create(&api, json!({"id":"s","fork_of":"w","at":1})).await;
    assert_eq!((second.at("/forked_from"), second.number("/message_count")), ("w".into(), 1));
}

#[tokio::test]
async fn a_fork_under_a_key_is_made_once() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    origin(&api, &["a", "b"]).await;
    let under = async |body: Value| {
        let request = api.request("POST", CONVERSATIONS).header("idempotency-key", "k");
        api.send(request.header(CONTENT_TYPE, "application/json").body(body.to_string())).await
    };
    let first = under(json!({"fork_of":"c","at":1})).await;
    assert_eq!((first.status, first.number("/message_count")), (200, 1), "{first:?}");
    assert_eq!(under(json!({"fork_of":"c","at":1.0})).await.at("/id"), first.at("/id"));
    for other in
        [json!({"fork_of":"c","at":2}), json!({"fork_of":"c"}), json!({}), json!({"fork_of":"d","at":1})]
    {
        assert_eq!(under(other).await.at("/error/code"), "idempotency_conflict");
    }
    for at in [json!({"fork_of":"c","at":2}), json!({"fork_of":"c"})] {
        assert_eq!(under(at).await.at("/error/param"), "at");
    }
}

#[tokio::test]
async fn forks_are_listed_by_their_origin() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    origin(&api, &["a"]).await;
    for id in ["x", "y", "z"] {
        create(
            &api,
            json!({"id":id,"fork_of":"c","metadata":{"kind":if id == "y" { "odd" } else { "even" }}}),
        )
        .await;
    }
    create(&api, json!({"id":"xx","fork_of":"x"})).await;
    let listed = async |query: &str| -> Vec<String> {
        let answer = api.get(&format!("{CONVERSATIONS}?{query}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = answer.json();
        body["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed("forked_from=c").await, ["z", "y", "x"]);
    assert_eq!(listed("forked_from=c&order=asc&limit=2").await, ["x", "y"]);
    assert_eq!(listed("forked_from=x").await, ["xx"]);
    assert_eq!(listed("forked_from=c&metadata[kind]=even").await, ["z", "x"]);
    assert_eq!(listed("forked_from=nobody").await, [""; 0]);
    let first = api.get(&format!("{CONVERSATIONS}?forked_from=c&limit=2")).await.at("/after");
    assert_eq!(listed(&format!("forked_from=c&after={first}")).await, ["x"]);
    let refused = api.get(&format!("{CONVERSATIONS}?forked_from=a/b")).await;
    assert_eq!((refused.status, refused.at("/error/param").as_str()), (400, "forked_from"));
    // What is deleted is no fork any more.
    api.delete("/v1/conversations/y").await;
    assert_eq!(listed("forked_from=c").await, ["z", "x"]);
}

async fn what_cannot_be_forked_is_said_by_name_and_leaves_nothing(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let api = stack.api().await;
    origin(&api, &["a", "b"]).await;
    create(&api, json!({"id":"gone"})).await;
    api.delete("/v1/conversations/gone").await;
    let foreign = api.request("POST", CONVERSATIONS).header("x-owner-id", "bob");
    let foreign = foreign.header(CONTENT_TYPE, "application/json").body(r#"{"id":"f","fork_of":"c"}"#);
    assert_eq!(api.send(foreign).await.status, 404);
    for (body, status, code, param) in [
        (json!({"id":"f","fork_of":"nobody"}), 404, "conversation_not_found", "fork_of"),
        (json!({"id":"f","fork_of":"gone"}), 404, "conversation_not_found", "fork_of"),
        (json!({"id":"f","fork_of":"f"}), 404, "conversation_not_found", "fork_of"),
        (json!({"id":"f","fork_of":"c","at":3}), 400, "out_of_range", "at"),
        (json!({"id":"f","fork_of":"c","at":-1}), 400, "out_of_range", "at"),
        (json!({"id":"f","fork_of":"c","at":"1"}), 400, "out_of_range", "at"),
        (json!({"id":"f","fork_of":"c","at":1.5}), 400, "out_of_range", "at"),
        (json!({"id":"f","at":1}), 400, "missing", "fork_of"),
        (json!({"id":"f","fork_of":7}), 400, "invalid_type", "fork_of"),
        (json!({"id":"f","fork_of":"a b"}), 400, "invalid_id", "fork_of"),
        (json!({"id":"c","fork_of":"c"}), 409, "conversation_exists", "id"),
        (json!({"id":"gone","fork_of":"c"}), 409, "conversation_deleted", "conversation_id"),
    ] {
        let answer = create(&api, body.clone()).await;
        let seen = (answer.status, answer.at("/error/code"), answer.at("/error/param"));
        assert_eq!(seen, (status, code.to_owned(), param.to_owned()), "{body}: {answer:?}");
        assert_eq!(api.get("/v1/conversations/f").await.status, 404, "{body}");
    }
    assert_eq!(create(&api, json!({"id":"f","fork_of":"c"})).await.status, 200, "its id is free");
    assert_eq!(api.get(MESSAGES).await.seqs(), [1, 2]);
}

#[tokio::test]
async fn what_is_too_long_is_not_forked() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    grown(&stack, &mut stack.postgres().await, 10_001).await;
    let long = create(&api, json!({"id":"f","fork_of":"c"})).await;
    assert_eq!((long.status, long.at("/error/code").as_str()), (413, "fork_too_large"), "{long:?}");
    let fits = create(&api, json!({"id":"f","fork_of":"c","at":10_000})).await;
    assert_eq!((fits.status, fits.number("/message_count")), (200, 10_000), "{fits:?}");
    let recent = api.get("/v1/conversations/f/messages").await;
    assert_eq!(recent.seqs(), (9_901..=10_000).collect::<Vec<_>>());
}
