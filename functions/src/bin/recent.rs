//! Reads the last messages of a conversation, pages through its history, or reads one of them: as messages or as items.

use std::process::ExitCode;
use std::sync::Arc;

use conversation_core::{Anchor, ConversationStore, Limit, Order, Range};
use conversation_functions::{Call, Failure, Operation, Reply, open_store, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve(open_store, read).await
}

async fn read(store: Arc<ConversationStore>, call: Call) -> Result<Reply, Failure> {
    match call.operation {
        Operation::Items => items(&store, call).await,
        Operation::Item => item(&store, call).await,
        _ => messages(&store, call).await,
    }
}

async fn messages(store: &ConversationStore, mut call: Call) -> Result<Reply, Failure> {
    let key = call.key()?;
    let (limit, range, min_version) = (call.limit(Limit::MAX)?, call.range()?, call.min_version()?);
    let read = match range {
        None => store.recent(&key, limit, min_version).await,
        Some(range) => store.history(&key, range, limit, min_version).await,
    };
    let forward = matches!(range, Some(Range::After(_)));
    Reply::found(read, &key.id, |page| Reply::messages(page, forward))
}

async fn items(store: &ConversationStore, mut call: Call) -> Result<Reply, Failure> {
    let key = call.key()?;
    let (limit, (order, after), min_version) = (call.limit(Limit::LIST)?, call.items()?, call.min_version()?);
    let read = match (order, after) {
        (Order::Descending, None) => store.recent(&key, limit, min_version).await,
        (Order::Ascending, None) => store.history(&key, Range::After(0), limit, min_version).await,
        (Order::Descending, Some(id)) => store.beside(&key, &Anchor::Before(id), limit, min_version).await,
        (Order::Ascending, Some(id)) => store.beside(&key, &Anchor::After(id), limit, min_version).await,
    };
    Reply::found(read, &key.id, |page| Reply::items(&page, order))
}

async fn item(store: &ConversationStore, mut call: Call) -> Result<Reply, Failure> {
    let (key, id) = (call.key()?, call.message_id()?);
    Reply::found_message(store.message(&key, &id).await, &key.id, &id)
}
