//! The operations of the contract. Each has a method of the client that prepares it, with what it cannot be without, and a method of
//! its call for each further parameter.

mod conversations;
mod delete_conversations;
mod filter;
mod health;
mod items;
mod list_records;
mod messages;
mod owner;
mod records;
mod setters;

pub use conversations::{
    CreateConversation, DeleteConversation, GetConversation, ListConversations, UpdateConversation,
};
pub use delete_conversations::DeleteConversations;
pub use health::GetHealth;
pub use items::{AddItems, DeleteItem, GetItem, ListItems};
pub use list_records::ListRecords;
pub use messages::{AddMessages, ListMessages, ReplaceMessages};
pub use owner::{DeleteOwner, ExportOwner, GetOwner};
pub use records::{DeleteRecord, DeleteRecords, GetRecord, PutRecord, WriteRecords};
