//! From settings to connections. Nothing is opened here: each store is reached when it is first asked.
//!
//! # How many connections Postgres has to allow
//!
//! An instance of a function opens no more than the requests it is given at a time: one, or on Lambda Managed Instances
//! `AWS_LAMBDA_MAX_CONCURRENCY`. For some seconds it may hold as many again, and instances of old code keep theirs for a minute
//! beside those of new code. So `max_connections` is at least twice the sum, over the functions that read or write Postgres, of
//! reserved concurrency x max(1, `AWS_LAMBDA_MAX_CONCURRENCY`), and besides 1 for migrations, 1 for the probe, what the server
//! reserves (`superuser_reserved_connections`, which is 3, and `reserved_connections`), and what the operator's own tools need.
//! A function without reserved concurrency can take every connection there is.
//!
//! A statement whose instance is gone is ended by the server, at the latest 2.5 s after it began, and a connection that stands
//! idle after a minute: that is what our sessions begin with, and those of whoever is let in by a deployment. Functions do not
//! register for SIGTERM to close them themselves: that takes an extension, whose registration every cold start would wait
//! for, and an instance that is lost gets no notice at all.

use std::time::Duration;

use redis::AsyncConnectionConfig;

use crate::cache::{Cache, ConnectOptions, Connection};
use crate::config::{CacheConfig, DatabaseConfig, Sharding};
use crate::database::{Database, Migrated, Sessions};
use crate::iam::Tokens;
use crate::store::{ConversationIndex, ConversationStore};

/// How long Redis may take to accept a connection. Within one network it takes about a millisecond.
const REDIS_CONNECT: Duration = Duration::from_millis(300);
/// How long Redis may take to answer: far above what it needs, far below what a caller would wait for Postgres.
const REDIS_RESPONSE: Duration = Duration::from_millis(300);

/// Everything: Postgres and Redis.
pub fn store(database: &DatabaseConfig, cache: &CacheConfig) -> ConversationStore {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(REDIS_CONNECT))
        .set_response_timeout(Some(REDIS_RESPONSE));
    let access = ConnectOptions::new(cache.client.clone(), config, cache.iam.clone().map(Tokens::new));
    let connection = Connection::new(access, cache.cluster);
    let record_bytes = database.record_bytes;
    let database = Database::new(Sessions::new(database)).beside_cache(cache.generation());
    ConversationStore::new(ConversationIndex::new(database, record_bytes), Cache::new(connection, cache))
}

/// Applies the migrations that are missing, for about so long, and spreads the tables.
///
/// # Errors
/// A migration failed, or one that was applied has changed since.
pub async fn migrate(
    database: &DatabaseConfig,
    sharding: Sharding,
    budget: Duration,
) -> Result<Migrated, sqlx::migrate::MigrateError> {
    Database::new(Sessions::new(database)).migrate_for(sharding, budget).await
}

/// Postgres alone.
pub fn conversation_index(database: &DatabaseConfig) -> ConversationIndex {
    ConversationIndex::new(Database::new(Sessions::new(database)), database.record_bytes)
}
