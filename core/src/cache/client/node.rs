//! One server: a connection that is made when it is needed, and a rest for a server that does not answer.

use crate::types::error::CacheError;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, RedisError};
use tokio::time::Instant;

use super::access::ConnectOptions;
use super::fault::Fault;
use super::request::{Request, SendOptions};

/// How long a server that could not be reached is left alone, so that a hanging one costs its time-out once and not at
/// every step of every operation.
const OPEN_FOR: Duration = Duration::from_secs(1);

/// A server.
pub(in crate::cache) struct Node {
    access: ConnectOptions,
    state: Mutex<State>,
    /// Held by whoever makes a connection, so that one is made.
    opening: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    connection: Option<Open>,
    opened: u64,
    open_until: Option<Instant>,
}

/// A connection, and how many there were before it.
#[derive(Clone)]
struct Open {
    connection: MultiplexedConnection,
    nth: u64,
}

impl Node {
    pub(in crate::cache) fn new(access: ConnectOptions) -> Self {
        Self { access, state: Mutex::default(), opening: tokio::sync::Mutex::default() }
    }

    /// Asks the server. A script that it does not know goes with its text the second time: what answers NOSCRIPT has done
    /// nothing.
    pub(in crate::cache) async fn ask<T: FromRedisValue>(
        &self,
        request: &Request,
        asking: bool,
    ) -> Result<T, Fault> {
        match self.ask_once(request, SendOptions { asking, with_text: false }).await {
            Err(Fault::NoScript) => self.ask_once(request, SendOptions { asking, with_text: true }).await,
            answer => answer,
        }
    }

    /// The same, once more where the connection turns out to be closed: for what does no harm done twice.
    pub(in crate::cache) async fn ask_again<T: FromRedisValue>(&self, request: &Request) -> Result<T, Fault> {
        match self.ask(request, false).await {
            Err(Fault::Failed(CacheError::Closed(_))) => self.ask(request, false).await,
            answer => answer,
        }
    }

    /// Whether it is left alone just now.
    pub(in crate::cache) fn is_open(&self) -> bool {
        self.state().open_until.is_some_and(|until| Instant::now() < until)
    }

    /// Lets it be asked again.
    pub(in crate::cache) fn reset(&self) {
        self.state().open_until = None;
    }

    async fn ask_once<T: FromRedisValue>(&self, request: &Request, options: SendOptions) -> Result<T, Fault> {
        let Open { mut connection, nth } = self.open().await?;
        let answer = request.send(&mut connection, options).await;
        let answer = answer.and_then(|value| T::from_redis_value(value).map_err(RedisError::from));
        answer.map_err(|error| self.note(Fault::of(&error), nth))
    }

    /// The connection, made if there is none.
    async fn open(&self) -> Result<Open, Fault> {
        if let Some(open) = self.opened()? {
            return Ok(open);
        }
        let _one = self.opening.lock().await;
        if let Some(open) = self.opened()? {
            return Ok(open);
        }
        // Rare, and large: beside it the way to an answer would be carried around with every question.
        match Box::pin(self.access.open()).await {
            Ok(connection) => {
                let mut state = self.state();
                state.opened += 1;
                let open = Open { connection, nth: state.opened };
                state.connection = Some(open.clone());
                Ok(open)
            }
            Err(fault) => Err(self.note_unopened(fault)),
        }
    }

    fn opened(&self) -> Result<Option<Open>, Fault> {
        if self.is_open() {
            return Err(CacheError::Unreachable("left alone after a failure".into()).into());
        }
        Ok(self.state().connection.clone())
    }

    /// A server that closes connections before it has said anything, or says nothing, is not there.
    fn note_unopened(&self, fault: Fault) -> Fault {
        let fault = match fault {
            Fault::Late(said) | Fault::Failed(CacheError::Closed(said)) => {
                CacheError::Unreachable(said).into()
            }
            fault => fault,
        };
        self.note(fault, 0)
    }

    /// Draws the consequences. After a time-out the connection is given up, since the other end may be gone without a word;
    /// but the server is left alone only if another one cannot be opened: one key may be slow, and the server well for all
    /// others. And a connection to a server that has become a replica may, made anew, lead to the new primary.
    fn note(&self, fault: Fault, nth: u64) -> Fault {
        let mut state = self.state();
        if let Fault::Failed(CacheError::Unreachable(_)) = fault {
            state.open_until = Some(Instant::now() + OPEN_FOR);
        }
        let lost = matches!(
            fault,
            Fault::Late(_)
                | Fault::ReadOnly(_)
                | Fault::Failed(CacheError::Unreachable(_) | CacheError::Closed(_))
        );
        if lost && state.connection.as_ref().is_some_and(|open| open.nth == nth) {
            state.connection = None;
        }
        fault
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
