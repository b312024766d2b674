//! `export` and `import` of records.

use conversation_core::{
    ContentType, ConversationId, ConversationKey, ConversationStore, OwnerId, Precondition, RecordBatch,
    RecordChange, RecordDeletion, RecordKey, RecordScope, RecordValue,
};
use conversation_tests::{Stack, batch, user};

use super::{run, succeeds, text};

fn of(id: &str) -> RecordScope {
    let (owner, id) = (OwnerId::new("ann").unwrap(), ConversationId::new(id).unwrap());
    RecordScope::Conversation(ConversationKey { owner, id })
}

fn of_owner(owner: &str) -> RecordScope {
    RecordScope::Owner(OwnerId::new(owner).unwrap())
}

async fn put(store: &ConversationStore, scope: &RecordScope, records: &[(String, Vec<u8>)]) {
    let changes = records.iter().map(|(key, bytes)| RecordChange {
        key: RecordKey::new(key).unwrap(),
        value: Some(RecordValue { bytes: bytes.clone(), content_type: ContentType::new("a/b").unwrap() }),
        precondition: Precondition::None,
    });
    let batch = RecordBatch::new(changes.collect()).unwrap();
    store.index().write_records(scope, &batch).await.unwrap();
}

/// Records of all kinds: many, large ones, bytes that are no text, none that are left, with messages and without.
async fn fill(store: &ConversationStore) {
    for n in 0..12 {
        let hundred: Vec<_> =
            (0..100).map(|m| (format!("k{n}/{m}"), format!("é {n} {m}").into_bytes())).collect();
        put(store, &of("many"), &hundred).await;
    }
    for n in 0..4 {
        put(store, &of("large"), &[(format!("{n}"), vec![n; 3 << 20])]).await;
    }
    let RecordScope::Conversation(key) = of("large") else { unreachable!() };
    for _ in 0..3 {
        store.add(&key, &batch((0..90).map(|n| user(&format!("message {n}"))))).await.unwrap();
    }
    put(store, &of("gone"), &[("a".into(), b"x".to_vec())]).await;
    let all = RecordDeletion { prefix: String::new(), idempotency_key: None };
    assert_eq!(store.index().delete_records(&of("gone"), &all).await.unwrap().unwrap().deleted, 1);
    for owner in ["ann", "eve"] {
        put(
            store,
            &of_owner(owner),
            &[("bytes".into(), vec![0xff, 0]), ("text\n".into(), b"\0 \n".to_vec())],
        )
        .await;
    }
}

async fn export(stack: &Stack, arguments: &[&str]) -> String {
    succeeds(stack, &[&["export"], arguments].concat()).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_were_exported_and_imported_are_exported_again_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.ndjson");
    let (from, to) = (Stack::start().await, Stack::start().await);
    fill(&from.store()).await;
    let exported = export(&from, &["--all"]).await;
    std::fs::write(&file, &exported).unwrap();
    let count = |kind: &str| {
        exported.lines().filter(|line| line.starts_with(&format!("{{\"record\":\"{kind}\""))).count()
    };
    assert_eq!(["owner", "conversation", "message", "record"].map(count), [2, 3, 270, 2 * 2 + 1_200 + 4]);
    let (_, noted) = succeeds(&to, &["import", file.to_str().unwrap()]).await;
    assert!(noted.contains("3 conversations, 270 messages, 1,208 records"), "{noted}");
    assert!(export(&to, &["--all"]).await == exported, "to the byte");
    let (_, noted) = succeeds(&to, &["import", file.to_str().unwrap()]).await;
    assert!(noted.contains("; 0 messages and records were new"), "{noted}");
    // A part of it is that part of the file; a conversation has no part of its owner's.
    let anns = export(&from, &["--owner", "ann"]).await;
    let many = export(&from, &["--owner", "ann", "--conversation", "many"]).await;
    assert!(exported.contains(&many) && anns.contains(&many) && !many.contains("\"owner\",\"owner\""));
    assert!(!anns.contains("eve") && anns.starts_with("{\"record\":\"owner\",\"owner\":\"ann\""));

    // What was written since stays, and what is in the file in another way is refused.
    let store = to.store();
    put(&store, &of("many"), &[("k0/0".into(), b"newer".to_vec())]).await;
    let mut changed = exported.replacen("\"value\":\"é 0 1\"", "\"value\":\"other\"", 1);
    std::fs::write(&file, &changed).unwrap();
    let output = run(&to, &["import", file.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("refused: conversation many: record \"k0/1\" is there"),
        "{}",
        text(&output.stderr)
    );
    let newer =
        store.index().record(&of("many"), &RecordKey::new("k0/0").unwrap(), &[]).await.unwrap().unwrap();
    assert_eq!(newer.value.unwrap(), b"newer");

    // A file that was cut off between two lines says so.
    changed.truncate(changed.trim_end().rfind('\n').unwrap() + 1);
    std::fs::write(&file, &changed).unwrap();
    let output = run(&Stack::start().await, &["import", file.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("of the 1200 records that it states: the export was cut short"),
        "{}",
        text(&output.stderr)
    );
}
