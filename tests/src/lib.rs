//! What the tests share: real servers for each test, and the API as callers see it.
//!
//! One Postgres serves all tests of a process, with a database for each; each test has a Valkey of its own, since tests
//! stop it, fill it and look at all its keys. All of it goes with the process, however that ends.

mod access;
mod api;
pub mod architecture;
mod aws;
pub mod chaos;
mod cluster;
pub mod contract;
mod load;
mod managed;
mod pgbouncer;
mod profile;
mod programs;
mod proxy;
mod servers;
pub mod soak;
mod stack;
mod statistics;
pub mod traces;
mod variant;

use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use conversation_core::{
    Batch, CacheConfig, ConversationId, ConversationKey, ConversationStore, DatabaseConfig, Error,
    NewMessage, OwnerId,
};
use conversation_local::{Postgres, Tools, Valkey};
use redis::aio::MultiplexedConnection;
use sqlx::{Connection as _, PgConnection};

pub use access::{Access, as_deployed};
pub use api::{Answer, Api};
pub use aws::{Aws, Presented, acceptor, tokens_of_botocore};
pub use cluster::{ClusterStack, Member};
pub use load::{Load, Seen};
pub use managed::{Kind, Managed, Manners};
pub use pgbouncer::PgBouncer;
pub use profile::Profile;
pub use programs::{built, installed};
pub use proxy::{Failpoint, LinkFault, LinkMode, Loss, Proxy};
pub use servers::{Server, certificates, packaged_postgres};
pub use stack::{Behind, Stack};
pub use statistics::all_reported;
pub use variant::sharding;

/// The owner that requests have which name none.
pub const OWNER: &str = "local";

/// The most instances of a function, and how many requests each has at a time.
pub(crate) const INSTANCES: (usize, usize) = (8, 1);

/// What fails a test when it cannot even begin.
type Broken = Box<dyn std::error::Error + Send + Sync>;

/// The tools, with the functions built: once for all tests.
fn tools() -> &'static Tools {
    static TOOLS: OnceLock<Tools> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let tools = conversation_local::build().and_then(|()| Tools::ready());
        tools.unwrap_or_else(|error| fail(&error))
    })
}

/// Ends the test.
#[expect(clippy::panic, reason = "this is how a test fails")]
fn fail(error: &dyn std::fmt::Display) -> ! {
    panic!("{error:#}")
}

/// The Postgres that tests share. It is stopped when the process ends, by its supervisor.
fn shared_postgres() -> &'static Postgres {
    static POSTGRES: OnceLock<Postgres> = OnceLock::new();
    static MIGRATED: Mutex<()> = Mutex::new(());
    // OnceLock alone would let every waiting test hold a thread of the runtime's.
    let _one = MIGRATED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    POSTGRES.get_or_init(|| {
        let postgres = variant::postgres(tools()).unwrap_or_else(|error| fail(&error));
        migrated(&postgres, "template", &sharding()).unwrap_or_else(|error| fail(&error));
        if sharding() == "citus" {
            variant::seal(&postgres, "template").unwrap_or_else(|error| fail(&error));
        }
        postgres
    })
}

/// Makes a database and brings its schema up to date, with the function that deployments run.
fn migrated(postgres: &Postgres, name: &str, sharding: &str) -> Result<(), Broken> {
    postgres.create_database(tools(), name)?;
    if sharding == "citus" {
        variant::prepare(postgres, name, port_of(&postgres.url(name)))?;
    }
    let mut migrate = Command::new(functions_folder().join("migrate"));
    let status = migrate
        .env("DATABASE_URL", postgres.url(name))
        .env("DATABASE_SHARDING", sharding)
        .env("LOG_LEVEL", "warn")
        .status()?;
    if status.success() { Ok(()) } else { Err("the schema cannot be migrated".into()) }
}

/// Where the functions' binaries are: beside this program, or beside the folder of the tests' own.
pub fn functions_folder() -> std::path::PathBuf {
    tools();
    let here = std::env::current_exe().unwrap_or_else(|error| fail(&error));
    let mut folders = here.ancestors().skip(1);
    folders.find(|folder| folder.join("migrate").is_file()).unwrap_or(&here).to_owned()
}

async fn connection_to(server: &Valkey) -> MultiplexedConnection {
    redis_at(&server.url()).await.unwrap_or_else(|error| fail(&error))
}

