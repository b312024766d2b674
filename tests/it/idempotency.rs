//! Requests under an `Idempotency-Key`: done once, however often and wherever they are tried.

use conversation_core::{Change, ConversationFields, Error, IdempotencyKey, NewConversation, OwnerId, Title};
use conversation_tests::{
    Answer, Api, Failpoint, LinkFault, Loss, OWNER, Profile, Stack, batch, in_each_profile, key, user,
    user_as,
};
use futures_util::future::join_all;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;

in_each_profile!(
    a_request_is_answered_again_as_it_was_and_done_once,
    a_key_stands_for_one_request_of_one_owner,
    a_late_retry_undoes_nothing,
    of_concurrent_tries_one_is_done_and_all_are_answered,
    a_try_whose_answer_was_lost_is_told_by_the_next,
);

const CONVERSATIONS: &str = "/v1/conversations";
const MESSAGES: &str = "/v1/conversations/c/messages";
const ITEMS: &str = "/v1/conversations/c/items";

async fn post(api: &Api, path: &str, key: &str, body: &str) -> Answer {
    let request = api.request("POST", path).header(CONTENT_TYPE, "application/json");
    api.send(request.header("Idempotency-Key", key).body(body.to_owned())).await
}

fn under(name: &str) -> Option<IdempotencyKey> {
    Some(IdempotencyKey::new(name).unwrap())
}

fn refused(answer: &Answer, param: &str) {
    assert_eq!((answer.status, answer.at("/error/code")), (409, "idempotency_conflict".into()), "{answer:?}");
    assert_eq!(answer.at("/error/param"), param);
}

