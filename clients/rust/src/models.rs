//! What requests take and answers have. Fields that a newer server adds are ignored.

pub(crate) mod condition;
pub(crate) mod conversation;
pub(crate) mod message;
pub(crate) mod owner;
pub(crate) mod raw;
pub(crate) mod record;
