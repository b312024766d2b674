//! Reads what is known of a conversation, and tells whether the function and its stores are well.

use std::process::ExitCode;
use std::sync::Arc;

use conversation_core::ConversationStore;
use conversation_functions::{Call, Failure, Health, Operation, Reply, Unready, open_store, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve(open, get).await
}

fn open() -> Result<(ConversationStore, Health), Unready> {
    Ok((open_store()?, Health::default()))
}

async fn get(stores: Arc<(ConversationStore, Health)>, mut call: Call) -> Result<Reply, Failure> {
    let (store, health) = &*stores;
    if call.operation == Operation::Health {
        let deep = call.query("deep").is_some_and(|deep| deep == "1");
        return if deep { health.of(store).await } else { Ok(Reply::alive()) };
    }
    let (key, min_version) = (call.key()?, call.min_version()?);
    let read = store.get(&key, min_version).await;
    Reply::found(read, &key.id, |conversation| Reply::conversation(&conversation))
}
