//! The client for Rust, on the whole contract once.

mod retries;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use conversation_client::{
    Auth, Bytes, CONTRACT_VERSION, Change, Client, Error, Match, Message, MessagePage, Method, Order, Record,
    Request, Scope, Written,
};
use conversation_local::{without_cargo_variables, workspace};
use conversation_tests::{Api, Stack, acceptor, certificates};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A client of an API, as ann.
fn ann(api: &Api) -> Client {
    Client::builder(api.url()).owner("ann").build().unwrap()
}

fn says(id: &str, role: &str, content: &str) -> Value {
    json!({ "id": id, "role": role, "content": content })
}

fn seqs(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(Message::seq).collect()
}

fn contents(page: &MessagePage) -> Vec<String> {
    let content =
        |message: &Message| message.parse::<Value>().unwrap()["content"].as_str().unwrap().to_owned();
    page.data.iter().map(content).collect()
}

/// The keys and texts of records.
fn texts(records: &[Record]) -> Vec<(&str, &str)> {
    records.iter().map(|record| (record.key.as_str(), record.text().unwrap())).collect()
}

#[tokio::test]
async fn conversations_are_created_read_listed_changed_and_deleted() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let store = ann(&api);
    let messages = [says("m1", "user", "Hello!"), says("m2", "assistant", "Hi!")];
    let trip = store.create_conversation().id("trip").title("A trip").metadata([("channel", "web")]);
    let trip = trip.messages(messages).records([Change::put("state", "asked")]).await.unwrap();
    assert_eq!((trip.id.as_str(), trip.title.as_deref(), trip.message_count), ("trip", Some("A trip"), 2));
    assert_eq!(store.get_record("trip", "state").await.unwrap().text(), Ok("asked"));
    let given =
        store.create_conversation().items([json!({ "type": "reasoning", "summary": [] })]).await.unwrap();
    assert!(given.id.starts_with("conv_") && given.message_count == 1);
    let there = store.create_conversation().id("trip").if_absent().await.unwrap_err();
    assert!(matches!(there, Error::VersionMismatch { version: 1, .. }), "{there}");

    let changed = store.update_conversation("trip").title("Lisbon").no_metadata().if_match(trip.version);
    let changed = changed.await.unwrap();
    assert_eq!((changed.title.as_deref(), changed.metadata.len()), (Some("Lisbon"), 0));
    let late = store.update_conversation("trip").no_title().if_match(trip.version).await.unwrap_err();
    assert!(matches!(late, Error::VersionMismatch { version, .. } if version == changed.version), "{late}");
    let untitled = store.update_conversation("trip").no_title().metadata([("a", "b")]).if_match(Match::Any);
    let untitled = untitled.await.unwrap();
    assert_eq!((untitled.title, untitled.metadata["a"].as_str()), (None, "b"));
    let read = store.get_conversation("trip").min_version(untitled.version).await.unwrap();
    assert_eq!(read.version, untitled.version);
    assert!(store.get_conversation("trip").if_none_match(read.version).await.unwrap().is_none());
    assert!(store.get_conversation("trip").if_none_match(trip.version).await.unwrap().is_some());
    let ahead = store.get_conversation("trip").min_version(99).await.unwrap_err();
    assert_eq!((ahead.code(), matches!(ahead, Error::Conflict(_))), (Some("version_ahead"), true));

    let fork =
        store.create_conversation().id("fork").fork_of("trip").at(1).records_prefix("none/").await.unwrap();
    assert_eq!((fork.forked_from.as_deref(), fork.forked_at, fork.message_count), (Some("trip"), Some(1), 1));
    assert!(store.list_records("fork").await.unwrap().data.is_empty());
    let forks = store.list_conversations().forked_from("trip").await.unwrap();
    assert_eq!(forks.data.len(), 1);
    let filtered = store.list_conversations().metadata("a", "b").await.unwrap();
    assert_eq!(
        filtered.data.iter().map(|each| each.id.as_str()).collect::<BTreeSet<_>>(),
        ["fork", "trip"].into()
    );
    let (mut pages, mut listed) =
        (store.list_conversations().limit(1).order(Order::Ascending).pages(), Vec::new());
    while let Some(page) = pages.next().await.unwrap() {
        listed.extend(page.data.into_iter().map(|each| each.id));
    }
    assert_eq!(listed, [given.id.as_str(), "trip", "fork"]);
    let first = store.list_conversations().limit(1).await.unwrap();
    let second = store.list_conversations().limit(1).after(first.after.unwrap()).await.unwrap();
    let back = store.list_conversations().limit(1).before(second.before.unwrap()).await.unwrap();
    assert_eq!((second.data[0].id.as_str(), back.data[0].id.as_str()), ("trip", "fork"));

    store.delete_conversation("trip").if_match(untitled.version).await.unwrap();
    store.delete_conversation("trip").await.unwrap();
    assert!(matches!(store.get_conversation("trip").await.unwrap_err(), Error::NotFound(_)));
    let gone = store.add_messages("trip", [says("m3", "user", "?")]).await.unwrap_err();
    assert_eq!((gone.code(), matches!(gone, Error::Conflict(_))), (Some("conversation_deleted"), true));
}

