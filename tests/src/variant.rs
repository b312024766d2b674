//! Other kinds of Postgres on which the suite can be run: `PARTITIONED=64`, `ISOLATION='repeatable read'`, and
//! `CITUS=FOLDER`, a folder with the programs of a Postgres that has Citus.

use std::path::PathBuf;

use conversation_local::{Postgres, Tools};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// What such a Postgres cannot be made of.
type Failed = Box<dyn std::error::Error + Send + Sync>;

#[expect(clippy::disallowed_methods, reason = "how tests are run is no setting of the store's")]
fn asked(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// How the tables of the tests' Postgres are spread, as `DATABASE_SHARDING` says it.
pub fn sharding() -> String {
    match (asked("CITUS"), asked("PARTITIONED")) {
        (Some(_), _) => "citus".to_owned(),
        (None, Some(parts)) => format!("partitions:{parts}"),
        (None, None) => "none".to_owned(),
    }
}

/// The Postgres that tests share, with nothing in it yet.
pub(crate) fn postgres(tools: &Tools) -> Result<Postgres, Failed> {
    let isolation = asked("ISOLATION").unwrap_or_else(|| "read committed".to_owned());
    let isolation = format!("default_transaction_isolation={isolation}");
    match asked("CITUS") {
        None => Ok(Postgres::throwaway_with(tools, &[&isolation])?),
        Some(programs) => {
            let tools = Tools { postgres: PathBuf::from(programs), ..tools.clone() };
            let settings =
                [&isolation, "shared_preload_libraries=citus", "citus.shard_count=8", "max_connections=400"];
            Ok(Postgres::throwaway_with(&tools, &settings)?)
        }
    }
}

/// Makes a database a cluster of one node.
pub(crate) fn prepare(postgres: &Postgres, name: &str, port: u16) -> Result<(), Failed> {
    run(
        postgres.url(name),
        format!(
            "create extension if not exists citus; select citus_set_coordinator_host('127.0.0.1', {port});
            select citus_set_node_property('127.0.0.1', {port}, 'shouldhaveshards', true)"
        ),
    )
}

/// Keeps everybody out of a database, so that it can be copied: Citus, too, which looks after its databases.
pub(crate) fn seal(postgres: &Postgres, name: &str) -> Result<(), Failed> {
    run(
        postgres.url("postgres"),
        format!(
            "alter database {name} with allow_connections false;
            select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = '{name}'"
        ),
    )
}

fn run(url: String, statements: String) -> Result<(), Failed> {
    let run = async move {
        let mut connection = PgConnection::connect(&url).await?;
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await
    };
    // Tests call this from threads of their own runtimes.
    let done = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok::<_, std::io::Error>(runtime.block_on(run))
    });
    done.join().map_err(|_| "the thread that prepares a database died")???;
    Ok(())
}
