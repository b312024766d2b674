//! Ports and passwords for servers on this machine.

use std::net::TcpListener;

use anyhow::{Context as _, Result};

/// Finds a port of 127.0.0.1 that is free just now.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0));
    let address = listener.and_then(|listener| listener.local_addr());
    Ok(address.context("no port of 127.0.0.1 is free")?.port())
}

/// Starts something on a free port; on a second one if another process takes the first meanwhile.
pub(crate) fn on_free_port<T>(start: impl Fn(u16) -> Result<T>) -> Result<T> {
    let first = start(free_port()?);
    if first.is_ok() { first } else { start(free_port()?) }
}

/// Makes a password of 122 random bits that needs no escaping in a URL.
pub(crate) fn random_password() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
