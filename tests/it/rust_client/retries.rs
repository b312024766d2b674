//! What becomes of requests when answers are lost, or are no good ones.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use conversation_client::{
    Auth, CONTRACT_VERSION, Change, Client, ClientBuilder, Error, TransportFailure, Written,
};
use conversation_tests::{Stack, free_port};
use serde_json::json;

use super::{ann, says};
use crate::faults::{Fault, Faulty};

/// A write to a conversation, and a number in its answer that another write of the same would change.
type Write = fn(Client, &'static str) -> Pin<Box<dyn Future<Output = Result<u64, Error>> + Send>>;

const KEYED: [Write; 9] = [
    |store, id| {
        let question = json!({ "role": "user", "content": "once" });
        Box::pin(async move { Ok(store.add_messages(id, [question]).await?.data[0].seq()) })
    },
    |store, id| Box::pin(async move { Ok(store.replace_messages(id, 1).if_match(1).await?.deleted) }),
    |store, id| {
        Box::pin(async move { Ok(store.update_conversation(id).title("t").if_match(1).await?.version) })
    },
    |store, id| {
        let item = json!({ "type": "message", "role": "user", "content": "once" });
        Box::pin(async move { Ok(store.add_items(id, [item]).if_match(1).await?.version) })
    },
    |store, id| Box::pin(async move { Ok(store.put_record(id, "new", "x").if_absent().await?.revision) }),
    |store, id| Box::pin(async move { Ok(store.put_record(id, "what?", "x").if_absent().await?.revision) }),
    |store, id| {
        let changes = [Change::put("new", "x").if_absent(), Change::delete("there").if_match(1)];
        Box::pin(async move {
            let written = store.write_records(id, changes).await?;
            Ok(if let Written::Deleted(deletion) = &written[1] { deletion.deleted } else { 9 })
        })
    },
    |store, id| Box::pin(async move { Ok(store.delete_record(id, "there").if_match(1).await?.deleted) }),
    |store, id| Box::pin(async move { Ok(store.delete_records(id, "th").await?.deleted) }),
];

/// Writes that need no key: to delete again answers the same.
const DELETIONS: [Write; 2] = [
    |store, id| Box::pin(async move { Ok(store.delete_item(id, "m1").await?.message_count) }),
    |store, id| Box::pin(async move { store.delete_conversation(id).await.map(|()| 0) }),
];

/// A stack, and a client behind a server that fails.
macro_rules! faulty {
    ($store:ident, $faulty:ident, $lossy:ident) => {
        let stack = Stack::start().await;
        let api = stack.api().await;
        let $store = ann(&api);
        let $faulty = Faulty::before(&api.url()).await;
        let $lossy = || -> ClientBuilder { Client::builder($faulty.url()).owner("ann") };
    };
}

/// The number of different headers among these, and of all.
fn counts(values: &[String]) -> (usize, usize) {
    (values.iter().collect::<BTreeSet<_>>().len(), values.len())
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_done_once() {
    faulty!(store, faulty, lossy);
    let lossy = lossy().build().unwrap();
    let names: Vec<&'static str> = (0..2 * (KEYED.len() + DELETIONS.len()))
        .map(|number| &*Box::leak(format!("c{number}").into_boxed_str()))
        .collect();
    for (write, pair) in KEYED.iter().chain(&DELETIONS).zip(names.chunks(2)) {
        for id in pair {
            let create = store.create_conversation().id(*id).records([Change::put("there", "x")]);
            create.messages([says("m1", "user", "1"), says("m2", "user", "2")]).await.unwrap();
        }
        faulty.set(&[Fault::LoseAnswer, Fault::CutAnswer]);
        let twice = write(lossy.clone(), pair[0]).await.unwrap();
        assert_eq!(twice, write(store.clone(), pair[1]).await.unwrap(), "{}", faulty.heads()[0]);
        assert_eq!(counts(&faulty.header("idempotency-key")), (1, 3), "{}", faulty.heads()[0]);
    }
    faulty.set(&[Fault::LoseAnswer]);
    let created = lossy.create_conversation().metadata([("only", "one")]).await.unwrap();
    let listed = store.list_conversations().metadata("only", "one").await.unwrap();
    assert_eq!(listed.data, [created], "without an id of its own, too");
    faulty.set(&[Fault::LoseRequest]);
    lossy
        .add_messages("new", [json!({ "role": "user", "content": "once" })])
        .idempotency_key("mine")
        .await
        .unwrap();
    assert_eq!(faulty.header("idempotency-key"), ["mine", "mine"]);
    assert_eq!(store.get_conversation("new").await.unwrap().message_count, 1);
}

#[tokio::test]
async fn each_call_has_a_key_of_its_own() {
    faulty!(store, faulty, lossy);
    let lossy = lossy().build().unwrap();
    for _ in 0..2 {
        lossy.add_messages("trip", [json!({ "role": "user", "content": "again" })]).await.unwrap();
    }
    assert_eq!(counts(&faulty.header("idempotency-key")), (2, 2));
    assert_eq!(store.get_conversation("trip").await.unwrap().message_count, 2);
    faulty.set(&[]);
    lossy.put_record("trip", "a", "x").without_idempotency_key().await.unwrap();
    lossy.list_messages("trip").await.unwrap();
    assert_eq!(faulty.header("idempotency-key"), ["", ""]);
    faulty.set(&[Fault::LoseAnswer]);
    let twice = lossy.put_record("trip", "b", "x").if_absent().without_idempotency_key().await.unwrap_err();
    assert!(matches!(twice, Error::RevisionMismatch { revision: 2, .. }), "what a key prevents: {twice}");
}

const UNAVAILABLE: &str = r#"{"error":{"message":"Try again.","code":"unavailable"}}"#;

#[tokio::test]
async fn a_pause_is_as_long_as_the_server_asks_for() {
    faulty!(store, faulty, lossy);
    let lossy = lossy().build().unwrap();
    store.create_conversation().id("trip").await.unwrap();
    let began = Instant::now();
    faulty.set(&[Fault::Answer(503, "retry-after: 1\r\n", UNAVAILABLE), Fault::Answer(429, "", "")]);
    lossy.get_conversation("trip").await.unwrap();
    assert!(began.elapsed() > Duration::from_secs(1) && faulty.heads().len() == 3);
}

#[tokio::test]
async fn some_answers_are_final() {
    faulty!(_store, faulty, lossy);
    let lossy = lossy().build().unwrap();
    for (status, headers) in [
        (503, "x-should-retry: false\r\nretry-after: 1\r\n"),
        (503, "retry-after: 3600\r\n"),
        (500, ""),
        (409, ""),
    ] {
        faulty.set(&[Fault::Answer(status, headers, UNAVAILABLE)]);
        let error = lossy.add_messages("trip", [says("m", "user", "?")]).await.unwrap_err();
        assert_eq!(error.problem().map(|problem| problem.status), Some(status), "{error}");
        assert_eq!(faulty.heads().len(), 1, "{headers}");
    }
    faulty.set(&[Fault::Answer(200, "", "no JSON")]);
    let error = lossy.health().await.unwrap_err();
    assert!(matches!(error, Error::Unexpected(_)), "{error}");
}

#[tokio::test]
async fn retries_end() {
    faulty!(_store, faulty, lossy);
    faulty.set(&[Fault::LoseRequest; 3]);
    let error = lossy().retries(2).build().unwrap().health().await.unwrap_err();
    let Error::Transport(lost) = &error else { panic!("{error}") };
    assert!(matches!(lost.failure, TransportFailure::Lost(_)), "{lost}");
    assert!(lost.request.ends_with("/v1/health") && faulty.heads().len() == 3, "{lost}");

    faulty.set(&[Fault::Answer(502, "", "<html>"); 2]);
    let error = lossy().retries(1).build().unwrap().health().await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(problem) if problem.status == 502), "{error}");

    faulty.set(&[Fault::Silence]);
    let hasty = lossy().retries(0).timeout(Duration::from_millis(300)).build().unwrap();
    let error = hasty.health().await.unwrap_err();
    assert!(error.to_string().ends_with("no answer within 300ms"), "{error}");

    let nobody = Client::builder(format!("http://127.0.0.1:{}", free_port())).retries(1).build().unwrap();
    let error = nobody.health().await.unwrap_err();
    assert!(error.to_string().contains("cannot connect"), "{error}");
}

