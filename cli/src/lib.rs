//! The command line of the conversation store. What it reads and writes beyond the stores is here: the lines of an
//! export, the tables of other stores, and what a person sees of it.

mod check;
mod export;
mod from;
mod http;
mod import;
mod inspect;
pub mod line;
mod progress;
mod source;

use std::fmt::Display;

use thiserror::Error;

pub use check::{Check, check};
pub use export::{Export, export};
pub use from::Kind;
pub use import::{Import, import};
pub use inspect::{Inspect, inspect};

/// Something could not be done. One line that says what, and what would help.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Trouble(String);

impl Trouble {
    /// Says what the matter is.
    pub fn new(line: impl Into<String>) -> Self {
        Self(line.into())
    }

    /// Says what failed, and why.
    pub(crate) fn because(what: impl Display, error: &dyn Display) -> Self {
        Self(format!("{what}: {error}"))
    }
}

/// A result with [`Trouble`].
pub type Outcome<T> = Result<T, Trouble>;

impl From<conversation_core::ConfigError> for Trouble {
    fn from(error: conversation_core::ConfigError) -> Self {
        Self(error.to_string())
    }
}

impl From<conversation_core::Error> for Trouble {
    fn from(error: conversation_core::Error) -> Self {
        Self(error.to_string())
    }
}

/// A line for whoever reads the output.
#[expect(clippy::print_stdout, reason = "this is a program for the terminal")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// A line about what is going on, past the output.
#[expect(clippy::print_stderr, reason = "this is a program for the terminal")]
pub(crate) fn note(line: &str) {
    eprintln!("{line}");
}
