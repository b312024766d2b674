//! Reads the last messages of a conversation, pages through its history, or reads one of them: as messages or as items.

use std::process::ExitCode;
use std::sync::Arc;

use conversation_core::{Anchor, ConversationStore, Limit, Order, Range};
use conversation_functions::{ApiRequest, ApiResponse, Failure, Operation, open_store, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve(open_store, read).await
}

async fn read(store: Arc<ConversationStore>, request: ApiRequest) -> Result<ApiResponse, Failure> {
    match request.operation {
        Operation::Items => items(&store, request).await,
        Operation::Item => item(&store, request).await,
        _ => messages(&store, request).await,
    }
}

async fn messages(store: &ConversationStore, mut request: ApiRequest) -> Result<ApiResponse, Failure> {
    let key = request.key()?;
    let (limit, range, min_version) = (request.limit(Limit::MAX)?, request.range()?, request.min_version()?);
    let read = match range {
        None => store.recent(&key, limit, min_version).await,
        Some(range) => store.history(&key, range, limit, min_version).await,
    };
    let forward = matches!(range, Some(Range::After(_)));
    ApiResponse::found(read, &key.id, |page| ApiResponse::messages(page, forward))
}

async fn items(store: &ConversationStore, mut request: ApiRequest) -> Result<ApiResponse, Failure> {
    let key = request.key()?;
    let (limit, (order, after), min_version) =
        (request.limit(Limit::LIST)?, request.items()?, request.min_version()?);
    let read = match (order, after) {
        (Order::Descending, None) => store.recent(&key, limit, min_version).await,
        (Order::Ascending, None) => store.history(&key, Range::After(0), limit, min_version).await,
        (Order::Descending, Some(id)) => {
            store.adjacent_to(&key, &Anchor::Before(id), limit, min_version).await
        }
        (Order::Ascending, Some(id)) => store.adjacent_to(&key, &Anchor::After(id), limit, min_version).await,
    };
    ApiResponse::found(read, &key.id, |page| ApiResponse::items(&page, order))
}

async fn item(store: &ConversationStore, mut request: ApiRequest) -> Result<ApiResponse, Failure> {
    let (key, id) = (request.key()?, request.message_id()?);
    ApiResponse::found_message(store.message(&key, &id).await, &key.id, &id)
}
