//! Connections that wait for their next request.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::endpoint::Connection;

/// The most connections that are kept.
const MOST: usize = 32;
/// How long one is kept without a request: less than load balancers keep one.
const EXPIRY: Duration = Duration::from_secs(30);

/// Connections that wait for their next request, in the order in which they were used.
#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Idle {
    fn is_usable(&self) -> bool {
        self.since.elapsed() < EXPIRY && !self.connection.is_closed()
    }
}

impl Pool {
    /// Takes the connection that was used last.
    pub(super) fn take(&self) -> Option<Connection> {
        let mut idle = self.lock();
        std::iter::from_fn(|| idle.pop()).find(Idle::is_usable).map(|idle| idle.connection)
    }

    /// Keeps a connection for the next request, and forgets those that cannot have one any more.
    pub(super) fn put(&self, connection: Connection) {
        let mut idle = self.lock();
        idle.retain(Idle::is_usable);
        if idle.len() == MOST {
            idle.remove(0);
        }
        idle.push(Idle { connection, since: Instant::now() });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
