//! A client of the conversation store, which keeps the messages of chat and assistant applications, and the state of agents beside them.
//!
//! ```no_run
//! # async fn example() -> Result<(), conversation_client::Error> {
//! use conversation_client::{Change, Client, Error};
//! use serde_json::json;
//!
//! let store = Client::builder("http://127.0.0.1:9000").owner("ann").build()?;
//! let question = json!({ "role": "user", "content": "Hello!" });
//! let added = store.add_messages("trip", [question]).records([Change::put("state", "asked")]).await?;
//!
//! // What was written is read, whichever function and cache answers.
//! let page = store.list_messages("trip").limit(20).min_version(added.version).await?;
//! for message in &page.data {
//!     println!("{}: {}", message.seq(), message.json());
//! }
//!
//! // The answer is stored only if nobody has said anything meanwhile.
//! let answer = json!({ "role": "assistant", "content": "Hi!" });
//! match store.add_messages("trip", [answer]).if_match(page.version).await {
//!     Ok(added) => println!("now at version {}", added.version),
//!     Err(Error::VersionMismatch { version, .. }) => println!("somebody else was first, with version {version}"),
//!     Err(error) => return Err(error),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! There is a method of [`Client`] for each operation of the contract. It returns a [`Call`], which has a method for each further
//! parameter, and is sent when it is awaited.
//!
//! - **Retries.** A request is sent again after a lost connection and after 429, 502, 503 and 504, after a pause that grows or that
//!   `Retry-After` asks for, but not where the server says `x-should-retry: false`. Every write has an `Idempotency-Key`, so that it takes
//!   effect once.
//! - **Messages** are kept as text, to the byte: [`Message::json`]. [`Message::parse`] reads one into a type of yours.
//! - **Reads** with [`if_none_match`](Call::if_none_match) return None for as long as nothing has changed.
//! - **Records** are bytes under keys of a conversation, or of the owner with [`Scope::Owner`].

mod auth;
mod call;
mod client;
mod error;
mod models;
mod operation;
mod operations;
mod request;
mod response;
mod retry;
#[cfg(feature = "rig")]
pub mod rig;
mod transport;
mod version;

pub use auth::{Auth, TokenFuture, TokenProvider};
pub use call::{Call, Pages};
pub use client::{Client, ClientBuilder};
pub use error::{BoxError, Error, Problem};
pub use models::condition::{Match, Order};
pub use models::conversation::{Archived, Conversation, ConversationDeletions, ConversationPage, Health};
pub use models::message::{AddedMessages, Item, ItemPage, Message, MessagePage};
pub use models::owner::{ExportPage, OwnerData, OwnerErasure};
pub use models::record::{Change, Content, Record, RecordDeletion, RecordPage, Scope, StoredRecord, Written};
pub use operation::{ConditionalRead, IfChanged, Operation, Paged};
pub use operations::{
    AddItems, AddMessages, CreateConversation, DeleteConversation, DeleteConversations, DeleteItem,
    DeleteOwner, DeleteRecord, DeleteRecords, ExportOwner, GetConversation, GetHealth, GetItem, GetOwner,
    GetRecord, ListConversations, ListItems, ListMessages, ListRecords, PutRecord, ReplaceMessages,
    UpdateConversation, WriteRecords,
};
pub use request::Request;
pub use response::Response;
pub use transport::{TransportError, TransportFailure};
pub use version::CONTRACT_VERSION;

pub use hyper::Method;
pub use hyper::body::Bytes;
pub use hyper::header::{HeaderMap, HeaderValue};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
