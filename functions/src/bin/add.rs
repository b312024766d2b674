//! Creates conversations and adds messages to them.

use std::process::ExitCode;
use std::sync::Arc;

use conversation_core::ConversationStore;
use conversation_functions::{Call, Failure, Operation, Reply, open_store, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve(open_store, add).await
}

async fn add(store: Arc<ConversationStore>, mut call: Call) -> Result<Reply, Failure> {
    match call.operation {
        Operation::Create => {
            let (owner, new) = (call.owner()?, call.new_conversation()?);
            let id = new.id.clone();
            let added = store.create(owner, new).await.map_err(Failure::about(id.as_ref()))?;
            Ok(Reply::conversation(&added.conversation).written(added.told))
        }
        Operation::AddItems => {
            let (key, batch) = (call.key()?, call.item_batch()?);
            let added = store.append(&key, &batch).await.map_err(Failure::about_existing(&key.id))?;
            Ok(Reply::added_items(&added).written(added.told))
        }
        _ => {
            let (key, batch) = (call.key()?, call.batch()?);
            let added = store.add(&key, &batch).await.map_err(Failure::about(Some(&key.id)))?;
            let told = added.told;
            Ok(Reply::added(added).written(told))
        }
    }
}