async fn a_request_is_answered_again_as_it_was_and_done_once(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let api = stack.api().await;
    let (one, two) = (user("one"), user("two"));
    let opening = json!({"title":"t","messages":[{"role":"user","content":"hi"}]}).to_string();
    let items = json!({"items":[{"role":"user","content":"item"}]}).to_string();
    let pair = format!(r#"{{"messages":[{one},{two}]}}"#);
    assert_eq!(api.post(CONVERSATIONS, r#"{"id":"c"}"#).await.status, 200);
    for (at, (path, body)) in [
        (CONVERSATIONS, opening.as_str()),
        (CONVERSATIONS, "{}"),
        (MESSAGES, &one),
        (MESSAGES, &pair),
        (ITEMS, &items),
        ("/v1/conversations/c", r#"{"title":"x","metadata":{"a":"b"}}"#),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("request-{at}");
        let first = post(&api, path, &name, body).await;
        assert_eq!(first.status, 200, "{first:?}");
        let again = post(&api, path, &name, body).await;
        assert_eq!((again.status, &again.text), (200, &first.text));
    }
    let read = api.get(MESSAGES).await;
    assert_eq!((read.is_hit(), read.seqs()), (true, vec![1, 2, 3, 4]), "{read:?}");
    assert_eq!(api.get(CONVERSATIONS).await.json()["data"].as_array().unwrap().len(), 3);
}

async fn a_key_stands_for_one_request_of_one_owner(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let api = stack.api().await;
    let (one, two) = (user("one"), user("two"));
    assert_eq!(post(&api, MESSAGES, "k", &one).await.status, 200);
    // Where it is the same kind of request, it is said at which path it differs.
    for (path, body, param) in [
        (MESSAGES, two.as_str(), "content"),
        ("/v1/conversations/d/messages", one.as_str(), "idempotency-key"),
        (ITEMS, &json!({"items":[{"role":"user","content":"one"}]}).to_string(), "idempotency-key"),
        ("/v1/conversations/c", r#"{"title":"one"}"#, "idempotency-key"),
        (CONVERSATIONS, "{}", "idempotency-key"),
        (CONVERSATIONS, r#"{"id":"d"}"#, "idempotency-key"),
    ] {
        refused(&post(&api, path, "k", body).await, param);
    }
    assert_eq!(post(&api, "/v1/conversations/c", "untitled", r#"{"title":null}"#).await.status, 200);
    refused(&post(&api, "/v1/conversations/c", "untitled", r#"{"title":""}"#).await, "title");
    // What was refused left nothing behind.
    assert_eq!(api.get("/v1/conversations/d").await.status, 404);
    assert_eq!(api.get("/v1/conversations/c").await.number("/version"), 2);
    let request = api.request("POST", MESSAGES).header(CONTENT_TYPE, "application/json");
    let bob = api.send(request.header("idempotency-key", "k").header("x-owner-id", "bob").body(two)).await;
    assert_eq!((bob.status, bob.seqs()), (200, vec![1]));

    for bad in ["", "a b", "\u{e9}", &"k".repeat(256)] {
        let answer = post(&api, MESSAGES, bad, &one).await;
        assert_eq!((answer.status, answer.at("/error/code")), (400, "invalid_idempotency_key".into()));
    }
}

async fn a_late_retry_undoes_nothing(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let api = stack.api().await;
    assert_eq!(api.post(CONVERSATIONS, r#"{"id":"c"}"#).await.status, 200);
    let rename = |title: &str| json!({ "title": title }).to_string();
    assert_eq!(post(&api, "/v1/conversations/c", "a", &rename("first")).await.status, 200);
    assert_eq!(post(&api, "/v1/conversations/c", "b", &rename("second")).await.status, 200);
    let late = post(&api, "/v1/conversations/c", "a", &rename("first")).await;
    assert_eq!((late.at("/title"), late.number("/version")), ("second".into(), 3));

    let pair = format!(r#"{{"messages":[{},{}]}}"#, user("one"), user_as("two", "two"));
    let added = post(&api, MESSAGES, "pair", &pair).await;
    assert_eq!(api.delete(&format!("{ITEMS}/{}", added.at("/data/0/id"))).await.status, 200);
    let late = post(&api, MESSAGES, "pair", &pair).await;
    assert_eq!((late.seqs(), late.at("/data/0/id")), (vec![2], "two".into()), "a deleted message came back");
    assert_eq!(api.get(MESSAGES).await.seqs(), [2]);

    assert_eq!(api.delete("/v1/conversations/c").await.status, 200);
    let late = post(&api, MESSAGES, "pair", &pair).await;
    assert_eq!((late.status, late.at("/error/code")), (409, "conversation_deleted".into()));
    let keys = "select count(*) from idempotency_keys";
    assert_eq!(sqlx::query_scalar::<_, i64>(keys).fetch_one(&mut stack.postgres().await).await.unwrap(), 0);
}

async fn of_concurrent_tries_one_is_done_and_all_are_answered(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let (ours, theirs) = (stack.store(), stack.store());
    let create = |at: usize| {
        let store = if at.is_multiple_of(2) { &ours } else { &theirs };
        let messages = batch([user("hi"), user("there")]).under(under("create"));
        let new = NewConversation { fork: None, id: None, fields: ConversationFields::default(), messages };
        store.create(OwnerId::new(OWNER).unwrap(), new)
    };
    let created: Vec<_> =
        join_all((0..40).map(create)).await.into_iter().map(|created| created.unwrap()).collect();
    assert!(created.iter().all(|other| other.messages == created[0].messages), "{created:?}");
    assert!(created.iter().all(|other| other.conversation.id == created[0].conversation.id));

    // One key for the adds to many conversations: one of them has it.
    let add = |at: usize| {
        let store = if at.is_multiple_of(2) { &ours } else { &theirs };
        async move { store.add(&key(&format!("c{at}")), &batch([user("x")]).under(under("add"))).await }
    };
    let added = join_all((0..40).map(add)).await;
    assert_eq!(added.iter().filter(|added| added.is_ok()).count(), 1);
    assert!(
        added
            .iter()
            .flat_map(|added| added.as_ref().err())
            .all(|error| matches!(error, Error::IdempotencyConflict { .. }))
    );
    let counts: (i64, i64) =
        sqlx::query_as("select (select count(*) from conversations), (select count(*) from messages)")
            .fetch_one(&mut stack.postgres().await)
            .await
            .unwrap();
    assert_eq!(counts, (2, 3));
}

async fn a_try_whose_answer_was_lost_is_told_by_the_next(profile: Profile) {
    let stack = Stack::in_profile(profile).await;
    let patient = stack.store();
    let title = Title::new("t").unwrap();
    let mut unknown = 0;
    // Each request in turn, and again where scripts that were forgotten moved the commits to other places.
    for at in 0..60 {
        if at >= 12 && unknown >= 2 {
            break;
        }
        let (passes, c, name) = (at % 12, key(&format!("c{at}")), format!("k{at}"));
        let messages = batch([user("one"), user("two")]).under(under(&name));
        let rename = Change {
            fields: ConversationFields { title: Some(Some(title.clone())), ..ConversationFields::default() },
            idempotency_key: under(&format!("{name}-rename")),
            ..Change::default()
        };
        // The first tries, in the course of which one reply is lost, of Redis or of Postgres.
        let failpoint = Failpoint::new(LinkFault::LoseReply, Loss::Close);
        let (store, _proxies) = stack.store_behind(&failpoint).await;
        failpoint.set(passes);
        let (added, renamed) = (store.add(&c, &messages).await, store.update(&c, &rename).await);
        unknown += [added.err(), renamed.err()].iter().flatten().filter(|error| is_unknown(error)).count();
        let added = patient.add(&c, &messages).await.unwrap();
        let renamed = patient.update(&c, &rename).await.unwrap();
        assert_eq!(added.messages.iter().map(conversation_core::Message::seq).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((renamed.conversation.version, renamed.conversation.message_count), (2, 2), "{passes}");
    }
    assert!(unknown >= 2, "no commit lost its reply");
}

fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::OutcomeUnknown(_))
}
