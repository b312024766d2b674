//! The servers that everything is measured on, and the settings of a run.

use std::path::PathBuf;
use std::process::Command;

use conversation_core::{
    Batch, CacheConfig, ConversationId, ConversationKey, ConversationStore, DatabaseConfig, NewMessage,
    OwnerId, Sharding,
};
use conversation_local::{Postgres, Tools, Valkey};
use redis::aio::MultiplexedConnection;

use crate::measure::Outcome;

/// The owner of what is measured.
pub(crate) const OWNER: &str = "bench";
/// How long a message is, in bytes of the JSON that a client sends.
pub(crate) const MESSAGE_BYTES: usize = 512;

/// How much is measured.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How often each pair is measured.
    pub(crate) rounds: usize,
    /// How long callers work in each half of a round.
    pub(crate) seconds: f64,
    /// Messages in the largest history.
    pub(crate) scale: usize,
}

/// Private servers, as the tests have them.
pub(crate) struct Stage {
    pub(crate) settings: Settings,
    pub(crate) tools: Tools,
    pub(crate) postgres: Postgres,
    pub(crate) valkey: Valkey,
    /// The database that most is measured in.
    pub(crate) database_url: String,
    /// The folder of the functions' programs.
    pub(crate) binaries: PathBuf,
}

impl Stage {
    pub(crate) fn set(settings: Settings) -> Outcome<Self> {
        let tools = Tools::ready()?;
        let here = std::env::current_exe()?;
        let binaries = here.parent().ok_or("this program is nowhere")?.to_owned();
        let postgres = Postgres::throwaway(&tools)?;
        let valkey = Valkey::throwaway(&tools, &[])?;
        let mut stage = Self { settings, tools, postgres, valkey, database_url: String::new(), binaries };
        stage.database_url = stage.database("bench")?;
        Ok(stage)
    }

    /// A new database with the schema.
    pub(crate) fn database(&self, name: &str) -> Outcome<String> {
        self.database_spread(name, Sharding::None)
    }

    /// The same, with its tables spread.
    pub(crate) fn database_spread(&self, name: &str, sharding: Sharding) -> Outcome<String> {
        self.postgres.create_database(&self.tools, name)?;
        let url = self.postgres.url(name);
        let mut migrate = Command::new(self.binaries.join("migrate"));
        migrate
            .env("DATABASE_URL", &url)
            .env("LOG_LEVEL", "warn")
            .env("DATABASE_SHARDING", sharding.to_string());
        let status = migrate.status()?;
        if status.success() { Ok(url) } else { Err("the schema cannot be migrated".into()) }
    }

    /// A store with connections of its own, as an instance of a function has it.
    pub(crate) fn store(&self) -> Outcome<ConversationStore> {
        store_at(&self.database_url, &self.valkey.url(), "")
    }

    /// A plain connection to Valkey.
    pub(crate) async fn redis(&self) -> Outcome<MultiplexedConnection> {
        Ok(redis::Client::open(self.valkey.url())?.get_multiplexed_async_connection().await?)
    }

    /// The settings of functions.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        environment(&self.database_url, &self.valkey.url())
    }
}

/// The settings of functions for some stores.
pub(crate) fn environment(database_url: &str, redis_url: &str) -> Vec<(String, String)> {
    [
        ("DATABASE_URL", database_url),
        ("REDIS_URL", redis_url),
        ("AUTH_MODE", "trusted_header"),
        ("DEFAULT_OWNER", OWNER),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// A store with connections of its own.
pub(crate) fn store_at(database_url: &str, redis_url: &str, prefix: &str) -> Outcome<ConversationStore> {
    let database = DatabaseConfig::from_url(database_url)?;
    Ok(conversation_core::store(&database, &CacheConfig::from_url(redis_url, prefix)?))
}

/// The full name of a conversation of [`OWNER`]'s.
pub(crate) fn key(id: &str) -> Outcome<ConversationKey> {
    Ok(ConversationKey { owner: OwnerId::new(OWNER)?, id: ConversationId::new(id)? })
}

/// A client's message of [`MESSAGE_BYTES`].
pub(crate) fn message() -> String {
    let shell = r#"{"role":"user","content":""}"#.len();
    let words = "the quick brown fox jumps over the lazy dog ".repeat(MESSAGE_BYTES / 40);
    format!(r#"{{"role":"user","content":"{}"}}"#, &words[..MESSAGE_BYTES - shell])
}

/// So many of them.
pub(crate) fn batch(count: usize) -> Outcome<Batch> {
    let messages = (0..count).map(|_| NewMessage::parse(&message())).collect::<Result<_, _>>()?;
    Ok(Batch::new(messages)?)
}
