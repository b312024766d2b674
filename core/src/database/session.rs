//! The single way to a connection, and what one statement takes on it.
//!
//! A statement is one transaction of its own. To Postgres itself it goes as it is, prepared once for each connection. A
//! pooler may give every transaction another connection, and the client library parses a statement in one cycle of the
//! protocol and executes it in the next: what is executed could then be what somebody else parsed. So through a pooler a
//! statement goes without a name, between BEGIN and COMMIT. That costs three round trips more, or two where the statement
//! is new to the connection.

use super::error::{DEADLINE, StatementError, is_answer, late};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgRow};
use sqlx::query::Query;
use sqlx::{Connection as _, Execute as _, PgConnection, Postgres};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::config::DatabaseConfig;
use crate::iam::{Token, Tokens};
use crate::jitter::{random_below, random_share};

/// How long a request waits for a connection.
const ACQUIRE: Duration = Duration::from_millis(1_800);
/// A connection idle for this long is tried before it is used: the function may have been frozen meanwhile.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// How long after the first try a server that is full or starts is asked for a connection again; then twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The last time: a write's intent stands meanwhile, and sends its readers to the same server.
const LAST_PAUSE: Duration = Duration::from_millis(160);
/// After how long a statement that could not be ordered is tried again, at most; then twice as long, up to the last. A random
/// share of it, so that those who met do not meet again.
const FIRST_RETRY: Duration = Duration::from_millis(4);
const LAST_RETRY: Duration = Duration::from_millis(64);
/// A connection older than this is replaced, so that what has changed on the way to the server is noticed.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// What a server ends by itself, of sessions that are for requests: a request has its answer after two seconds, or nobody
/// waits for it any more, and the server may not learn of that. The last one says how often it looks whether a client is
/// there while a statement runs.
pub(super) const LIMITS: [(&str, &str); 5] = [
    ("statement_timeout", "2500ms"),
    ("lock_timeout", "1500ms"),
    ("idle_in_transaction_session_timeout", "5s"),
    ("idle_session_timeout", "60s"),
    ("client_connection_check_interval", "1s"),
];

/// What takes long by its nature is not ended, whoever does it: migrations, exports.
const NO_LIMITS: [(&str, &str); 4] = [
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("idle_session_timeout", "0"),
];

/// Connections, opened when they are first needed. sqlx's own pool asks the server whether a connection is still good
/// whenever one is given back: a round trip with every statement. Where connections are refused, a request fails at
/// once.
#[derive(Debug)]
pub(crate) struct Sessions {
    config: DatabaseConfig,
    /// Made when it is first needed: most instances of a function that reads never come to that.
    pool: OnceLock<Pool<Opener>>,
    /// The first connection, while it is being opened and nobody waits for it yet.
    first: Mutex<Option<JoinHandle<Result<(), sqlx::Error>>>>,
}

/// What connections are opened with.
struct Opener {
    /// For each host of the database; at least one.
    hosts: Vec<PgConnectOptions>,
    /// Each connection begins with a host drawn at random.
    balanced: bool,
    /// The host that was reached last.
    reached: AtomicUsize,
    /// In the place of a password.
    tokens: Option<Tokens>,
}

/// Without the options, which have the password.
impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener").field("tokens", &self.tokens).finish_non_exhaustive()
    }
}

impl Opener {
    /// Tries one host after the other until one can be reached. What a server refuses, another one would refuse too.
    async fn open(&self) -> Result<PgConnection, sqlx::Error> {
        let count = self.hosts.len();
        let first = if self.balanced { random_below(count) } else { self.reached.load(Relaxed) };
        let mut failure = late();
        for at in (first..first + count).map(|at| at % count) {
            let opened = match &self.hosts[at] {
                only if count == 1 => self.open_at(only).await,
                // One that does not answer must leave time for the next.
                host => timeout(ACQUIRE / 3, self.open_at(host)).await.unwrap_or_else(|_| Err(late())),
            };
            match opened {
                Err(error) if error.as_database_error().is_none() || is_passing(&error) => failure = error,
                done => {
                    self.reached.store(at, Relaxed);
                    return done;
                }
            }
        }
        Err(failure)
    }

