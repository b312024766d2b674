//! `erase` and `erasures`.

use conversation_core::{ConversationId, ConversationKey, OwnerId, Precondition};
use conversation_tests::{Stack, batch, user};
use serde_json::{Value, json};
use tempfile::tempdir;

use super::succeeds;

async fn fill(stack: &Stack, owner: &str) {
    let id = ConversationId::new("c").unwrap();
    let key = ConversationKey { owner: OwnerId::new(owner).unwrap(), id };
    stack.store().add(&key, &batch([user("x")])).await.unwrap();
}

async fn conversations(stack: &Stack, owner: &str) -> i64 {
    stack.index().owner(&OwnerId::new(owner).unwrap()).await.unwrap().0.conversations
}

#[tokio::test]
async fn an_operator_erases_and_replays_receipts_after_a_restore() {
    let stack = Stack::start().await;
    for owner in ["ann", "bob"] {
        fill(&stack, owner).await;
    }
    let (receipt, _) = succeeds(&stack, &["erase", "ann", "--by", "eve", "--no-wait"]).await;
    let said: Value = serde_json::from_str(&receipt).unwrap();
    assert_eq!((said["requested_by"].as_str(), said["conversations"].as_i64()), (Some("eve"), Some(1)));
    assert!(!receipt.contains("ann"), "a receipt names nobody: {receipt}");
    assert_eq!((conversations(&stack, "ann").await, conversations(&stack, "bob").await), (0, 1));
    assert_eq!(succeeds(&stack, &["erasures"]).await.0, receipt);

    // A database as it was before, when she had deleted it by itself.
    let restored = Stack::start().await;
    for owner in ["ann", "bob"] {
        fill(&restored, owner).await;
    }
    let key = ConversationKey { owner: OwnerId::new("ann").unwrap(), id: ConversationId::new("c").unwrap() };
    restored.store().delete(&key, Precondition::None).await.unwrap();
    let folder = tempdir().unwrap();
    let file = folder.path().join("receipts");
    // The log has the same.
    let line = json!({ "level": "WARN", "id": said["id"], "owner_hash": said["owner_hash"] });
    std::fs::write(&file, line.to_string()).unwrap();
    let replay = ["erase", "--replay", file.to_str().unwrap(), "--no-wait"];
    let (_, note) = succeeds(&restored, &replay).await;
    assert!(note.contains("1 owners had data again"), "{note}");
    assert!(note.contains("an owner's data are erased"), "the log says it: {note}");
    assert_eq!((conversations(&restored, "ann").await, conversations(&restored, "bob").await), (0, 1));
    fill(&restored, "cem").await;
    let (_, note) = succeeds(&restored, &replay).await;
    assert!(note.contains("0 owners had data again"), "{note}");
}
