//! A Redis client that knows no conversation: one server or a cluster, connections that are made when they are first needed,
//! scripts, redirections and a circuit breaker.

mod access;
mod cluster;
mod connection;
mod fault;
mod node;
mod request;
mod script;
mod slots;

pub(crate) use access::ConnectOptions;
pub(crate) use connection::Connection;
pub(super) use node::Node;
pub(super) use request::Request;
pub(super) use script::{Call, Script};
