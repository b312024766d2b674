//! Who may use the tables.

use super::error::StatementError;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use super::Database;
use super::session::LIMITS;
use crate::types::error::Error;

/// What there is of a user's, and what is to be said of one, with the name quoted. `rds_iam` is a role that only Amazon
/// RDS has; its members authenticate by IAM. What migrations have been applied is none of a user's business.
const STATEMENTS: &str = "select
    case when not exists (select from pg_roles where rolname = $1) then format('create role %I login;', $1) end,
    case when exists (select from pg_roles where rolname = 'rds_iam') then format('grant rds_iam to %I;', $1) end,
    format('grant usage on schema public to %I;', $1),
    format('grant select, insert, update, delete on all tables in schema public to %I;', $1),
    format('revoke all on _sqlx_migrations from %I;', $1),
    format('revoke insert, update, delete on cache_generation, retention from %I;', $1),
    format('grant usage on all sequences in schema public to %I;', $1),
    format('grant execute on all functions in schema public to %I;', $1)";

impl Database {
    /// Lets a user change rows and not the schema, and nobody wait for what he has left behind; one who is not there is made.
    pub(crate) async fn grant_access(&self, user: &str) -> Result<(), Error> {
        let admitted = async {
            let mut session = self.sessions.own().await?;
            let mut transaction = session.begin().await?;
            grant_access(&mut transaction, user).await?;
            transaction.commit().await
        };
        admitted.await.map_err(|error| StatementError { error, maybe_applied: true }.of_read())
    }
}

async fn grant_access(connection: &mut PgConnection, user: &str) -> Result<(), sqlx::Error> {
    let row = sqlx::query(STATEMENTS).bind(user).fetch_one(&mut *connection).await?;
    for column in 0..row.len() {
        if let Some(statement) = row.try_get::<Option<String>, _>(column)? {
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *connection).await?;
        }
    }
    limit(connection, user).await
}

/// The limits of a session, as what the user's sessions begin with: those of a pooler, to which a client cannot say so, too.
async fn limit(connection: &mut PgConnection, user: &str) -> Result<(), sqlx::Error> {
    for (name, value) in LIMITS {
        let statement = "select format('alter role %I set %I = %L', $1, $2, $3)";
        let row =
            sqlx::query(statement).bind(user).bind(name).bind(value).fetch_one(&mut *connection).await?;
        sqlx::raw_sql(AssertSqlSafe(row.try_get::<String, _>(0)?)).execute(&mut *connection).await?;
    }
    Ok(())
}
