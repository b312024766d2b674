//! What Postgres counts of what is done in a test's database.

use std::time::Duration;

use sqlx::PgConnection;

use crate::fail;

/// Waits until nobody but the caller is connected to its database. A server process may keep what it counted to itself
/// for a while, but it reports everything before it ends.
pub async fn all_reported(postgres: &mut PgConnection) {
    let others = "select count(*) from pg_stat_activity
        where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()";
    for _ in 0..3_000 {
        let connected: Result<i64, _> = sqlx::query_scalar(others).fetch_one(&mut *postgres).await;
        if connected.unwrap_or_else(|error| fail(&error)) == 0 {
            return flush(postgres).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    fail(&"somebody stays connected")
}

async fn flush(postgres: &mut PgConnection) {
    let own = sqlx::query("select pg_stat_force_next_flush()").execute(postgres).await;
    own.unwrap_or_else(|error| fail(&error));
}
