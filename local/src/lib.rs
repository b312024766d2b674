//! What a developer's machine needs to run and test the conversation store: Postgres and Valkey servers of one's own,
//! and a front that behaves as API Gateway and Lambda do.
//!
//! Everything started here is stopped again, also when the program that started it is killed.

mod authorizer;
mod certificates;
mod console;
mod gateway;
mod guard;
mod lambda;
mod postgres;
mod routes;
mod run;
mod test;
mod tools;
mod valkey;
mod visitors;
mod watch;
mod wheels;

use thiserror::Error;

pub use authorizer::Authorizer;
pub use certificates::Certificates;
pub use console::console;
pub use gateway::Gateway;
pub use guard::{Guarded, guard};
pub use lambda::{Functions, InvokeError, Lambda, LambdaSettings, Start};
pub use postgres::Postgres;
pub use routes::{DEFAULT_FUNCTION, Routes};
pub use run::{Settings, run};
pub use test::test;
pub use tools::{Tools, build, workspace};
pub use valkey::Valkey;
pub use wheels::{Wheels, lambda_emulator};

/// Something could not be set up or started. One line that says what to do.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Trouble(String);

impl Trouble {
    /// Says what the matter is.
    pub fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }

    /// Says what failed, and why.
    pub(crate) fn because(what: &str, error: &dyn std::fmt::Display) -> Self {
        Self(format!("{what}: {error}"))
    }
}

/// A result with [`Trouble`].
pub type Outcome<T> = Result<T, Trouble>;

/// A port of 127.0.0.1 that nobody uses just now.
pub(crate) fn free_port() -> Outcome<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address
        .map(|address| address.port())
        .map_err(|error| Trouble::because("no port of 127.0.0.1 is free", &error))
}

/// Starts something on a free port, which another process may snatch meanwhile: then on another one.
pub(crate) fn on_free_port<T>(start: impl Fn(u16) -> Outcome<T>) -> Outcome<T> {
    let first = start(free_port()?);
    if first.is_ok() { first } else { start(free_port()?) }
}

/// 122 random bits as a password that needs no escaping in a URL.
pub(crate) fn random_password() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
