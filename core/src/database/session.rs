//! The single way to a connection, and what one statement takes on it.
//!
//! A statement is one transaction of its own. To Postgres itself it goes as it is, prepared once for each connection. A
//! pooler may give every transaction another connection, and the client library parses a statement in one cycle of the
//! protocol and executes it in the next: what is executed could then be what somebody else parsed. So through a pooler a
//! statement goes without a name, between BEGIN and COMMIT. That costs three round trips more, or two where the statement
//! is new to the connection.

use std::sync::{Mutex, PoisonError};

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgRow};
use sqlx::query::Query;
use sqlx::{Connection as _, PgConnection, Postgres};
use tokio::time::{Instant, timeout_at};

use super::{DEADLINE, Failure, late};
use crate::iam::{Token, Tokens};

/// Connections, opened when they are first needed.
#[derive(Debug)]
pub(crate) struct Sessions {
    pool: PgPool,
    login: Option<Login>,
    pooler: bool,
}

/// What new connections are opened with, where that does not stay the same.
struct Login {
    options: PgConnectOptions,
    tokens: Tokens,
    /// Which token the pool has.
    presented: Mutex<u64>,
}

/// Without the options, which have the token.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("tokens", &self.tokens).finish_non_exhaustive()
    }
}

impl Sessions {
    /// Of a pool whose connections log in with its own options, or with tokens in the place of their password.
    pub(crate) fn new(pool: PgPool, tokens: Option<Tokens>, pooler: bool) -> Self {
        let options = pool.connect_options();
        let login = tokens.map(|tokens| Login {
            options: PgConnectOptions::clone(&options),
            tokens,
            presented: Mutex::default(),
        });
        Self { pool, login, pooler }
    }

    /// Whether statements go through a pooler.
    pub(super) fn is_pooled(&self) -> bool {
        self.pooler
    }

    /// The pool, with a connection that can be used.
    pub(super) async fn ready(&self) -> Result<&PgPool, sqlx::Error> {
        drop(self.acquire().await?);
        Ok(&self.pool)
    }

    /// A connection. One that has to be opened is opened with a token that is still good; where it is refused all the
    /// same, another one is tried, once.
    pub(super) async fn acquire(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        let Some(login) = &self.login else { return self.pool.acquire().await };
        let token = login.tokens.current().await.map_err(std::io::Error::other)?;
        self.present(login, &token);
        match self.pool.acquire().await {
            Err(error) if is_refusal(&error) => {
                tracing::warn!(%error, "the IAM token was refused, another one is tried");
                let another = login.tokens.instead_of(&token).await.map_err(std::io::Error::other)?;
                self.present(login, &another);
                self.pool.acquire().await
            }
            acquired => acquired,
        }
    }

    /// Tells the pool what to open connections with, unless it knows something newer.
    fn present(&self, login: &Login, token: &Token) {
        let mut presented = login.presented.lock().unwrap_or_else(PoisonError::into_inner);
        if token.nth() > *presented {
            self.pool.set_connect_options(login.options.clone().password(token.secret()));
            *presented = token.nth();
        }
    }

    /// Runs one statement. A connection on which it was abandoned is closed: its answer may still come.
    pub(super) async fn rows(&self, query: Query<'_, Postgres, PgArguments>) -> Result<Vec<PgRow>, Failure> {
        let deadline = Instant::now() + DEADLINE;
        let mut connection = timeout_at(deadline, self.acquire())
            .await
            .unwrap_or_else(|_| Err(late()))
            .map_err(|error| Failure { error, begun: false })?;
        let mut begun = !self.pooler;
        let done = if self.pooler {
            timeout_at(deadline, in_transaction(&mut connection, query, &mut begun)).await
        } else {
            timeout_at(deadline, query.fetch_all(&mut *connection)).await
        };
        if let Ok(rows) = done {
            return rows.map_err(|error| Failure { error, begun });
        }
        connection.close_on_drop();
        Err(Failure { error: late(), begun })
    }
}

/// Runs one statement between BEGIN and COMMIT. Before COMMIT was sent nothing can have been done: `begun`.
async fn in_transaction(
    connection: &mut PgConnection,
    query: Query<'_, Postgres, PgArguments>,
    begun: &mut bool,
) -> Result<Vec<PgRow>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    match query.persistent(false).fetch_all(&mut *transaction).await {
        Ok(rows) => {
            *begun = true;
            transaction.commit().await?;
            Ok(rows)
        }
        Err(error) => {
            // At once: left to when the connection is used again, the pooler would keep one of its own for it until then.
            // Whether or not it can be done, the statement has failed.
            if let Err(error) = transaction.rollback().await {
                tracing::debug!(%error, "a failed statement was not rolled back");
            }
            Err(error)
        }
    }
}

/// Whether the server takes the user or the password, which may be a token, for wrong.
fn is_refusal(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    // 28: invalid authorization specification, of which 28P01 is a wrong password.
    code.is_some_and(|code| code.starts_with("28"))
}
