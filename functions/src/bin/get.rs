//! Reads what is known of a conversation, and tells whether the function and its stores are well.

use std::process::ExitCode;
use std::sync::Arc;

use conversation_core::ConversationStore;
use conversation_functions::{
    ApiRequest, ApiResponse, Failure, Health, Operation, StartupError, open_store, serve,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve(open, get).await
}

fn open() -> Result<(ConversationStore, Health), StartupError> {
    Ok((open_store()?, Health::default()))
}

async fn get(
    stores: Arc<(ConversationStore, Health)>,
    mut request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let (store, health) = &*stores;
    if request.operation == Operation::Health {
        let deep = request.query("deep").is_some_and(|deep| deep == "1");
        return if deep { health.of(store).await } else { Ok(ApiResponse::alive()) };
    }
    let (key, min_version) = (request.key()?, request.min_version()?);
    let read = store.get(&key, min_version).await;
    ApiResponse::found(read, &key.id, |conversation| ApiResponse::conversation(&conversation))
}
