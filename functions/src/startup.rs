//! How a function starts and ends: the stores that the environment names, and why it could not start.

use std::fmt::Display;
use std::process::ExitCode;

use conversation_core::{CacheConfig, ConversationIndex, ConversationStore, DatabaseConfig};

/// Why a function could not start.
#[derive(Debug)]
pub struct StartupError(pub(crate) String);

impl<E: Display> From<E> for StartupError {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Both stores, as the environment names them.
///
/// # Errors
/// A setting is missing or malformed.
pub fn open_store() -> Result<ConversationStore, StartupError> {
    let (database, cache) = (DatabaseConfig::from_env()?, CacheConfig::from_env()?);
    Ok(conversation_core::store(&database, &cache))
}

/// Postgres alone, as the environment names it.
///
/// # Errors
/// A setting is missing or malformed.
pub fn open_index() -> Result<ConversationIndex, StartupError> {
    Ok(conversation_core::conversation_index(&DatabaseConfig::from_env()?))
}

/// Ends a program, with one line on standard error if it could not do its work.
#[expect(clippy::print_stderr, reason = "logging may not have started")]
pub fn exit(outcome: Result<(), StartupError>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(StartupError(reason)) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}
