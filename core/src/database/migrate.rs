//! Migrations, in slices that end before whoever waits for them gives up, and that nobody has to wait behind for long.
//!
//! A migration that changes a table waits until everybody else has let go of it, and all who come after wait behind it: an
//! export may hold on for minutes. So it waits for a moment only, lets those pass who have come meanwhile, and tries again.

use std::time::Duration;

use sqlx::migrate::{Migrate as _, MigrateError, Migrator};
use sqlx::{Connection as _, PgConnection};
use tokio::time::{Instant, sleep};

use super::Database;
use super::sharding::{spread_functions, spread_tables};
use crate::config::Sharding;

/// How long a migration waits for a lock, and lets nobody pass.
const LOCK_TIMEOUT: &str = "set lock_timeout = '3s'";
/// How long others may pass before it waits again; then twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(8);
/// Where it is kept which have been applied.
const TABLE: &str = "_sqlx_migrations";
/// What Postgres says when a lock could not be had in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Every stored function, as it is now.
const FUNCTIONS: &str = include_str!(concat!(env!("OUT_DIR"), "/functions.sql"));

/// How far migrations have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migrated {
    /// All are applied.
    All,
    /// Some are left, or wait for a lock: ask again.
    Some,
}

impl Database {
    /// Applies the migrations that are missing, one after the other, and begins none after that time, but at least one if none
    /// else holds what it needs. Those that only newer code knows are no trouble: a deployment that is taken back finds the
    /// schema already ahead, and it stays there. Not through a pooler: they are kept apart from others that run at the same
    /// time by a lock that belongs to the session.
    pub(crate) async fn migrate_for(
        &self,
        sharding: Sharding,
        budget: Duration,
    ) -> Result<Migrated, MigrateError> {
        if self.sessions.is_pooled() {
            let why =
                "migrations need the database itself, and DATABASE_POOLER says that DATABASE_URL is a pooler";
            return Err(sqlx::Error::Configuration(why.into()).into());
        }
        let mut migrator = sqlx::migrate!();
        migrator.set_ignore_missing(true);
        let mut session = self.sessions.own().await?;
        slice(&migrator, &mut session, sharding, Instant::now() + budget).await
    }
}

/// Goes on for as long as locks can be had, and waits where one cannot.
async fn slice(
    migrator: &Migrator,
    session: &mut PgConnection,
    sharding: Sharding,
    until: Instant,
) -> Result<Migrated, MigrateError> {
    sqlx::raw_sql(LOCK_TIMEOUT).execute(&mut *session).await?;
    let mut pause = FIRST_PAUSE;
    loop {
        match advance(migrator, session, sharding, until).await {
            Err(error) if is_locked(&error) => tracing::warn!(%error, "a migration waits for others"),
            done => return done,
        }
        if Instant::now() + pause >= until {
            return Ok(Migrated::Some);
        }
        sleep(pause).await;
        pause = LAST_PAUSE.min(pause * 2);
    }
}

async fn advance(
    migrator: &Migrator,
    session: &mut PgConnection,
    sharding: Sharding,
    until: Instant,
) -> Result<Migrated, MigrateError> {
    let Left { missing, is_ahead } = left(migrator, session).await?;
    for (at, version) in missing.into_iter().enumerate() {
        if at > 0 && Instant::now() >= until {
            return Ok(Migrated::Some);
        }
        // Its `run` takes a connection in a way that no future may that is to go from thread to thread.
        migrator.run_direct(Some(version), session, false).await?;
        tracing::info!(version, "a migration was applied");
    }
    // Nothing is left to apply; it holds those that are against what they were when they were.
    migrator.run_direct(None, session, false).await?;
    if !is_ahead {
        spread_tables(session, sharding).await?;
        create_functions(session).await?;
        spread_functions(session).await?;
    }
    Ok(Migrated::All)
}

/// Creates every stored function anew, in one transaction: callers meet all of the old ones or all of the new ones.
async fn create_functions(session: &mut PgConnection) -> Result<(), MigrateError> {
    let mut transaction = session.begin().await?;
    // They name each other in any order.
    sqlx::raw_sql("set local check_function_bodies = off").execute(&mut *transaction).await?;
    sqlx::raw_sql(FUNCTIONS).execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

/// What an earlier run has left to do.
struct Left {
    /// The versions that are not applied.
    missing: Vec<i64>,
    /// Newer code has migrated: its functions stay, since they fit its tables and older code may call them.
    is_ahead: bool,
}

/// Finds what is left. The lock is kept until the connection ends: nobody else migrates meanwhile.
async fn left(migrator: &Migrator, session: &mut PgConnection) -> Result<Left, MigrateError> {
    session.lock().await?;
    session.ensure_migrations_table(TABLE).await?;
    let applied = session.list_applied_migrations(TABLE).await?;
    let known = migrator.iter().filter(|migration| !migration.migration_type.is_down_migration());
    let missing = known.filter(|known| applied.iter().all(|applied| applied.version != known.version));
    let is_ahead = applied.iter().any(|applied| !migrator.version_exists(applied.version));
    Ok(Left { missing: missing.map(|migration| migration.version).collect(), is_ahead })
}

fn is_locked(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else {
        return false;
    };
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref()
        == Some(LOCK_NOT_AVAILABLE)
}