#[tokio::test]
async fn connections_are_used_again_while_they_are_open() {
    faulty!(_store, faulty, lossy);
    let lossy = lossy().retries(0).build().unwrap();
    for _ in 0..3 {
        faulty.set(&[Fault::Close]);
        lossy.health().await.unwrap();
        // The end of the connection is on its way.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for _ in 0..5 {
        lossy.health().await.unwrap();
    }
    assert_eq!(faulty.connections(), 4);
}

#[tokio::test]
async fn another_major_version_of_the_contract_is_an_error() {
    faulty!(_store, faulty, lossy);
    let healthy = r#"{"status":"ok","version":"9.1.0"}"#;
    let other = Fault::Answer(200, "x-contract-version: 9.1.0\r\n", healthy);
    let client = lossy().build().unwrap();
    for _ in 0..2 {
        faulty.set(&[other]);
        let error = client.health().await.unwrap_err();
        let Error::Incompatible { server, client } = &error else { panic!("{error}") };
        assert_eq!((server.as_str(), *client), ("9.1.0", CONTRACT_VERSION));
        assert!(error.to_string().contains("9.1.0") && error.to_string().contains(CONTRACT_VERSION));
    }
    client.health().await.unwrap();
    faulty.set(&[other]);
    assert_eq!(client.health().await.unwrap().version, "9.1.0", "only the first version counts");
    faulty.set(&[other]);
    assert_eq!(lossy().check_version(false).build().unwrap().health().await.unwrap().version, "9.1.0");
    faulty.set(&[Fault::Answer(403, "", r#"{"message":"Forbidden"}"#)]);
    let error = lossy().build().unwrap().health().await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized(_)), "a gateway says nothing of the server: {error}");
}

#[tokio::test]
async fn a_token_is_asked_for_with_each_attempt() {
    faulty!(_store, faulty, lossy);
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let tokens =
        Auth::provider(async || Ok::<_, Error>(format!("token-{}", ASKED.fetch_add(1, Ordering::SeqCst))));
    let lossy = lossy().auth(tokens).build().unwrap();
    faulty.set(&[Fault::LoseRequest]);
    lossy.health().await.unwrap();
    assert_eq!(faulty.header("authorization"), ["Bearer token-0", "Bearer token-1"]);
    assert_eq!(faulty.header("x-owner-id"), ["ann", "ann"]);
}
