//! What an owner has, by HTTP: how much, all of it as lines, without it; and deletions of many.

use conversation_core::{
    ContentType, ConversationId, ConversationKey, ConversationStore, Error, ExportCursor, Exported, OwnerId,
    Precondition, RecordBatch, RecordChange, RecordKey, RecordScope, RecordValue, Scope, write_line,
};
use conversation_tests::{Api, Stack, batch, report, size, user, user_as};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

fn ann() -> OwnerId {
    OwnerId::new("local").unwrap()
}

/// A few conversations of several kinds: long ones, short ones, empty ones, with records and without.
async fn fill(stack: &Stack, api: &Api) {
    let store = stack.store();
    for n in 0..30 {
        let key = ConversationKey { owner: ann(), id: ConversationId::new(format!("c{n:02}")).unwrap() };
        let messages = if n % 7 == 0 { 450 } else { 1 + n % 4 };
        for part in (0..messages).collect::<Vec<_>>().chunks(90) {
            store
                .add(&key, &batch(part.iter().map(|m| user_as(&format!("m{m}"), "some \"text\" é"))))
                .await
                .unwrap();
        }
        if n % 5 == 0 {
            write(&store, &RecordScope::Conversation(key), "k", 40).await;
        }
    }
    api.post("/v1/conversations", json!({"id":"empty"}).to_string()).await;
    write(&store, &RecordScope::Owner(ann()), "own", 30).await;
}

/// Conversations of 10,000 messages, as many as hold so many.
async fn fill_more(stack: &Stack, messages: u32) {
    let conversations = (0..messages / 10_000).map(async |n| {
        let store = stack.store();
        let key = ConversationKey { owner: ann(), id: ConversationId::new(format!("long{n:03}")).unwrap() };
        for part in 0..100 {
            let messages = (0..100).map(|m| user_as(&format!("m{part}-{m}"), "some \"text\" é"));
            store.add(&key, &batch(messages)).await.unwrap();
        }
    });
    futures_util::stream::iter(conversations).for_each_concurrent(4, |filling| filling).await;
}

async fn write(store: &ConversationStore, scope: &RecordScope, prefix: &str, count: usize) {
    let change = |n| RecordChange {
        key: RecordKey::new(format!("{prefix}{n:02}")).unwrap(),
        value: Some(RecordValue { bytes: b"a value".to_vec(), content_type: ContentType::text() }),
        precondition: Precondition::None,
    };
    let records = RecordBatch::new((0..count).map(change).collect()).unwrap();
    store.index().write_records(scope, &records).await.unwrap();
}

/// The lines of an export as the command line writes them.
async fn whole(stack: &Stack) -> Vec<String> {
    let mut export = stack.index().export(&Scope::Owner(ann())).await.unwrap();
    let (mut lines, mut of) = (Vec::new(), None);
    loop {
        let next = export.next().await.unwrap();
        if next.is_empty() {
            return String::from_utf8(lines).unwrap().lines().map(str::to_owned).collect();
        }
        for line in next {
            match &line {
                Exported::Conversation(conversation) => of = Some(conversation.key.id.clone()),
                Exported::Owner(_) => of = None,
                _ => {}
            }
            write_line(&line, of.as_ref(), &mut lines).unwrap();
        }
    }
}

