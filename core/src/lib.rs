//! A conversation store for chat and assistant applications. Every message goes to Postgres, all of them, for good, and
//! to Redis, the last 100 of each conversation. Recent messages and what is known of a conversation are read from Redis
//! first; a miss falls back to Postgres and warms the cache. Lists come from Postgres alone. Deleting clears both.
//!
//! This crate knows neither HTTP nor Lambda.
//!
//! # The life of an add
//!
//! 1. [`Batch`] checks the messages; nothing that breaks a rule comes further.
//! 2. *begin* sets a fence in Redis: until it falls, readers go to Postgres. It answers the epoch that the cache knows.
//! 3. *commit* calls one function in Postgres, which locks the conversation's row, refuses if the row has another epoch,
//!    looks for messages stored before, and gives the new ones their positions.
//! 4. *publish* brings them into Redis and takes the fence away. Then the caller is answered.
//!
//! # The life of a read
//!
//! 1. *look* fetches the entry, the window and the server's replication id in one round trip. A certificate in date,
//!    no fence and a whole window are a hit.
//! 2. Anything else is a [`Miss`] with a reason. *lease* makes one of many readers the one who fills.
//! 3. Postgres is read, taking a new epoch, so that no commit that was fenced before can follow unseen.
//! 4. *fill* warms the cache with what was read and certifies it.
//!
//! # Order
//!
//! Messages are numbered from 1 without gaps, under the lock of their conversation's row. Order is that number, never a
//! time.

mod cache;
mod config;
mod connect;
mod conversation;
mod database;
mod error;
mod message;
mod page;
mod snapshot;
mod store;

pub use cache::{CacheError, Miss};
pub use config::{CacheConfig, ConfigError, DatabaseConfig, IdentityConfig, LogConfig, is_on_lambda};
pub use connect::{directory, store};
pub use conversation::{
    Conversation, ConversationId, ConversationKey, ID_CHARS, Kind, METADATA_KEY_CHARS, METADATA_PAIRS,
    METADATA_VALUE_CHARS, Metadata, OWNER_CHARS, OwnerId, TITLE_CHARS, Title,
};
pub use error::{Error, Invalid, Problem};
pub use message::{BATCH, Batch, MESSAGE_BYTES, MESSAGE_DEPTH, Message, MessageId, NewMessage, Role};
pub use page::{Cursor, Direction, Limit, Order, Page, Range};
pub use snapshot::WINDOW;
pub use store::{
    Added, Change, Changed, ConversationStore, Directory, Listing, NewConversation, Read, Source, Swept, Told,
};
