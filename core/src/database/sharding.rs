//! Spreads the tables, by the shard of each row's owner, where who migrates says so.

use sqlx::migrate::MigrateError;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::config::Sharding;

/// The tables whose rows belong to an owner; a conversation's own first.
const OF_OWNERS: [&str; 11] = [
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
];
/// Those that are small and the same for all.
const OF_ALL: [&str; 3] = ["import_positions", "cache_generation", "retention"];

/// How a table is spread now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Plain,
    Partitioned,
    Distributed,
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "none",
            Self::Partitioned => "partitions:N",
            Self::Distributed => "citus",
        }
    }
}

/// Brings the tables into the form that is wanted, those of later migrations into that of the first ones. Before the functions
/// are created: they name the tables' types.
pub(super) async fn spread_tables(
    session: &mut PgConnection,
    sharding: Sharding,
) -> Result<(), MigrateError> {
    let present = form(session, OF_OWNERS[0]).await?;
    let wanted = match sharding {
        // Said once, when the database was new.
        Sharding::None => present,
        Sharding::Partitions(_) => Form::Partitioned,
        Sharding::Citus => Form::Distributed,
    };
    if wanted != present && (present != Form::Plain || is_in_use(session).await?) {
        return Err(refused(&format!(
            "DATABASE_SHARDING asks for {}, and this database has been migrated with {}: it is for a new database",
            wanted.name(),
            present.name()
        )));
    }
    match wanted {
        Form::Plain => Ok(()),
        Form::Partitioned => partition(session, sharding).await,
        Form::Distributed => distribute(session).await,
    }
}

/// Has a distributed engine call the functions where the rows are. After they are created: creating one anew undoes it.
pub(super) async fn spread_functions(session: &mut PgConnection) -> Result<(), MigrateError> {
    const DELEGATE: &str = "select create_distributed_function(
            p.oid::regprocedure, 'p_shard', colocate_with := 'conversations', force_delegation := true)
        from pg_proc p
        where p.pronamespace = 'public'::regnamespace and p.proargnames[1] = 'p_shard'";
    if form(session, OF_OWNERS[0]).await? == Form::Distributed {
        sqlx::raw_sql(DELEGATE).execute(session).await?;
    }
    Ok(())
}

fn refused(why: &str) -> MigrateError {
    sqlx::Error::Configuration(why.into()).into()
}

/// Whether conversations are in a table of their own, without parts.
pub(super) async fn is_plain(session: &mut PgConnection) -> sqlx::Result<bool> {
    let partitioned = "select relkind = 'p' from pg_class where oid = 'public.conversations'::regclass";
    let is_partitioned: bool = sqlx::query_scalar(partitioned).fetch_one(session).await?;
    Ok(!is_partitioned)
}

async fn form(session: &mut PgConnection, table: &str) -> Result<Form, MigrateError> {
    const PARTITIONED: &str = "select relkind = 'p' from pg_class where oid = to_regclass('public.' || $1)";
    const HAS_CITUS: &str = "select to_regclass('pg_catalog.pg_dist_partition') is not null";
    const DISTRIBUTED: &str =
        "select exists (select from pg_dist_partition where logicalrelid = to_regclass('public.' || $1))";
    let is_partitioned: Option<bool> =
        sqlx::query_scalar(PARTITIONED).bind(table).fetch_optional(&mut *session).await?;
    if is_partitioned == Some(true) {
        return Ok(Form::Partitioned);
    }
    let is_distributed = sqlx::query_scalar(HAS_CITUS).fetch_one(&mut *session).await?
        && sqlx::query_scalar(DISTRIBUTED).bind(table).fetch_one(&mut *session).await?;
    Ok(if is_distributed { Form::Distributed } else { Form::Plain })
}

/// Whether the store's functions are there, and with them code that may call them.
async fn is_in_use(session: &mut PgConnection) -> Result<bool, MigrateError> {
    const IN_USE: &str = "select exists (select from pg_proc
        where proname = 'add_messages' and pronamespace = 'public'::regnamespace)";
    Ok(sqlx::query_scalar(IN_USE).fetch_one(session).await?)
}

/// Replaces each table that has no partitions, and no rows, by one with partitions: as many as are asked for, or as the others
/// have.
async fn partition(session: &mut PgConnection, sharding: Sharding) -> Result<(), MigrateError> {
    const PARTS: &str = "select count(*) from pg_inherits where inhparent = 'public.conversations'::regclass";
    let parts = match sharding {
        Sharding::Partitions(parts) => i64::from(parts),
        _ => sqlx::query_scalar(PARTS).fetch_one(&mut *session).await?,
    };
    // A plan that is kept for any shard locks every partition before it chooses one.
    const NO_KEPT_PLANS: &str = "do $$ begin
            execute format('alter database %I set plan_cache_mode = force_custom_plan', current_database());
        end $$";
    let mut transaction = session.begin().await?;
    for table in OF_OWNERS {
        if form(&mut transaction, table).await? == Form::Plain {
            replace(&mut transaction, table, parts).await?;
        }
    }
    sqlx::raw_sql(NO_KEPT_PLANS).execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

/// Keeps the names of constraints and indexes: migrations may name them.
async fn replace(session: &mut PgConnection, table: &str, parts: i64) -> Result<(), MigrateError> {
    // Updates of a conversation's row stay in its page as long as there is room; a partition does not take this over.
    let storage = if table == OF_OWNERS[0] { " with (fillfactor = 50)" } else { "" };
    let statements = format!(
        "create schema plain;
        alter table public.{table} set schema plain;
        create table public.{table} (like plain.{table} including all excluding indexes) partition by hash (shard);
        do $$ declare
            statement text;
        begin
            for statement in select format('alter table public.{table} add constraint %I %s', conname, pg_get_constraintdef(oid))
                from pg_constraint where conrelid = 'plain.{table}'::regclass and contype in ('p', 'u')
            loop
                execute statement;
            end loop;
            for statement in select replace(pg_get_indexdef(i.indexrelid), ' ON plain.', ' ON public.') from pg_index i
                where i.indrelid = 'plain.{table}'::regclass
                    and not exists (select from pg_constraint c where c.conindid = i.indexrelid)
            loop
                execute statement;
            end loop;
            for part in 0 .. {parts} - 1 loop
                execute format('create table public.{table}_%s partition of public.{table}
                    for values with (modulus {parts}, remainder %s){storage}', part, part);
            end loop;
        end $$;
        drop schema plain cascade"
    );
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(session).await?;
    Ok(())
}

/// Hands the tables to Citus, all in the same way, so that what belongs to an owner is on one node.
async fn distribute(session: &mut PgConnection) -> Result<(), MigrateError> {
    for table in OF_OWNERS {
        if form(session, table).await? == Form::Plain {
            let beside = if table == OF_OWNERS[0] { "none" } else { OF_OWNERS[0] };
            let statement =
                "select create_distributed_table($1::text::regclass, 'shard', colocate_with := $2)";
            sqlx::query(statement).bind(table).bind(beside).execute(&mut *session).await?;
        }
    }
    for table in OF_ALL {
        if form(session, table).await? == Form::Plain {
            let statement = "select create_reference_table($1::text::regclass)";
            sqlx::query(statement).bind(table).execute(&mut *session).await?;
        }
    }
    Ok(())
}
