//! What the failure of a statement means: whether it may have been applied, and whether trying later may help.

use std::time::Duration;

use serde::Deserialize;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::types::error::{Error, Problem};

/// How long a statement may take, its connection included. With it, an operation that finds Postgres hanging has
/// answered within 3 s.
pub(super) const DEADLINE: Duration = Duration::from_secs(2);

/// A statement that failed, and whether the server may have applied it.
pub(super) struct StatementError {
    pub(super) error: sqlx::Error,
    pub(super) maybe_applied: bool,
}

/// The SQLSTATE with which `lock_conversation` refuses a write: its cache is of another generation than the one in use.
const CACHE_MOVING: &str = "CM001";
/// The SQLSTATE of `refuse_erased`: what the owner has is being hidden.
const ERASING: &str = "ER001";
/// The SQLSTATE with which `refuse_erased` says that a conversation of that id was erased.
const ERASED: &str = "ER002";
/// The SQLSTATE of a key that stands for another request. Not the name of a constraint: a distributed engine has others.
const IDEMPOTENCY_CONFLICT: &str = "IK001";

/// The SQLSTATEs of `fork_conversation`: no conversation to begin from, no such position in it, and one that is too long.
const NO_ORIGIN: &str = "FO001";
const BEYOND_ORIGIN: &str = "FO002";
const LONG_ORIGIN: &str = "FO003";
/// The SQLSTATE with which it says that the copy has a message of the id of a new one.
const COPIED: &str = "FO004";
/// The SQLSTATE with which it says that the copy would have too many records.
const MANY_RECORDS: &str = "FO005";
/// The SQLSTATE of `put_records`: a record is at another revision than the write depends on.
const REVISION_MISMATCH: &str = "RE001";
/// The most records that a fork begins with.
const FORK_RECORDS: usize = 100_000;
/// The most messages that a fork begins with, as `fork_conversation` has it.
const FORK: usize = 10_000;

impl StatementError {
    /// What stands in the way of a write, where the stored function says that by an error, so that nothing of it stays.
    fn of_condition(&self) -> Option<Error> {
        let error = self.error.as_database_error()?;
        let detail = || error.try_downcast_ref::<PgDatabaseError>()?.detail();
        match error.code()?.as_ref() {
            ERASING => Some(Error::ErasureUnderway),
            ERASED => Some(Error::ConversationDeleted),
            NO_ORIGIN => Some(Error::OriginNotFound),
            LONG_ORIGIN => Some(Error::OriginTooLong { max: FORK }),
            BEYOND_ORIGIN => {
                let last = detail()?.parse().ok()?;
                Some(Problem::OutOfRange { min: 0, max: last }.of("at").into())
            }
            MANY_RECORDS => Some(Error::OriginRecordsTooMany { max: FORK_RECORDS }),
            REVISION_MISMATCH => {
                #[derive(Deserialize)]
                struct Failed {
                    place: usize,
                    revision: i64,
                }
                let Failed { place, revision } = serde_json::from_str(detail()?).ok()?;
                Some(Error::RevisionMismatch { at: place, revision })
            }
            _ => None,
        }
    }

    /// The fingerprint of the request that an idempotency key stands for, where it stands for another one, in base64.
    pub(super) fn idempotency_conflict(&self) -> Option<&str> {
        self.detail_of(IDEMPOTENCY_CONFLICT)
    }

    /// The place of the message whose id the copy has that a conversation begins as.
    pub(super) fn copied(&self) -> Option<usize> {
        self.detail_of(COPIED)?.parse().ok()
    }

    /// The detail of an error of that code. It has nothing of what callers write: servers log it.
    fn detail_of(&self, code: &str) -> Option<&str> {
        let error = self.error.as_database_error()?;
        let detail = error.try_downcast_ref::<PgDatabaseError>()?.detail();
        detail.filter(|_| error.code().as_deref() == Some(code))
    }

    /// Whether it gave up waiting for somebody else's lock.
    pub(super) fn waited_for_a_lock(&self) -> bool {
        let error = self.error.as_database_error();
        error.is_some_and(|error| error.code().as_deref() == Some("55P03"))
    }

    pub(super) fn of_read(self) -> Error {
        if is_outage(&self.error) {
            Error::DatabaseUnavailable(self.error.to_string())
        } else {
            Error::Database(self.error)
        }
    }

    /// A write whose connection was lost may have been done all the same, and so may one whose connection the server, or a
    /// pooler before it, has ended with an error: that can come after the commit. What was answered to the statement itself
    /// was not done.
    pub(super) fn of_write(self) -> Error {
        if let Some(error) = self.of_condition() {
            return error;
        }
        match &self.error {
            sqlx::Error::Database(error) if error.code().as_deref() == Some(IDEMPOTENCY_CONFLICT) => {
                Error::IdempotencyConflict { path: String::new() }
            }
            sqlx::Error::Database(error) if error.code().as_deref() == Some(CACHE_MOVING) => {
                Error::CacheMoving
            }
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Database(_)
                if self.maybe_applied && !is_answer(&self.error) =>
            {
                Error::OutcomeUnknown(self.error.to_string())
            }
            _ => self.of_read(),
        }
    }
}

/// A statement that did not answer within the deadline.
pub(super) fn late() -> sqlx::Error {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer within the deadline").into()
}

/// Whether trying later may help: no connection, a lost one, or a server that is starting, stopping or full.
fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::WorkerCrashed => true,
        // Classes of SQLSTATE: 08 connection, 25006 read-only (a demoted primary), 28 authorization (a password that is
        // being changed, or too many logins by IAM at once), 40 rollback (deadlock among them), 53 resources, 55P03 lock not available, 57 operator intervention, 58 system.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "28", "40", "53", "57", "58"].contains(&code.get(..2).unwrap_or_default())
                || ["25006", "55P03"].contains(&code.as_ref())
        }),
        _ => false,
    }
}

/// Whether an error is what the server had to say of a statement, after which it waits for the next one.
pub(super) fn is_answer(error: &sqlx::Error) -> bool {
    let error = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    error.is_some_and(|error| error.severity() == PgSeverity::Error && !tells_of_a_loss(error.code()))
}

/// Whether an error tells that a connection was lost, whose ever it was: a pooler's to the server, perhaps. Class 08 is
/// connection exceptions, 57P01 to 57P03 are shutdowns, 57P05 and 25P03 ends of
/// sessions that stood idle, 40003 is a statement whose completion is unknown.
fn tells_of_a_loss(code: &str) -> bool {
    code.starts_with("08") || matches!(code, "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "40003")
}