#[tokio::test]
async fn messages_are_added_read_and_replaced() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let store = ann(&api);
    let batch = [says("m1", "user", "Hello!"), says("m2", "assistant", "Hi!")];
    let added = store.add_messages("trip", &batch).if_absent().await.unwrap();
    assert_eq!((added.id.as_str(), seqs(&added.data), added.deleted), ("trip", vec![1, 2], 0));
    assert_eq!(seqs(&store.add_messages("trip", &batch[..1]).await.unwrap().data), [1], "it is stored once");
    let recent = store.list_messages("trip").min_version(added.version).await.unwrap();
    assert_eq!((contents(&recent), recent.version), (vec!["Hello!".into(), "Hi!".into()], added.version));
    assert!(recent.data[0].id() == "m1" && recent.data[0].created_at() > 1_700_000_000);
    assert!(store.list_messages("trip").if_none_match(recent.version).await.unwrap().is_none());
    let answers = store.list_messages("trip").start_on("assistant").await.unwrap();
    assert_eq!(seqs(&answers.data), [2]);
    for (from_the_beginning, expected) in [(true, [1, 2]), (false, [2, 1])] {
        let list = store.list_messages("trip").limit(1);
        let mut pages = if from_the_beginning { list.after(0) } else { list }.pages();
        let mut read = Vec::new();
        while let Some(page) = pages.next().await.unwrap() {
            read.extend(seqs(&page.data));
        }
        assert_eq!(read, expected);
    }
    assert_eq!(seqs(&store.list_messages("trip").before(2).await.unwrap().data), [1]);

    let state = [Change::put("state", "edited").if_absent()];
    let edited = store.replace_messages("trip", 1).messages([json!({ "role": "user", "content": "Hey!" })]);
    let edited = edited.records(state).if_match(recent.version).await.unwrap();
    assert_eq!((edited.deleted, seqs(&edited.data)), (1, vec![3]));
    let Some(Written::Stored(record)) = edited.records.first() else { panic!("{edited:?}") };
    assert_eq!((record.key.as_str(), record.size), ("state", 6));
    let late = store.replace_messages("trip", 0).if_match(recent.version).await.unwrap_err();
    assert!(matches!(late, Error::VersionMismatch { version, .. } if version == edited.version), "{late}");
    let both = [Change::delete("other"), Change::put("state", "?").if_absent()];
    let refused = store.add_messages("trip", [says("m4", "user", "?")]).records(both).await.unwrap_err();
    assert!(matches!(refused, Error::RevisionMismatch { revision: 1, at: Some(1), .. }), "{refused}");
    assert_eq!(store.replace_messages("trip", 0).await.unwrap().deleted, 2);
    assert!(store.list_messages("trip").await.unwrap().data.is_empty());
}