    /// Where a token is refused that should still be good, another one is tried, once.
    async fn open_at(&self, host: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
        let Some(tokens) = &self.tokens else { return PgConnection::connect_with(host).await };
        let token = tokens.current().await.map_err(std::io::Error::other)?;
        match log_in(host, &token).await {
            Err(error) if is_refusal(&error) => {
                tracing::warn!(%error, "the IAM token was refused, another one is tried");
                let another = tokens.instead_of(&token).await.map_err(std::io::Error::other)?;
                log_in(host, &another).await
            }
            opened => opened,
        }
    }
}

async fn log_in(host: &PgConnectOptions, token: &Token) -> Result<PgConnection, sqlx::Error> {
    PgConnection::connect_with(&host.clone().password(token.secret())).await
}

impl Manager for Opener {
    type Type = Session;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Session, sqlx::Error> {
        let mut pause = FIRST_PAUSE;
        loop {
            // Rare, and large: beside it a statement would be carried around.
            match Box::pin(self.open()).await {
                Err(error) if is_passing(&error) && pause <= LAST_PAUSE => sleep(pause).await,
                opened => return Ok(Session { connection: opened?, is_sound: true }),
            }
            pause *= 2;
        }
    }

    async fn recycle(&self, session: &mut Session, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if !session.is_sound || metrics.age() > LIFETIME {
            return Err(RecycleError::message("a new one is opened"));
        }
        if metrics.last_used() > TRUSTED_IDLE {
            session.connection.ping().await?;
        }
        Ok(())
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Session {
    connection: PgConnection,
    /// Nothing is left to come on it. While it is in use that is not so: a statement may be dropped at any time, and then
    /// whoever wants a connection next closes this one.
    is_sound: bool,
}

impl Deref for Session {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Sessions {
    /// To that database.
    pub(crate) fn new(config: &DatabaseConfig) -> Self {
        Self { config: config.clone(), pool: OnceLock::new(), first: Mutex::default() }
    }

    fn pool(&self) -> &Pool<Opener> {
        self.pool.get_or_init(|| {
            let pool = Pool::builder(self.opener(&LIMITS)).max_size(self.config.connections).build();
            #[expect(clippy::expect_used, reason = "it has no time-outs, which alone would need a runtime")]
            pool.expect("a pool without time-outs")
        })
    }

    /// What connections are opened with, which begin with some settings. A pooler takes none: its sessions begin with those of
    /// the role.
    fn opener(&self, settings: &[(&str, &str)]) -> Opener {
        let mut hosts = self.config.hosts.clone();
        if !self.is_pooled() {
            hosts = hosts.into_iter().map(|host| host.options(settings.iter().copied())).collect();
        }
        let (balanced, tokens) = (self.config.balanced, self.config.iam.clone().map(Tokens::new));
        Opener { hosts, balanced, reached: AtomicUsize::new(0), tokens }
    }

    /// Whether statements go through a pooler.
    pub(super) fn is_pooled(&self) -> bool {
        self.config.pooler
    }

    /// Begins to open the first connection, where one will soon be needed. If it cannot be opened, whoever needs it gets the error.
    pub(super) fn prepare(&self) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.as_ref().is_none_or(JoinHandle::is_finished) && self.pool().status().size == 0 {
            let pool = self.pool().clone();
            *first = Some(tokio::spawn(async move { get(&pool).await.map(drop) }));
        }
    }

    /// A connection that nobody else uses, that ends with whoever has it, and on which a statement may take as long as it does.
    pub(super) async fn own(&self) -> Result<Session, sqlx::Error> {
        let opener = self.opener(&NO_LIMITS);
        timeout(ACQUIRE, opener.create()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    async fn acquire(&self) -> Result<Object<Opener>, sqlx::Error> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        // What came of an earlier one that nobody waited for was true then.
        if let Some(first) = first.filter(|first| !first.is_finished())
            && let Ok(opened) = first.await
        {
            opened?;
        }
        let mut session = get(self.pool()).await?;
        session.is_sound = false;
        Ok(session)
    }

    /// Runs one statement. Where the server could not order it among others, all of it was undone, and it is run again with the
    /// same ids, within the deadline: everything that an operation does in Postgres is one statement.
    pub(super) async fn rows(
        &self,
        mut query: Query<'_, Postgres, PgArguments>,
    ) -> Result<Vec<PgRow>, StatementError> {
        let deadline = Instant::now() + DEADLINE;
        let arguments = query
            .take_arguments()
            .map_err(|error| StatementError { error: sqlx::Error::Encode(error), maybe_applied: false })?;
        let (arguments, statement) = (arguments.unwrap_or_default(), query.sql());
        let mut pause = FIRST_RETRY;
        loop {
            let query = sqlx::query_with(statement.clone(), arguments.clone());
            match self.run(query, deadline).await {
                Err(failed) if is_unordered(&failed.error) && Instant::now() + pause < deadline => {
                    sleep(pause.mul_f64(random_share())).await;
                    pause = LAST_RETRY.min(pause * 2);
                }
                done => return done,
            }
        }
    }

    /// Runs a statement once. A connection on which it was abandoned is closed: its answer may still come.
    async fn run(
        &self,
        query: Query<'_, Postgres, PgArguments>,
        deadline: Instant,
    ) -> Result<Vec<PgRow>, StatementError> {
        let mut session = timeout_at(deadline, self.acquire())
            .await
            .unwrap_or_else(|_| Err(late()))
            .map_err(|error| StatementError { error, maybe_applied: false })?;
        let mut maybe_applied = !self.is_pooled();
        let done = if self.is_pooled() {
            timeout_at(deadline, in_transaction(&mut session, query, &mut maybe_applied)).await
        } else {
            timeout_at(deadline, query.fetch_all(&mut **session)).await
        };
        let done = done.unwrap_or_else(|_| Err(late()));
        // Behind a pooler a transaction may be left that could not be rolled back.
        session.is_sound = done.as_ref().err().is_none_or(|error| is_answer(error) && !self.is_pooled());
        if !session.is_sound {
            drop(Object::take(session));
        }
        done.map_err(|error| StatementError { error, maybe_applied })
    }
}

async fn get(pool: &Pool<Opener>) -> Result<Object<Opener>, sqlx::Error> {
    match timeout(ACQUIRE, pool.get()).await {
        Ok(Ok(session)) => Ok(session),
        Ok(Err(PoolError::Backend(error))) => Err(error),
        Ok(Err(_)) | Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

/// Runs one statement between BEGIN and COMMIT. Before COMMIT was sent nothing can have been done: `maybe_applied`.
async fn in_transaction(
    connection: &mut PgConnection,
    query: Query<'_, Postgres, PgArguments>,
    maybe_applied: &mut bool,
) -> Result<Vec<PgRow>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    match query.persistent(false).fetch_all(&mut *transaction).await {
        Ok(rows) => {
            *maybe_applied = true;
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

/// Whether the server is there and will soon take connections: one that was just closed may still count.
fn is_passing(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_transient_in_connect_phase)
}

/// Whether a statement was undone because it could not be ordered among others: 40001 is a serialization failure, which engines
/// without waiting locks answer to the later of two writers, 40P01 a deadlock.
fn is_unordered(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == "40001" || code == "40P01")
}

/// Whether the server takes the user or the password, which may be a token, for wrong.
fn is_refusal(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    // 28: invalid authorization specification, of which 28P01 is a wrong password.
    code.is_some_and(|code| code.starts_with("28"))
}
