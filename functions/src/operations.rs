//! The operations, one file each: its parameters, what it asks of the store, its answer. Each function here answers the
//! operations of one Lambda function.

mod add;
mod add_items;
mod create;
mod delete;
mod delete_item;
mod delete_many;
mod delete_owner;
mod delete_record;
mod delete_records;
mod export_owner;
mod get;
mod get_item;
mod get_owner;
mod get_record;
mod health;
mod list;
mod list_items;
mod list_records;
mod put_back;
mod put_record;
mod recent;
mod replace;
mod unchanged;
mod update;
mod write_records;

use std::sync::Arc;

use conversation_core::{ConversationIndex, ConversationStore};

use crate::http::{
    AddOperation, ApiRequest, ApiResponse, DeleteOperation, Failure, GetOperation, ListOperation, Operation,
    RecentOperation, RecordsOperation, UpdateOperation,
};

pub use health::Health;

/// Creates conversations, and adds messages or items.
///
/// # Errors
/// What is wrong, as the caller is to read it.
pub async fn add(store: Arc<ConversationStore>, request: ApiRequest) -> Result<ApiResponse, Failure> {
    let Operation::Add(operation) = request.operation else { return Err(Failure::misrouted()) };
    match operation {
        AddOperation::Conversation => create::answer(&store, request).await,
        AddOperation::Messages => add::answer(&store, request).await,
        AddOperation::Items => add_items::answer(&store, request).await,
    }
}

/// Reads messages, items or one item.
///
/// # Errors
/// What is wrong, as the caller is to read it.
pub async fn recent(store: Arc<ConversationStore>, request: ApiRequest) -> Result<ApiResponse, Failure> {
    let Operation::Recent(operation) = request.operation else { return Err(Failure::misrouted()) };
    match operation {
        RecentOperation::Messages => recent::answer(&store, request).await,
        RecentOperation::Items => list_items::answer(&store, request).await,
        RecentOperation::Item => get_item::answer(&store, request).await,
    }
}

/// Reads a conversation, or says how the function is.
///
/// # Errors
/// What is wrong, as the caller is to read it.
pub async fn get(
    store: Arc<(ConversationStore, Health)>,
    request: ApiRequest,
) -> Result<ApiResponse, Failure> {
    let Operation::Get(operation) = request.operation else { return Err(Failure::misrouted()) };
    match operation {
        GetOperation::Conversation => get::answer(&store.0, request).await,
        GetOperation::Health => health::answer(&store, &request).await,
    }
}

/// Lists conversations, says what the caller has, or exports it.
///
/// # Errors
/// What is wrong, as the caller is to read it.
pub async fn list(store: Arc<ConversationIndex>, request: ApiRequest) -> Result<ApiResponse, Failure> {
    let Operation::List(operation) = request.operation else { return Err(Failure::misrouted()) };
    match operation {
        ListOperation::Conversations => list::answer(&store, request).await,
        ListOperation::Owner => get_owner::answer(&store, request).await,
        ListOperation::Export => export_owner::answer(&store, request).await,
    }
}

/// Sets fields of a conversation, or replaces the end of it.
///
/// # Errors
/// What is wrong, as the caller is to read it.
pub async fn update(store: Arc<ConversationStore>, request: ApiRequest) -> Result<ApiResponse, Failure> {
    let Operation::Update(operation) = request.operation else { return Err(Failure::misrouted()) };
    match operation {
        UpdateOperation::Conversation => update::answer(&store, request).await,
        UpdateOperation::Messages => replace::answer(&store, request).await,
    }
}

/// Deletes a conversation, an item, many conversations, or everything that the caller has.
///
/// # Errors
/// What is wrong, as the caller is to read it.
pub async fn delete(store: Arc<ConversationStore>, request: ApiRequest) -> Result<ApiResponse, Failure> {
    let Operation::Delete(operation) = request.operation else { return Err(Failure::misrouted()) };
    match operation {
        DeleteOperation::Conversation => delete::answer(&store, request).await,
        DeleteOperation::Item => delete_item::answer(&store, request).await,
        DeleteOperation::Conversations => delete_many::answer(&store, request).await,
        DeleteOperation::Owner => delete_owner::answer(&store, request).await,
    }
}

/// Reads and writes records.
///
/// # Errors
/// What is wrong, as the caller is to read it.
pub async fn records(store: Arc<ConversationIndex>, request: ApiRequest) -> Result<ApiResponse, Failure> {
    let Operation::Records(operation) = request.operation else { return Err(Failure::misrouted()) };
    match operation {
        RecordsOperation::Get => get_record::answer(&store, request).await,
        RecordsOperation::Put => put_record::answer(&store, request).await,
        RecordsOperation::Delete => delete_record::answer(&store, request).await,
        RecordsOperation::List => list_records::answer(&store, request).await,
        RecordsOperation::Write => write_records::answer(&store, request).await,
        RecordsOperation::DeletePrefix => delete_records::answer(&store, request).await,
    }
}