/// What a parser of JSON would change: the order of keys, numbers, escapes, spaces, and a string that was cut through a character.
#[tokio::test]
async fn messages_are_kept_to_the_byte() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let store = ann(&api);
    let sent = r#"{"z":1e2, "role":"user","content":"\u00e9\/\u0000 \ud83d","a":123456789012345678901234567890,"id":"m"}"#;
    let raw: &RawValue = serde_json::from_str(sent).unwrap();
    store.add_messages("trip", [raw]).await.unwrap();
    for read in [store.list_messages("trip"), store.list_messages("trip").after(0)] {
        let page = read.await.unwrap();
        let [message] = &page.data[..] else { panic!("{page:?}") };
        assert!(message.json().ends_with(&sent[1..]) && message.id() == "m", "{}", message.json());
        // What was read can be put back.
        assert_eq!(seqs(&store.add_messages("trip", [message]).await.unwrap().data), [1]);
        assert_eq!(seqs(&store.add_messages("copy", page.data).await.unwrap().data), [1]);
    }
    let copy = store.list_messages("copy").await.unwrap();
    assert!(copy.data[0].json().contains(r#""content":"\u00e9\/\u0000 \ud83d""#), "{}", copy.data[0].json());
}

#[tokio::test]
async fn items_are_added_listed_read_and_deleted() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let store = ann(&api);
    store.create_conversation().id("trip").await.unwrap();
    let call = json!({ "type": "function_call", "call_id": "call-1", "name": "weather", "arguments": "{}" });
    let question = json!({ "type": "message", "role": "user", "content": "Hello!" });
    let added = store.add_items("trip", [&call, &question]).if_match(1).await.unwrap();
    assert_eq!((added.data.len(), added.version), (2, 2));
    let (mut pages, mut kinds) =
        (store.list_items("trip").limit(1).order(Order::Ascending).pages(), Vec::new());
    while let Some(page) = pages.next().await.unwrap() {
        assert_eq!(page.version, added.version);
        kinds.extend(page.data.iter().map(|item| item.kind().to_owned()));
    }
    assert_eq!(kinds, ["function_call", "message"]);
    let after = store.list_items("trip").after(added.last_id.unwrap()).min_version(2).await.unwrap();
    assert_eq!(after.data[0].id(), added.first_id.as_deref().unwrap());
    assert!(store.list_items("trip").if_none_match(2).await.unwrap().is_none());
    let item = store.get_item("trip", added.data[0].id()).await.unwrap();
    assert_eq!(item.parse::<Value>().unwrap()["name"], "weather");
    assert!(store.get_item("trip", item.id()).if_none_match(2).await.unwrap().is_none());
    let left = store.delete_item("trip", item.id()).if_match(2).await.unwrap();
    assert_eq!(left.message_count, 1);
    assert!(matches!(store.get_item("trip", item.id()).await.unwrap_err(), Error::NotFound(_)));
}

#[tokio::test]
async fn records_are_stored_read_and_deleted() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let store = ann(&api);
    let every_byte: Vec<u8> = (0..=255).collect();
    let keys = ["a/b c", "naïve ☃", "what?", "../up", "a//b", "50%", "#1", "back\\slash", "/"];
    for scope in [Scope::from("trip"), Scope::Owner] {
        for key in keys {
            let scope = || scope.clone();
            let missing = store.get_record(scope(), key).await.unwrap_err();
            let code = missing.code().unwrap();
            assert!(matches!(missing, Error::NotFound(_)) && code.ends_with("_not_found"), "{missing}");
            let text = store.put_record(scope(), key, "1e2").if_absent().content_type("application/json");
            let text = text.await.unwrap();
            let read = store.get_record(scope(), key).await.unwrap();
            assert_eq!((read.text(), read.content_type.as_str()), (Ok("1e2"), "application/json"), "{key}");
            assert_eq!((read.revision, read.size, read.key.as_str()), (text.revision, 3, key));
            assert!(store.get_record(scope(), key).if_none_match(text.revision).await.unwrap().is_none());
            for absent in [
                store.put_record(scope(), key, "").if_absent(),
                store.put_record(scope(), key, "").if_match(0),
            ] {
                let there = absent.await.unwrap_err();
                assert!(
                    matches!(there, Error::RevisionMismatch { revision, .. } if revision == text.revision)
                );
            }
            let bytes =
                store.put_record(scope(), key, every_byte.clone()).if_match(text.revision).await.unwrap();
            let read = store.get_record(scope(), key).if_none_match(text.revision).await.unwrap().unwrap();
            assert_eq!(read.value.as_deref(), Some(&every_byte[..]), "{key}");
            assert_eq!(read.content_type, "application/octet-stream");
            let late = store.delete_record(scope(), key).if_match(text.revision).await.unwrap_err();
            assert!(matches!(late, Error::RevisionMismatch { revision, .. } if revision == bytes.revision));
            let delete = || store.delete_record(scope(), key).without_idempotency_key();
            assert_eq!(delete().if_match(bytes.revision).await.unwrap().deleted, 1);
            assert_eq!(delete().await.unwrap().deleted, 0);
        }
    }
    let large = store.put_record("trip", "large", Bytes::from(vec![255; (4 << 20) + 1])).await.unwrap_err();
    assert!(matches!(large, Error::TooLarge(_)), "{large}");
}

