//! Why a request has no answer.

use std::io;
use std::time::Duration;

use thiserror::Error;

/// A request that was not answered. It may have been received all the same, unless no connection could be opened.
#[derive(Debug, Error)]
#[error("{request}: {failure}")]
pub struct TransportError {
    /// The request's method and URL.
    pub request: String,
    /// What went wrong.
    pub failure: TransportFailure,
}

/// What can go wrong on the way to the server.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TransportFailure {
    /// No connection could be opened.
    #[error("cannot connect: {0}")]
    Connect(#[from] io::Error),
    /// The connection was lost, or what came is not HTTP.
    #[error("the connection was lost: {0}")]
    Lost(#[from] hyper::Error),
    /// The answer did not come in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}
