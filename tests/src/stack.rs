//! The stores of one test.

use std::sync::Arc;

use conversation_core::{ConversationIndex, ConversationStore, DatabaseConfig};
use conversation_local::{Postgres, Valkey};
use redis::aio::MultiplexedConnection;
use sqlx::{Connection as _, PgConnection};

use crate::api::serve;
use crate::profile::cluster_of_one;
use crate::{
    Api, Failpoint, INSTANCES, Managed, Manners, Profile, Proxy, Server, as_deployed, at_port, connection_to,
    fail, migrated, new_database, port_of, store_with, tools, valkey,
};

/// The stores of one test.
#[derive(Debug)]
pub struct Stack {
    /// Its database.
    pub database_url: String,
    /// Its Valkey.
    pub valkey: Valkey,
    /// A Postgres of its own, where the test does something to the server.
    pub postgres: Option<Postgres>,
    /// What kind of cache that Valkey is made to be.
    pub profile: Profile,
    /// What stands before it, in some profiles.
    pub front: Option<Managed>,
}

/// What stands before the stores of one client, for as long as it is kept.
#[derive(Debug)]
pub struct Behind {
    _proxies: [Proxy; 2],
    _front: Option<Managed>,
}

impl Stack {
    /// Stores of one's own: a database, and a Valkey.
    pub async fn start() -> Self {
        Self::with_valkey(&[]).await
    }

    /// The same, with further lines of configuration for Valkey.
    pub async fn with_valkey(configuration: &[&str]) -> Self {
        let database_url = new_database().await.unwrap_or_else(|error| fail(&error));
        Self::of(database_url, valkey(configuration), None)
    }

    /// The same, on another server; none if there is none.
    pub async fn on(server: Server, configuration: &[&str]) -> Option<Self> {
        let tools = server.tools()?;
        let database_url = new_database().await.unwrap_or_else(|error| fail(&error));
        let valkey = Valkey::throwaway(&tools, configuration).unwrap_or_else(|error| fail(&error));
        Some(Self::of(database_url, valkey, None))
    }

    /// The same, with a Postgres of one's own to stop.
    pub async fn with_own_postgres() -> Self {
        Self::with_postgres(own_postgres())
    }

    /// The same, with a Postgres that [`packaged_postgres`](crate::packaged_postgres) answered.
    pub fn with_postgres(postgres: Postgres) -> Self {
        let database_url = migrated_own(&postgres);
        Self::of(database_url, valkey(&[]), Some(postgres))
    }

    /// Stores of one's own, with a cache of some kind.
    pub async fn in_profile(profile: Profile) -> Self {
        let database_url = new_database().await.unwrap_or_else(|error| fail(&error));
        Self::with_cache(profile, database_url, None).await
    }

    /// The same, with a Postgres of one's own.
    pub async fn in_profile_with_own_postgres(profile: Profile) -> Self {
        let postgres = own_postgres();
        Self::with_cache(profile, migrated_own(&postgres), Some(postgres)).await
    }

    /// Stores of one's own, with a cache before which a front behaves like this.
    pub async fn behind(manners: Manners) -> Self {
        let database_url = new_database().await.unwrap_or_else(|error| fail(&error));
        let stack = Self::of(database_url, one_node().await, None);
        Self { profile: Profile::behind(manners.kind), ..stack }.fronted(Some(manners)).await
    }

    /// The same cache behind another front.
    pub async fn behind_another(self, manners: Manners) -> Self {
        self.fronted(Some(manners)).await
    }

    async fn with_cache(profile: Profile, database_url: String, postgres: Option<Postgres>) -> Self {
        let valkey = if profile == Profile::Plain { valkey(&[]) } else { one_node().await };
        let stack = Self { profile, ..Self::of(database_url, valkey, postgres) };
        stack.fronted(profile.manners()).await
    }

    fn of(database_url: String, valkey: Valkey, postgres: Option<Postgres>) -> Self {
        Self { database_url, valkey, postgres, profile: Profile::Plain, front: None }
    }

