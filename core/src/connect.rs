//! From settings to connections. Nothing is opened here: each store is reached when it is first asked.

use std::time::Duration;

use redis::AsyncConnectionConfig;
use sqlx::Connection as _;
use sqlx::postgres::PgPoolOptions;

use crate::cache::{Cache, Connection};
use crate::config::{CacheConfig, DatabaseConfig};
use crate::database::Database;
use crate::store::{ConversationStore, Directory};

/// How long Redis may take to accept a connection. Within one network it takes about a millisecond.
const REDIS_CONNECT: Duration = Duration::from_millis(300);
/// How long Redis may take to answer: far above what it needs, far below what a caller would wait for Postgres.
const REDIS_RESPONSE: Duration = Duration::from_millis(300);

/// How long a request waits for a connection to Postgres.
const POSTGRES_ACQUIRE: Duration = Duration::from_millis(1_800);
/// The most connections of one instance. Lambda gives an instance one request at a time, or as many as it is
/// configured for; the rest queue for [`POSTGRES_ACQUIRE`].
const POSTGRES_CONNECTIONS: u32 = 4;
/// A connection idle for this long is tried before it is used: the function may have been frozen meanwhile.
const POSTGRES_TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// Everything: Postgres and Redis.
pub fn store(database: &DatabaseConfig, cache: &CacheConfig) -> ConversationStore {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(REDIS_CONNECT))
        .set_response_timeout(Some(REDIS_RESPONSE));
    let connection = Connection::new(cache.client.clone(), config, cache.cluster);
    ConversationStore::new(directory(database), Cache::new(connection, &cache.prefix))
}

/// Postgres alone.
pub fn directory(database: &DatabaseConfig) -> Directory {
    let pool = PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .acquire_timeout(POSTGRES_ACQUIRE)
        .test_before_acquire(false)
        .before_acquire(|connection, idle| {
            Box::pin(async move {
                if idle.idle_for > POSTGRES_TRUSTED_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(database.options.clone());
    Directory::new(Database::new(pool))
}