/// A store of its own, as a function has one.
pub fn store_at(database_url: &str, redis_url: &str) -> ConversationStore {
    store_with(database_url, &[("REDIS_URL", redis_url)])
}

/// The same, with other settings of its cache.
pub fn store_with(database_url: &str, settings: &[(&str, &str)]) -> ConversationStore {
    let database = DatabaseConfig::from_url(database_url).unwrap_or_else(|error| fail(&error));
    let cache = CacheConfig::from_settings(settings).unwrap_or_else(|error| fail(&error));
    conversation_core::store(&database, &cache)
}

/// A connection to a Redis server that waits for as long as a busy machine may take.
pub(crate) async fn redis_at(url: &str) -> redis::RedisResult<MultiplexedConnection> {
    const PATIENCE: Duration = Duration::from_secs(20);
    let config = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    redis::Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await
}

/// A port of this machine that nobody uses just now.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap_or_else(|error| fail(&error));
    listener.local_addr().unwrap_or_else(|error| fail(&error)).port()
}

/// The port in a URL of a server on this machine.
pub fn port_of(url: &str) -> u16 {
    let after = url.rsplit(':').next().unwrap_or_default();
    let digits = after.split('/').next().unwrap_or_default();
    digits.parse().unwrap_or_else(|error| fail(&error))
}

/// The same server, reached through another port.
pub fn at_port(url: &str, port: u16) -> String {
    url.replacen(&format!(":{}/", port_of(url)), &format!(":{port}/"), 1)
}

/// A Valkey of one's own, for tests that need no more.
pub fn valkey(configuration: &[&str]) -> Valkey {
    Valkey::throwaway(tools(), configuration).unwrap_or_else(|error| fail(&error))
}

async fn new_database() -> Result<String, Broken> {
    let postgres = tokio::task::spawn_blocking(shared_postgres).await?;
    let name = format!("test_{}", uuid::Uuid::now_v7().simple());
    // Copying a template wants nobody connected to it, and one copier at a time is the quickest.
    static COPYING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _one = COPYING.lock().await;
    let mut connection = PgConnection::connect(&postgres.url("postgres")).await?;
    let statement = format!("create database {name} template template");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await?;
    Ok(postgres.url(&name))
}

/// The full name of one of [`OWNER`]'s conversations.
pub fn key(id: &str) -> ConversationKey {
    let owner = OwnerId::new(OWNER).unwrap_or_else(|error| fail(&error));
    ConversationKey { owner, id: ConversationId::new(id).unwrap_or_else(|error| fail(&error)) }
}

/// Messages from their JSON.
pub fn batch<S: AsRef<str>>(messages: impl IntoIterator<Item = S>) -> Batch {
    let parse = |json: S| NewMessage::parse(json.as_ref()).unwrap_or_else(|error| fail(&error));
    Batch::initial(messages.into_iter().map(parse).collect()).unwrap_or_else(|error| fail(&error))
}

/// A user's message.
pub fn user(text: &str) -> String {
    serde_json::json!({ "role": "user", "content": text }).to_string()
}

/// A user's message with an id of the client's.
pub fn user_as(id: &str, text: &str) -> String {
    serde_json::json!({ "id": id, "role": "user", "content": text }).to_string()
}

/// Whether an operation may fail like this while servers do.
pub fn is_outage(error: &Error) -> bool {
    matches!(error, Error::OutcomeUnknown(_) | Error::DatabaseUnavailable(_) | Error::CacheUnavailable(_))
}

/// How large a test is to be: a number from the environment, so that the same test can be run with more than
/// `make test` has time for.
#[expect(clippy::disallowed_methods, reason = "this is no setting of the store's")]
pub fn size(variable: &str, usual: u32) -> u32 {
    let number = |text: String| text.parse().unwrap_or_else(|error| fail(&format!("{variable}: {error}")));
    std::env::var(variable).map_or(usual, number)
}

/// Where a test is to leave a file for people, if anywhere: from the environment.
#[expect(clippy::disallowed_methods, reason = "this is no setting of the store's")]
pub fn file(variable: &str) -> Option<std::path::PathBuf> {
    std::env::var_os(variable).filter(|path| !path.is_empty()).map(Into::into)
}

/// Says what a test saw, to whoever runs it with `--nocapture`.
#[expect(clippy::print_stdout, reason = "this is the one place where tests print")]
pub fn report(line: &str) {
    println!("{line}");
}