    /// The same with the users that the front's manners speak of, behind it.
    async fn fronted(mut self, manners: Option<Manners>) -> Self {
        let Some(manners) = manners else { return self };
        let granted = manners.access.grant(&mut self.redis().await).await;
        granted.unwrap_or_else(|error| fail(&error));
        self.front = Some(front_before(&self.valkey, manners).await);
        self
    }

    /// The store itself, in this process.
    pub fn store(&self) -> ConversationStore {
        self.store_with(&[])
    }

    /// The same, with other settings of its cache as well.
    pub fn store_with(&self, more: &[(&str, &str)]) -> ConversationStore {
        let url = self.cache_url();
        store_with(
            &self.database_url,
            &[&[("REDIS_URL", url.as_str())], self.profile.settings(), more].concat(),
        )
    }

    /// Where its cache is for the store.
    pub fn cache_url(&self) -> String {
        match &self.front {
            Some(front) => as_deployed(&at_port(&self.valkey.url(), front.port())),
            None => self.valkey.url(),
        }
    }

    /// The same store, behind a proxy before each server.
    pub async fn store_behind(&self, failpoint: &Arc<Failpoint>) -> (ConversationStore, Behind) {
        let proxied = async |port: u16| {
            let proxy = Proxy::with_failpoint(port, Some(Arc::clone(failpoint))).await;
            proxy.unwrap_or_else(|error| fail(&error))
        };
        // A client asks the address that it is given, which has to be that of the proxy.
        let front = match self.profile.manners() {
            Some(manners) => Some(front_before(&self.valkey, manners).await),
            None => None,
        };
        let redis = proxied(front.as_ref().map_or(self.valkey.port(), Managed::port)).await;
        if let Some(front) = &front {
            front.announce(redis.port());
        }
        let postgres = proxied(port_of(&self.database_url)).await;
        let database_url = at_port(&self.database_url, postgres.port());
        let url = at_port(&self.cache_url(), redis.port());
        let store = self.profile.store_at(&database_url, &url);
        (store, Behind { _proxies: [redis, postgres], _front: front })
    }

    /// What lists conversations, in this process.
    pub fn index(&self) -> ConversationIndex {
        let database = DatabaseConfig::from_url(&self.database_url).unwrap_or_else(|error| fail(&error));
        conversation_core::conversation_index(&database)
    }

    /// The API: the functions' binaries behind a front like API Gateway's.
    pub async fn api(&self) -> Api {
        self.api_with(&[]).await
    }

    /// The same, with other settings: an empty value unsets one.
    pub async fn api_with(&self, changes: &[(&str, &str)]) -> Api {
        let changes = [self.profile.settings(), changes].concat();
        serve(&self.database_url, &self.cache_url(), &changes, INSTANCES).await
    }

    /// The API with one instance of each function that has so many requests at a time, as on Lambda Managed Instances.
    pub async fn managed_api(&self, concurrency: usize) -> Api {
        serve(&self.database_url, &self.cache_url(), self.profile.settings(), (1, concurrency)).await
    }

    /// A connection to the test's Valkey, past everything that stands before it.
    pub async fn redis(&self) -> MultiplexedConnection {
        connection_to(&self.valkey).await
    }

    /// A connection to the test's database.
    pub async fn postgres(&self) -> PgConnection {
        PgConnection::connect(&self.database_url).await.unwrap_or_else(|error| fail(&error))
    }
}

async fn front_before(valkey: &Valkey, manners: Manners) -> Managed {
    Managed::before(valkey.port(), manners).await.unwrap_or_else(|error| fail(&error))
}

async fn one_node() -> Valkey {
    tokio::task::spawn_blocking(cluster_of_one).await.unwrap_or_else(|error| fail(&error))
}

fn own_postgres() -> Postgres {
    Postgres::throwaway(tools()).unwrap_or_else(|error| fail(&error))
}

fn migrated_own(postgres: &Postgres) -> String {
    migrated(postgres, "own", "none").unwrap_or_else(|error| fail(&error));
    postgres.url("own")
}
