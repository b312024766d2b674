//! Telling an outage from an answer, and not paying for it at every step.

use std::sync::Mutex;
use std::time::Duration;

use redis::{RedisError, RedisResult};
use thiserror::Error;
use tokio::time::Instant;

/// How long a cache that could not be reached is left alone, so that a hanging one costs its time-out once and not at
/// every step of every operation.
const REST: Duration = Duration::from_secs(1);

/// The cache did not do, or may not have done, what it was asked.
#[derive(Clone, Debug, Error)]
pub enum CacheError {
    /// It cannot be reached, or did not answer in time.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The connection was closed meanwhile. The next one may do.
    #[error("connection closed: {0}")]
    Closed(String),
    /// It answered an error: it is full, loading, read-only.
    #[error("{0}")]
    Refused(String),
}

/// Whether the cache is worth asking.
#[derive(Debug, Default)]
pub(super) struct Health {
    rests_until: Mutex<Option<Instant>>,
}

impl Health {
    /// # Errors
    /// [`CacheError::Unreachable`] while it rests.
    pub(super) fn check(&self) -> Result<(), CacheError> {
        match *self.rests_until() {
            Some(until) if Instant::now() < until => {
                Err(CacheError::Unreachable("left alone after a failure".into()))
            }
            _ => Ok(()),
        }
    }

    /// Takes note of how a call went.
    pub(super) fn record<T>(&self, answer: RedisResult<T>) -> Result<T, CacheError> {
        let error = match answer {
            Ok(answer) => {
                self.rests_until().take();
                return Ok(answer);
            }
            Err(error) => classify(&error),
        };
        if matches!(error, CacheError::Unreachable(_)) {
            *self.rests_until() = Some(Instant::now() + REST);
        }
        Err(error)
    }

    fn rests_until(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.rests_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn classify(error: &RedisError) -> CacheError {
    let message = error.to_string();
    if error.is_connection_refusal() || error.is_timeout() {
        CacheError::Unreachable(message)
    } else if error.is_connection_dropped() {
        CacheError::Closed(message)
    } else if error.is_io_error() {
        CacheError::Unreachable(message)
    } else {
        CacheError::Refused(message)
    }
}
