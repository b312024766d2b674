//! `export` and `import`.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use conversation_core::{
    Archived, Change, ConversationFields, ConversationFilter, ConversationId, ConversationKey,
    ConversationStore, ExpiresAfter, Fork, Limit, Message, MessageId, Metadata, NewConversation, Order,
    OwnerId, Precondition, Source, Title,
};
use conversation_tests::{Stack, batch, key, user, user_as};

use super::{command, run, succeeds, text};

fn of(owner: &str, id: &str) -> ConversationKey {
    ConversationKey { owner: OwnerId::new(owner).unwrap(), id: ConversationId::new(id).unwrap() }
}

/// So many messages, added in batches.
async fn grow(store: &ConversationStore, key: &ConversationKey, messages: std::ops::Range<u32>) {
    for start in messages.clone().step_by(100) {
        let end = (start + 100).min(messages.end);
        store.add(key, &batch((start..end).map(|n| user(&format!("message {n}"))))).await.unwrap();
    }
}

/// Conversations with whatever may be peculiar about them.
async fn fill(stack: &Stack) {
    let store = stack.store();
    grow(&store, &of("bob", "long"), 0..1_234).await;
    grow(&store, &of("ann", "B"), 0..3).await;
    let odd = [
        "{ \"role\":\"user\",\n\t\"content\" : \"\\u0000 \\ud800 é\" }".to_owned(),
        r#"{"content":[{"type":"text","text":"x"}],"role":"human","n":1.0e+07}"#.to_owned(),
        user_as("mine", "with an id of its own"),
    ];
    store.add(&of("ann", "a"), &batch(odd)).await.unwrap();
    let new = NewConversation {
        fork: None,
        id: Some(ConversationId::new("empty").unwrap()),
        fields: ConversationFields {
            title: Some(Some(Title::new("no \"messages\"\nat all").unwrap())),
            metadata: Some(Metadata::new([("key".into(), "välue".into())].into()).unwrap()),
            archived: Some(true),
            expires_after: Some(Some(ExpiresAfter::new(86_400).unwrap())),
        },
        messages: conversation_core::Batch::initial(vec![]).unwrap(),
    };
    store.create(OwnerId::new("ann").unwrap(), new).await.unwrap();
    // Positions with holes, one of them at the end.
    let holes = of("ann", "holes");
    store.add(&holes, &batch((1..=5).map(|n| user_as(&format!("m{n}"), "x")))).await.unwrap();
    for id in ["m2", "m5"] {
        store.delete_message(&holes, &MessageId::new(id).unwrap(), Precondition::None).await.unwrap();
    }
    let title = Some(Some(Title::new("renamed").unwrap()));
    let change = Change::from(ConversationFields { title, ..ConversationFields::default() });
    store.update(&holes, &change).await.unwrap();
    // A long end was cut off and waits for the sweep; what follows it is a copy, with a message of its own.
    let cut = of("ann", "cut");
    grow(&store, &cut, 0..1_300).await;
    store.replace(&cut, 150, &batch([user("and on it goes")])).await.unwrap();
    let fork = NewConversation {
        fork: Some(Fork { of: cut.id.clone(), at: Some(1_301), records_prefix: String::new() }),
        id: Some(ConversationId::new("fork").unwrap()),
        fields: ConversationFields::default(),
        messages: batch([user("otherwise")]),
    };
    store.create(cut.owner.clone(), fork).await.unwrap();
    grow(&store, &of("ann", "deleted"), 0..3).await;
    store.delete(&of("ann", "deleted"), Precondition::None).await.unwrap();
}

