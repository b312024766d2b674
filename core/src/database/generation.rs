//! The cache's generation, as Postgres knows it.

use super::Database;
use super::error::StatementError;
use super::rows::only;
use crate::types::error::Error;

impl Database {
    /// The generation of the cache that these settings tell from others: the one in use, or one that nobody ever used.
    pub(crate) async fn propose_generation(&self, settings: &str) -> Result<String, Error> {
        let query = sqlx::query_scalar("select propose_cache_generation($1)").bind(settings);
        let mut session = self.sessions.own().await.map_err(unavailable)?;
        query.fetch_one(&mut *session).await.map_err(unavailable)
    }

    /// Makes a generation that was proposed the one in use.
    pub(crate) async fn move_generation(&self, generation: &str) -> Result<(), Error> {
        let query = sqlx::query("select move_cache_generation($1)").bind(generation);
        let mut session = self.sessions.own().await.map_err(unavailable)?;
        query.execute(&mut *session).await.map(drop).map_err(unavailable)
    }

    /// The generation in use.
    pub(crate) async fn current_generation(&self) -> Result<String, Error> {
        let rows = self.rows(sqlx::query("select generation from cache_generation")).await;
        let row = only(rows.map_err(StatementError::of_read)?)?;
        sqlx::Row::try_get(&row, "generation").map_err(Error::Database)
    }
}

fn unavailable(error: sqlx::Error) -> Error {
    StatementError { error, maybe_applied: true }.of_read()
}