#[tokio::test]
async fn records_are_listed_and_written_in_batches() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let store = ann(&api);
    for scope in [Scope::from("trip"), Scope::Owner] {
        let list = || store.list_records(scope.clone());
        let write = |changes: Vec<Change>| store.write_records(scope.clone(), changes);
        assert!(list().await.unwrap().data.is_empty());
        let all = ["a/1", "a/2", "b", "c"].map(|key| Change::put(key, key));
        let written = write(all.into()).await.unwrap();
        assert_eq!(written.iter().map(|each| each.stored().unwrap().revision).collect::<Vec<_>>(), [1; 4]);
        let some = list().prefix("a/").key("c").key("none").order(Order::Descending).values().await.unwrap();
        assert_eq!(texts(&some.data), [("c", "c"), ("a/2", "a/2"), ("a/1", "a/1")]);
        assert_eq!(texts(&list().after("a/2").limit(1).values().await.unwrap().data), [("b", "b")]);
        assert!(list().await.unwrap().data.iter().all(|record| record.value.is_none()));
        let (mut pages, mut sizes) = (list().limit(3).pages(), Vec::new());
        while let Some(page) = pages.next().await.unwrap() {
            sizes.push(page.data.len());
        }
        assert_eq!(sizes, [3, 1]);
        let refused = write(vec![Change::put("d", "d"), Change::delete("b").if_match(9)]).await.unwrap_err();
        assert!(matches!(refused, Error::RevisionMismatch { revision: 1, at: Some(1), .. }), "{refused}");
        let changes = vec![Change::put("d", b"\xff").if_absent(), Change::delete("b").if_match(1)];
        let written = write(changes).without_idempotency_key().await.unwrap();
        assert!(matches!(&written[1], Written::Deleted(deletion) if deletion.deleted == 1), "{written:?}");
        assert_eq!(list().key("d").values().await.unwrap().data[0].value.as_deref(), Some(&b"\xff"[..]));
        let deletion = store.delete_records(scope.clone(), "a/").await.unwrap();
        assert_eq!((deletion.deleted, deletion.has_more), (2, false));
        assert_eq!(list().await.unwrap().data.len(), 2);
    }
}

#[tokio::test]
async fn answers_are_also_there_as_they_came() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let store = ann(&api);
    let health = store.health().deep().await.unwrap();
    assert_eq!((health.status.as_str(), health.redis.as_deref()), ("ok", Some("ok")));
    assert_eq!((health.version.as_str(), store.server_version()), (CONTRACT_VERSION, Some(CONTRACT_VERSION)));
    store.add_messages("trip", [says("m", "user", "Hello!")]).await.unwrap();
    let read = store.send(&Request::new(Method::GET, "/v1/conversations/trip/messages")).await.unwrap();
    assert_eq!((read.status, read.header("cache-status"), read.etag()), (200, Some("redis; hit"), Some(1)));
    let refused = store.send(&Request::new(Method::GET, "/v1/conversations/a%20b")).await.unwrap();
    assert_eq!(
        (refused.status, refused.json::<Value>().unwrap()["error"]["code"].as_str()),
        (400, Some("invalid_id"))
    );
    let error = store.add_messages("trip", [json!({ "role": "robot", "content": "?" })]).await.unwrap_err();
    let Error::Refused(problem) = &error else { panic!("{error}") };
    assert_eq!((problem.status, problem.code.as_str()), (400, "unknown_role"));
    assert_eq!(problem.param.as_deref(), Some("messages[0].role"));
    assert!(problem.message.contains("robot") && problem.request_id.is_some());
    for id in ["..", "", "trip/items/m", "trip?x"] {
        assert!(matches!(store.delete_records(id, "").await.unwrap_err(), Error::Invalid(_)), "{id:?}");
        assert!(matches!(store.delete_conversation(id).await.unwrap_err(), Error::Invalid(_)), "{id:?}");
    }
    assert_eq!(store.list_messages("trip").await.unwrap().data.len(), 1);
    let there = store.add_messages("trip", [says("n", "user", "?")]).if_match(0).await.unwrap_err();
    assert!(matches!(there, Error::VersionMismatch { version: 1, .. }), "{there}");
    store.add_messages("new", [says("n", "user", "?")]).if_match(0).await.unwrap();
}

