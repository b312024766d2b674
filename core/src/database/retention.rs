//! How long conversations are kept in this deployment: set by who migrates.

use super::Database;
use super::error::StatementError;
use super::sharding::is_plain;
use crate::types::error::Error;
use crate::types::retention::Retention;

/// What the sweep finds expired conversations by, where the deployment has a time for all of them.
const INDEX: &str = "conversations_updated_at_idx";

impl Database {
    /// Sets after which time any conversation expires, with the index by which the sweep finds them; or drops both.
    pub(crate) async fn set_retention(&self, retention: Retention) -> Result<(), Error> {
        let set = async {
            let mut session = self.sessions.own().await?;
            let statement = match retention.seconds() {
                None => format!("drop index if exists {INDEX}"),
                // Without a lock on writers; a partitioned table cannot have that.
                Some(_) => {
                    let concurrently = if is_plain(&mut session).await? { "concurrently" } else { "" };
                    format!(
                        "create index {concurrently} if not exists {INDEX} on conversations (updated_at)
                            where deleted_at is null"
                    )
                }
            };
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut *session).await?;
            let set = sqlx::query("select set_retention($1)").bind(retention.seconds());
            set.execute(&mut *session).await.map(drop)
        };
        set.await.map_err(|error| StatementError { error, maybe_applied: true }.of_read())
    }
}
