//! The operations, one file each: its parameters, what it asks of the store, its answer. Each function here answers the
//! operations of one Lambda function.

mod add;
mod add_items;
mod create;
mod delete;
mod delete_item;
mod get;
mod get_item;
mod health;
mod list;
mod list_items;
mod recent;
mod update;

use std::sync::Arc;

use conversation_core::{ConversationIndex, ConversationStore};

use crate::http::{ApiRequest, ApiResponse, Failure, Operation};

pub use health::Health;

/// Creates conversations, and adds messages or items.
///
/// # Errors
/// What is wrong, as the caller is to read it.
pub async fn add(store: Arc<ConversationStore>, request: ApiRequest) -> Result<ApiResponse, Failure> {
    match request.operation {
        Operation::Create => create::answer(&store, request).await,
        Operation::Add => add::answer(&store, request).await,
        Operation::AddItems => add_items::answer(&store, request).await,
        Operation::Recent
        | Operation::Items
        | Operation::Item
        | Operation::Get
        | Operation::List
        | Operation::Update
        | Operation::Delete
        | Operation::DeleteItem
        | Operation::Health => Err(Failure::misrouted()),
    }
}

/// Reads messages, items or one item.
///
/// # Errors
/// What is wrong, as the caller is to read it.
pub async fn recent(store: Arc<ConversationStore>, request: ApiRequest) -> Result<ApiResponse, Failure> {
    match request.operation {
        Operation::Recent => recent::answer(&store, request).await,
        Operation::Items => list_items::answer(&store, request).await,
        Operation::Item => get_item::answer(&store, request).await,
        Operation::Create
        | Operation::Add
        | Operation::AddItems
        | Operation::Get
        | Operation::List
        | Operation::Update
        | Operation::Delete
        | Operation::DeleteItem
        | Operation::Health => Err(Failure::misrouted()),
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
    match request.operation {
        Operation::Get => get::answer(&store.0, request).await,
        Operation::Health => health::answer(&store, &request).await,
        Operation::Create
        | Operation::Add
        | Operation::AddItems
        | Operation::Recent
        | Operation::Items
        | Operation::Item
        | Operation::List
        | Operation::Update
        | Operation::Delete
        | Operation::DeleteItem => Err(Failure::misrouted()),
    }
}

/// Lists conversations.
///
/// # Errors
/// What is wrong, as the caller is to read it.
pub async fn list(store: Arc<ConversationIndex>, request: ApiRequest) -> Result<ApiResponse, Failure> {
    match request.operation {
        Operation::List => list::answer(&store, request).await,
        Operation::Create
        | Operation::Add
        | Operation::AddItems
        | Operation::Recent
        | Operation::Items
        | Operation::Item
        | Operation::Get
        | Operation::Update
        | Operation::Delete
        | Operation::DeleteItem
        | Operation::Health => Err(Failure::misrouted()),
    }
}

/// Sets fields of a conversation.
///
/// # Errors
/// What is wrong, as the caller is to read it.
pub async fn update(store: Arc<ConversationStore>, request: ApiRequest) -> Result<ApiResponse, Failure> {
    match request.operation {
        Operation::Update => update::answer(&store, request).await,
        Operation::Create
        | Operation::Add
        | Operation::AddItems
        | Operation::Recent
        | Operation::Items
        | Operation::Item
        | Operation::Get
        | Operation::List
        | Operation::Delete
        | Operation::DeleteItem
        | Operation::Health => Err(Failure::misrouted()),
    }
}

/// Deletes a conversation or an item.
///
/// # Errors
/// What is wrong, as the caller is to read it.
pub async fn delete(store: Arc<ConversationStore>, request: ApiRequest) -> Result<ApiResponse, Failure> {
    match request.operation {
        Operation::Delete => delete::answer(&store, request).await,
        Operation::DeleteItem => delete_item::answer(&store, request).await,
        Operation::Create
        | Operation::Add
        | Operation::AddItems
        | Operation::Recent
        | Operation::Items
        | Operation::Item
        | Operation::Get
        | Operation::List
        | Operation::Update
        | Operation::Health => Err(Failure::misrouted()),
    }
}