fn is_content(line: &&String) -> bool {
    line.starts_with(r#"{"record":"message""#) || line.starts_with(r#"{"record":"record""#)
}

#[tokio::test]
async fn pages_of_an_export_are_the_whole_one() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    fill(&stack, &api).await;
    let whole = whole(&stack).await;
    for budget in [1_000, 20_000, 10_000_000] {
        let (mut lines, mut after, mut pages) = (Vec::new(), None::<ExportCursor>, 0);
        loop {
            let page = stack.index().export_page(&ann(), after.as_ref(), budget, str::len).await.unwrap();
            pages += 1;
            counts_fit(&page.lines);
            lines.extend(page.lines.lines().map(str::to_owned));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let content = |lines: &[String]| lines.iter().filter(is_content).cloned().collect::<Vec<_>>();
        assert_eq!(content(&lines), content(&whole), "{budget}");
        assert!(pages > 1 || lines == whole, "one page is the whole export");
        assert_eq!(pages == 1, budget == 10_000_000);
    }
    let answer = api.get("/v1/owner/export").await;
    assert_eq!(answer.text.lines().collect::<Vec<_>>(), whole);
    assert_eq!(api.get("/v1/owner/export?after=x").await.status, 400);
    // A place that is no longer there leads to what comes next.
    let gone = ExportCursor::Message("c005".into(), 9).encode();
    let rest = api.get(&format!("/v1/owner/export?after={gone}")).await.text;
    assert!(rest.starts_with(r#"{"record":"conversation","owner":"local","id":"c01""#), "{rest}");
}

/// What an import counts before it takes a page.
fn counts_fit(lines: &str) {
    let (mut messages, mut records) = (0, 0);
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        match line["record"].as_str().unwrap() {
            "message" => messages -= 1,
            "record" => records -= 1,
            _ => {
                assert_eq!((messages, records), (0, 0), "before {line}");
                messages = line["message_count"].as_i64().unwrap_or(0);
                records = line["record_count"].as_i64().unwrap_or(0);
            }
        }
    }
    assert_eq!((messages, records), (0, 0));
}

#[tokio::test]
async fn an_export_beside_writers_has_what_was_there_before() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    fill(&stack, &api).await;
    let more = size("EXPORTED", 0);
    fill_more(&stack, more).await;
    let budget = if more == 0 { 5_000 } else { 4_000_000 };
    let before: Vec<String> = whole(&stack).await.into_iter().filter(|line| is_content(&line)).collect();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (store, stop) = (stack.store(), std::sync::Arc::clone(&stop));
            tokio::spawn(async move {
                for n in 0.. {
                    if stop.load(std::sync::atomic::Ordering::Relaxed) {
                        return;
                    }
                    let at = (n * 8 + writer) % (40 + more / 10_000);
                    let id = if at < 40 { format!("c{at:02}") } else { format!("long{:03}", at - 40) };
                    let key = ConversationKey { owner: ann(), id: ConversationId::new(id).unwrap() };
                    store.add(&key, &batch([user("meanwhile")])).await.unwrap();
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            })
        })
        .collect();
    let (mut lines, mut after, mut pages) = (Vec::new(), None::<ExportCursor>, 0);
    loop {
        // A connection of its own may take longer than it has, beside eight writers.
        let page = match stack.index().export_page(&ann(), after.as_ref(), budget, str::len).await {
            Err(Error::DatabaseUnavailable(_)) => continue,
            page => page.unwrap(),
        };
        counts_fit(&page.lines);
        lines.extend(page.lines.lines().map(str::to_owned));
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let written = lines.iter().filter(|line| line.contains("meanwhile")).count();
    report(&format!("{} lines in {pages} pages, {written} of them written meanwhile", lines.len()));
    assert!(written > 0, "or nobody wrote");
    lines.retain(|line| is_content(&line) && !line.contains("meanwhile"));
    assert!(lines == before, "{} lines where there were {}", lines.len(), before.len());
}

#[tokio::test]
async fn an_owner_sees_how_much_there_is_and_erases_it() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    fill(&stack, &api).await;
    let owner = api.get("/v1/owner").await.json();
    assert_eq!(
        (owner["conversations"].as_i64(), owner["records"].as_i64()),
        (Some(31), Some(270)),
        "{owner}"
    );
    assert!(owner["bytes"].as_i64() > Some(100_000) && owner["erasure"].is_null(), "{owner}");
    let deleted = api.send(api.request("DELETE", "/v1/owner")).await;
    assert_eq!((deleted.status, &deleted.json()["deleted"]), (200, &json!(true)), "{}", deleted.text);
    assert_eq!(deleted.json()["erasure"]["conversations"], 31);
    assert_eq!(api.get("/v1/conversations/c01").await.status, 404);
    let owner = api.get("/v1/owner").await.json();
    assert_eq!(
        (&owner["conversations"], &owner["messages"], &owner["records"], &owner["bytes"]),
        (&json!(0), &json!(0), &json!(0), &json!(0))
    );
    assert_eq!(owner["erasure"]["remaining"], 32);
    assert!(api.log().contains("an owner's data are erased"), "the receipt is in the log");
    assert_eq!(api.get("/v1/owner/export").await.text, "");
    // Whoever repeats it erases what is there now.
    api.post("/v1/conversations", json!({"id":"later"}).to_string()).await;
    let again = api.send(api.request("DELETE", "/v1/owner")).await.json();
    assert_eq!(again["erasure"]["conversations"], 1, "{again}");
    assert_ne!(again["erasure"]["id"], owner["erasure"]["id"]);
}

#[tokio::test]
async fn many_are_deleted_by_what_they_have_in_common_after_a_dry_run() {
    let stack = Stack::start().await;
    let api = stack.api().await;
    for n in 0..120 {
        let topic = if n % 3 == 0 { "a" } else { "b" };
        let body = json!({"id": format!("c{n}"), "metadata": {"topic": topic}, "archived": n % 6 == 0});
        api.post("/v1/conversations", body.to_string()).await;
    }
    let delete = async |query: &str| {
        let answer = api.send(api.request("DELETE", &format!("/v1/conversations?{query}"))).await;
        (answer.status, answer.json())
    };
    let did = |dry_run: bool, matched: i64, deleted: i64| {
        let body = json!({"object":"conversation.deletions","dry_run":dry_run,"matched":matched,"deleted":deleted,"has_more":false});
        (200, body)
    };
    assert_eq!(delete("metadata[topic]=a").await, did(true, 20, 0));
    assert_eq!(delete("metadata[topic]=a&archived=any").await, did(true, 40, 0));
    assert_eq!(delete("metadata[topic]=a&dry_run=false").await, did(false, 20, 20));
    assert_eq!(delete("archived=true&dry_run=false").await, did(false, 20, 20));
    assert_eq!(delete("metadata[topic]=b").await, did(true, 80, 0));
    for bad in
        ["", "archived=any", "dry_run=false", "metadata[topic]=b&dry_run=yes", "metadata[topic]=b&archived=1"]
    {
        assert_eq!(delete(bad).await.0, 400, "{bad}");
    }
    assert_eq!(api.get("/v1/conversations/c3").await.status, 404);
    assert_eq!(api.get("/v1/conversations/c1").await.status, 200);
}
