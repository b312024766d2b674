//! What callers can name, and what the two stores say to each other through the store. Nothing here does I/O.

pub(crate) mod conversation;
pub(crate) mod erasure;
pub(crate) mod error;
pub(crate) mod idempotency;
pub(crate) mod inspection;
pub(crate) mod json;
pub(crate) mod message;
pub(crate) mod page;
pub(crate) mod precondition;
pub(crate) mod read;
pub(crate) mod record;
pub(crate) mod retention;
pub(crate) mod snapshot;
pub(crate) mod transfer;
pub(crate) mod write;
