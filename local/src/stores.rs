//! The stores of a run: private ones, or somebody's own.

use std::path::Path;

use anyhow::{Error, Result};
use conversation_core::{CacheConfig, ConversationStore, DatabaseConfig};

use crate::postgres::Postgres;
use crate::tools::Tools;
use crate::valkey::Valkey;

/// The private database.
const DATABASE: &str = "conversations";

/// Postgres and Redis, and where they are.
pub(crate) struct Stores {
    postgres: Option<Postgres>,
    valkey: Option<Valkey>,
    pub(crate) database_url: String,
    pub(crate) redis_url: String,
}

impl Stores {
    /// Starts a private server, with its data in `folder`, for each store without a URL.
    pub(crate) fn start(
        tools: &Tools,
        folder: &Path,
        database_url: Option<String>,
        redis_url: Option<String>,
    ) -> Result<Self> {
        let (postgres, database_url) = match database_url {
            Some(url) => (None, url),
            None => {
                let postgres = Postgres::keep(tools, &folder.join("postgres"))?;
                postgres.create_database(tools, DATABASE)?;
                let url = postgres.url(DATABASE);
                (Some(postgres), url)
            }
        };
        let (valkey, redis_url) = match redis_url {
            Some(url) => (None, url),
            None => {
                let valkey = Valkey::keep(tools, &folder.join("valkey"))?;
                let url = valkey.url();
                (Some(valkey), url)
            }
        };
        Ok(Self { postgres, valkey, database_url, redis_url })
    }

    /// Says in one line why a private server has ended; `None` while they run.
    pub(crate) fn exit_reason(&mut self) -> Option<Error> {
        let postgres = self.postgres.as_mut().and_then(Postgres::exit_reason);
        postgres.or_else(|| self.valkey.as_mut().and_then(Valkey::exit_reason))
    }

    /// Opens the store in this process.
    pub(crate) fn open(&self) -> Result<ConversationStore> {
        let database = DatabaseConfig::from_url(&self.database_url)?;
        let cache = CacheConfig::from_url(&self.redis_url, "")?;
        Ok(conversation_core::store(&database, &cache))
    }
}
