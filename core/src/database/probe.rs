//! What Postgres is asked before it is relied on.

use super::rows::only;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::types::conversation::ConversationKey;

use super::Database;
use super::session::LIMITS;

/// What was found, or one sentence that says what is wrong.
type Outcome = Result<String, String>;

/// What statements speak of.
const TABLES: [&str; 12] = [
    "conversations",
    "messages",
    "deleted_messages",
    "pending_invalidations",
    "purges",
    "idempotency_keys",
    "metadata_pairs",
    "owners",
    "records",
    "erasures",
    "erased_ids",
    "import_positions",
];

fn wrong(error: &sqlx::Error) -> String {
    let said = error.to_string();
    let lower = said.to_lowercase();
    if matches!(error, sqlx::Error::Tls(_)) || lower.contains("certificate") || lower.contains("tls") {
        format!("there is no TLS with Postgres, sslrootcert has to name who signed its certificate: {said}")
    } else {
        said
    }
}

fn column<'r, T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>>(
    row: &'r PgRow,
    name: &str,
) -> Result<T, String> {
    row.try_get(name).map_err(|error| wrong(&error))
}

impl Database {
    async fn asked(&self, query: &'static str) -> Result<PgRow, String> {
        let rows = self.rows(sqlx::query(query)).await.map_err(|failure| wrong(&failure.error))?;
        only(rows).map_err(|error| error.to_string())
    }

    /// Whether it answers, and to whom.
    pub(crate) async fn probe_reached(&self) -> Outcome {
        let row = self
            .asked("select format('%s as %s', current_setting('server_version'), current_user) as said")
            .await?;
        Ok(format!("PostgreSQL {}", column::<String>(&row, "said")?))
    }

    /// Whether it takes writes.
    pub(crate) async fn probe_role(&self) -> Outcome {
        let row = self.asked("select pg_is_in_recovery() as replica").await?;
        if column(&row, "replica")? {
            return Err("DATABASE_URL leads to a replica".into());
        }
        Ok("it is a primary".into())
    }

    /// Whether all tables are there.
    pub(crate) async fn probe_schema(&self) -> Outcome {
        // Which nobody changes but deployments.
        let tables = [&TABLES[..], &["cache_generation", "retention"]].concat();
        let query = sqlx::query(
            "select array(select t from unnest($1::text[]) with ordinality u (t, n)
                where to_regclass(quote_ident(t)) is null order by n) as missing",
        )
        .bind(&tables);
        let rows = self.rows(query).await.map_err(|failure| wrong(&failure.error))?;
        let row = only(rows).map_err(|error| error.to_string())?;
        match column::<Vec<String>>(&row, "missing")?.as_slice() {
            [] => Ok(format!("{} tables", tables.len())),
            missing if missing.len() == tables.len() => Err("the database has no schema: run migrate".into()),
            missing => Err(format!("the database has no table {}: run migrate", missing.join(", "))),
        }
    }

    /// Whether the user may do with them what is done.
    pub(crate) async fn probe_rights(&self) -> Outcome {
        let query = sqlx::query(
            "select array(
                select format('%s on table %s', r, t)
                    from unnest($1::text[]) t, unnest(array['select', 'insert', 'update', 'delete']) r
                    where not has_table_privilege(t, r)
                union all
                select format('execute on function %s', p.proname)
                    from pg_proc p join pg_class c on c.relnamespace = p.pronamespace and c.relowner = p.proowner
                    where c.oid = to_regclass('conversations') and not has_function_privilege(p.oid, 'execute')
            ) as missing, current_user::text as name",
        )
        .bind(TABLES.as_slice());
        let rows = self.rows(query).await.map_err(|failure| wrong(&failure.error))?;
        let row = only(rows).map_err(|error| error.to_string())?;
        let (missing, name) = (column::<Vec<String>>(&row, "missing")?, column::<String>(&row, "name")?);
        if missing.is_empty() {
            return Ok(format!("{name} has all that are needed"));
        }
        Err(format!("the user {name} lacks {}", missing.join(", ")))
    }

    /// Whether the server ends what nobody waits for. Sessions of a pooler are those of its own roles and settings.
    pub(crate) async fn probe_limits(&self) -> Outcome {
        let names: Vec<&str> = LIMITS.iter().map(|(name, _)| *name).collect();
        let query = sqlx::query(
            "select array(select format('%s %s', n, current_setting(n)) from unnest($1::text[]) n) as set,
                array(select n from unnest($1::text[]) n where current_setting(n) = '0') as missing",
        )
        .bind(names);
        let rows = self.rows(query).await.map_err(|failure| wrong(&failure.error))?;
        let row = only(rows).map_err(|error| error.to_string())?;
        let missing: Vec<String> = column(&row, "missing")?;
        if !missing.is_empty() && !self.sessions.is_pooled() {
            return Err(format!("sessions have no {}", missing.join(", ")));
        }
        Ok(column::<Vec<String>>(&row, "set")?.join(", "))
    }

    /// Whether it takes as many connections as may be opened. Behind a pooler that is the pooler's business.
    pub(crate) async fn probe_connections(&self, needed: Option<u32>) -> Outcome {
        let row = self
            .asked(
                "select current_setting('max_connections')::bigint
                    - current_setting('superuser_reserved_connections')::bigint
                    - coalesce(current_setting('reserved_connections', true)::bigint, 0) as free",
            )
            .await?;
        let free: i64 = column(&row, "free")?;
        match needed {
            None => Ok(format!(
                "Postgres takes {free} connections, CONNECTIONS_NEEDED does not say how many may be needed"
            )),
            Some(needed) if self.sessions.is_pooled() => {
                Ok(format!("Postgres takes {free} connections, the pooler before it {needed} or not"))
            }
            Some(needed) if i64::from(needed) > free => {
                Err(format!("Postgres takes {free} connections, {needed} may be needed"))
            }
            Some(needed) => Ok(format!("Postgres takes {free} connections, {needed} may be needed")),
        }
    }

    /// Removes a conversation that a probe has made, all of it: nobody else has ever known its id.
    pub(crate) async fn forget_probe(&self, key: &ConversationKey) -> Result<(), String> {
        let query = sqlx::query("select forget_conversation($1, $2, $3)")
            .bind(key.owner.shard())
            .bind(key.owner.as_str())
            .bind(key.id.as_str());
        self.rows(query).await.map(drop).map_err(|failure| wrong(&failure.error))
    }
}