async fn export(stack: &Stack, to: &Path) -> String {
    succeeds(stack, &["export", "--all", "-o", to.to_str().unwrap()]).await;
    std::fs::read_to_string(to).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_exported_and_imported_is_exported_again_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first.ndjson"), folder.path().join("second.ndjson"));
    let (from, to) = (Stack::start().await, Stack::start().await);
    fill(&from).await;
    let exported = export(&from, &first).await;
    let ids: Vec<_> = exported.lines().filter(|line| line.starts_with("{\"record\":\"conv")).collect();
    assert_eq!(ids.len(), 7, "{ids:?}");
    assert_eq!(exported.lines().count(), 7 + 1_234 + 3 + 3 + 3 + 151 + 152);
    assert!(exported.contains(r#""forked_from":"cut","forked_at":1301"#));

    let (_, noted) = succeeds(&to, &["import", first.to_str().unwrap()]).await;
    assert!(noted.contains("1,546 messages were new"), "{noted}");
    assert_eq!(export(&to, &second).await, exported);
    // Readers see the same of both, and in the same order.
    for owner in ["ann", "bob"] {
        let owner = OwnerId::new(owner).unwrap();
        let list = async |stack: &Stack| {
            let index = stack.index();
            let everything = ConversationFilter { archived: Archived::With, ..ConversationFilter::default() };
            let listing =
                index.list(&owner, &everything, Order::Descending, None, Limit::LIST).await.unwrap();
            listing.page.items
        };
        assert_eq!(list(&from).await, list(&to).await);
        for conversation in list(&from).await {
            let key = ConversationKey { owner: owner.clone(), id: conversation.id };
            let read =
                async |stack: &Stack| stack.store().recent(&key, Limit::MAX, None).await.unwrap().found;
            assert_eq!(read(&from).await, read(&to).await, "{key:?}");
        }
    }
    let keys: i64 = redis::cmd("DBSIZE").query_async(&mut to.redis().await).await.unwrap();
    assert_eq!(keys, 13, "two for each that was read just now, one for the empty one");

    // A part of it is that part of the file.
    let (one, _) = succeeds(&from, &["export", "--owner", "ann", "--conversation", "holes"]).await;
    assert!(exported.contains(&one) && one.lines().count() == 4, "{one}");
    let (anns, _) = succeeds(&from, &["export", "--owner", "ann"]).await;
    assert!(exported.starts_with(&anns));
    let none = run(&from, &["export", "--owner", "ann", "--conversation", "deleted"]).await;
    assert_eq!(none.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_import_changes_nothing_and_leaves_the_cache_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.ndjson");
    let stack = Stack::start().await;
    fill(&stack).await;
    let exported = export(&stack, &file).await;
    let store = stack.store();
    let key = of("bob", "long");
    store.recent(&key, Limit::MAX, None).await.unwrap();
    let (_, noted) = succeeds(&stack, &["import", file.to_str().unwrap()]).await;
    assert!(noted.contains("0 messages were new"), "{noted}");
    assert_eq!(store.recent(&key, Limit::MAX, None).await.unwrap().source, Source::Hit);
    assert_eq!(export(&stack, &file).await, exported);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_goes_on_and_nothing_is_lost_or_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let (file, again) = (folder.path().join("all.ndjson"), folder.path().join("again.ndjson"));
    let (from, to) = (Stack::start().await, Stack::start().await);
    let store = from.store();
    for n in 0..30 {
        grow(&store, &key(&format!("c{n:02}")), 0..150).await;
    }
    let exported = export(&from, &file).await;
    let arguments = ["import", "--parallel", "3", "--rate", "900", file.to_str().unwrap()];
    let mut first = command(&to, &arguments).stderr(Stdio::null()).spawn().unwrap();
    let mut postgres = to.postgres().await;
    let deadline = Instant::now() + Duration::from_secs(60);
    let position = loop {
        let at: Option<i64> =
            sqlx::query_scalar("select max(position) from import_positions where position > 0")
                .fetch_one(&mut postgres)
                .await
                .unwrap();
        if let Some(at) = at {
            break at;
        }
        assert!(Instant::now() < deadline, "nothing is noted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    first.kill().unwrap();
    first.wait().unwrap();
    let stored: i64 =
        sqlx::query_scalar("select count(*) from messages").fetch_one(&mut postgres).await.unwrap();
    assert!(position > 0 && stored > 0 && stored < 4_500, "{position}, {stored}");

    let (_, noted) = succeeds(&to, &["import", file.to_str().unwrap()]).await;
    assert!(noted.contains("resuming at byte"), "{noted}");
    assert_eq!(export(&to, &again).await, exported);
    // What the killed one was at can be read, and is cached again.
    let store = to.store();
    for n in 0..30 {
        let read = store.recent(&key(&format!("c{n:02}")), Limit::MAX, None).await.unwrap();
        assert_eq!(read.found.unwrap().items.last().map(Message::seq), Some(150));
    }
    let left: i64 =
        sqlx::query_scalar("select count(*) from import_positions").fetch_one(&mut postgres).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_stay_fresh_while_a_conversation_in_use_is_imported() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.ndjson");
    let (from, to) = (Stack::start().await, Stack::start().await);
    grow(&from.store(), &key("c"), 0..4_000).await;
    export(&from, &file).await;
    let mut import = command(&to, &["import", "--rate", "2000", file.to_str().unwrap()]);
    let mut import = import.stderr(Stdio::piped()).spawn().unwrap();

    let (store, mut postgres) = (to.store(), to.postgres().await);
    let (mut hits, mut added, mut reads) = (0, 0, 0);
    while import.try_wait().unwrap().is_none() {
        let version: Option<i64> =
            sqlx::query_scalar("select max(version) from conversations where version > 0")
                .fetch_one(&mut postgres)
                .await
                .unwrap();
        let Some(version) = version else { continue };
        let read = store.recent(&key("c"), Limit::MAX, None).await.unwrap();
        let count = store.get(&key("c"), None).await.unwrap();
        let found = count.found.unwrap();
        assert!(found.version >= version, "{} of {version}: {:?}", found.version, count.source);
        let seqs: Vec<_> = read.found.unwrap().items.iter().map(Message::seq).collect();
        assert!(seqs.is_sorted() && !seqs.is_empty());
        hits += u32::from(read.source == Source::Hit);
        reads += 1;
        if reads % 20 == 0 {
            added += 1;
            store.add(&key("c"), &batch([user_as(&format!("live{added}"), "live")])).await.unwrap();
        }
    }
    let output = import.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(hits > 0 && added > 0, "{hits} hits, {added} added, {reads} reads");
    let conversation = store.get(&key("c"), None).await.unwrap().found.unwrap();
    assert_eq!(conversation.message_count, 4_000 + i64::from(added));
    let newest = store.recent(&key("c"), Limit::MAX, None).await.unwrap().found.unwrap();
    let last = newest.items.last().unwrap();
    assert_eq!(last.seq(), 4_000 + i64::from(added), "live messages come after all imported ones");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_imported_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("c.ndjson");
    let (from, to) = (Stack::start().await, Stack::start().await);
    for id in ["a", "b", "c"] {
        from.store().add(&key(id), &batch([user_as("m", "theirs")])).await.unwrap();
    }
    let exported = export(&from, &file).await;
    let store = to.store();
    store.add(&key("a"), &batch([user_as("m", "ours")])).await.unwrap();
    store.add(&key("b"), &batch([user_as("m", "ours")])).await.unwrap();
    store.delete(&key("b"), Precondition::None).await.unwrap();

    let output = run(&to, &["import", file.to_str().unwrap()]).await;
    let noted = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{noted}");
    assert!(noted.contains("refused: conversation a: message m was stored with another body"), "{noted}");
    assert!(noted.contains("refused: conversation b: the conversation was deleted"), "{noted}");
    assert!(noted.contains("1 messages were new"), "the others are imported: {noted}");

    let (cut, garbled) = (&exported[..exported.len() - 40], exported.replace("theirs\"", "theirs"));
    let last_line = exported.trim_end().rfind('\n').unwrap() + 1;
    for (content, why) in [
        (cut, "cut short"),
        (&exported[..last_line], "has 0 of the 1 messages that it states"),
        (&garbled, "the line at byte"),
    ] {
        std::fs::write(&file, content).unwrap();
        let output = run(&to, &["import", file.to_str().unwrap()]).await;
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(why), "{why}: {}", text(&output.stderr));
    }
}
