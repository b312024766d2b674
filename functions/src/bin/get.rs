//! Reads what is known of a conversation, and tells whether the function and its stores are well.

use std::process::ExitCode;
use std::sync::Arc;

use conversation_core::ConversationStore;
use conversation_functions::{Call, Failure, Operation, Reply, open_store, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve(open_store, get).await
}

async fn get(store: Arc<ConversationStore>, mut call: Call) -> Result<Reply, Failure> {
    if call.operation == Operation::Health {
        let deep = call.query("deep").is_some_and(|deep| deep == "1");
        return if deep { Reply::health(store.health().await) } else { Ok(Reply::alive()) };
    }
    let (key, min_version) = (call.key()?, call.min_version()?);
    let read = store.get(&key, min_version).await;
    Reply::found(read, &key.id, |conversation| Reply::conversation(&conversation))
}