#[tokio::test]
async fn owners_and_callers_are_told_apart() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    ann(&api).put_record("trip", "a", "of ann").await.unwrap();
    let bob = Client::builder(api.url()).owner("bob").build().unwrap();
    assert!(matches!(bob.get_record("trip", "a").await.unwrap_err(), Error::NotFound(_)));
    let jwt = stack.api_with(&[("AUTH_MODE", "jwt"), ("DEFAULT_OWNER", "")]).await;
    let nobody = Client::new(jwt.url()).unwrap().list_conversations().await.unwrap_err();
    assert!(matches!(&nobody, Error::Unauthorized(problem) if problem.status == 401), "{nobody}");
    let failing = Auth::provider(async || Err::<String, _>("no token today"));
    let failing = Client::builder(jwt.url()).auth(failing).build().unwrap();
    let error = failing.list_conversations().await.unwrap_err().to_string();
    assert_eq!(error, "no credentials: no token today");
}

/// Clones in many tasks share a client, and no message is lost or doubled.
#[tokio::test(flavor = "multi_thread")]
async fn one_client_serves_many_tasks() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    let store = ann(&api);
    let tasks = (0..40).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let added =
                store.add_messages("trip", [says(&format!("m{number}"), "user", "Hello!")]).await.unwrap();
            seqs(&added.data)[0]
        })
    });
    let mut positions = BTreeSet::new();
    for task in tasks.collect::<Vec<_>>() {
        positions.insert(task.await.unwrap());
    }
    assert_eq!(positions, (1..=40).collect());
}

/// From `createConversation` to `create_conversation`; an owner's own records have no methods of their own.
fn method_of(operation: &str) -> String {
    let words = operation
        .chars()
        .map(|c| if c.is_uppercase() { format!("_{}", c.to_lowercase()) } else { c.to_string() });
    words.collect::<String>().replace("_own_", "_")
}

#[test]
fn it_has_every_operation_of_the_contract() {
    let contract = fs::read_to_string(workspace().join("infra/openapi.yaml")).unwrap();
    let version = contract.lines().find_map(|line| line.strip_prefix("  version: ")).unwrap();
    assert_eq!(version, CONTRACT_VERSION);
    let folder = fs::read_dir(workspace().join("clients/rust/src/operations")).unwrap();
    let sources: String = folder.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    let operations = contract.lines().filter_map(|line| line.strip_prefix("      operationId: "));
    let missing: Vec<_> =
        operations.map(method_of).filter(|name| !sources.contains(&format!("pub fn {name}("))).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(sources.contains("pub fn write_records("), "names are looked for as they are written");
}

/// Its examples compile, those of the README too. Built with the features that the tests have, nothing is built again.
#[tokio::test(flavor = "multi_thread")]
async fn the_code_in_its_documentation_compiles() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--quiet", "--doc", "-p", "conversation-client", "-p", "conversation-tests"]);
    cargo.current_dir(workspace());
    without_cargo_variables(&mut cargo);
    let output = tokio::task::spawn_blocking(move || cargo.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("test result: ok. 6 passed"), "{said}");
}

/// A server whose certificate an authority of its own has signed answers those alone who trust that one.
#[tokio::test]
async fn a_private_authority_is_trusted_if_it_is_named() {
    let Some(certificates) = certificates() else { return };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let acceptor = acceptor(&certificates).unwrap();
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await.unwrap();
            let body = r#"{"status":"ok","version":"0.1.0"}"#;
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let client = || Client::builder(&url).retries(0);
    let unknown = client().build().unwrap().health().await.unwrap_err();
    assert!(matches!(unknown, Error::Transport(_)), "{unknown}");
    let pem = fs::read(certificates.authority()).unwrap();
    let trusting = client().root_certificates(pem).build().unwrap();
    assert_eq!(trusting.health().await.unwrap().status, "ok");
    server.abort();
}
