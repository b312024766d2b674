//! The servers that a run does harm to, and how they are harmed.

use std::time::Duration;

use conversation_core::Sharding;
use conversation_local::{Postgres, Tools, Valkey};
use redis::aio::MultiplexedConnection;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection as _, PgConnection};

use crate::proxy::{LinkMode, Proxy};
use crate::{Access, Broken, Managed, Profile, as_deployed, at_port, port_of, redis_at};

/// The same for all, so that clients need not know who is primary.
const PASSWORD: &str = "chaos";
/// A replica logs in, and is fed without delay.
const CONFIGURATION: [&str; 2] = ["primaryauth chaos", "repl-diskless-sync-delay 0"];

/// A proxy before each server, for one client.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) redis: Proxy,
    pub(super) postgres: Proxy,
    /// What is between that proxy and Redis, in some profiles.
    front: Option<Managed>,
}

impl Way {
    async fn new(profile: Profile, redis: u16, postgres: u16) -> Result<Self, Broken> {
        let front = match profile.manners() {
            Some(manners) => Some(Managed::before(redis, manners).await?),
            None => None,
        };
        let redis = Proxy::before(front.as_ref().map_or(redis, Managed::port)).await?;
        if let Some(front) = &front {
            // A client asks the address that it is given, which has to be that of the proxy.
            front.announce(redis.port());
        }
        Ok(Self { redis, postgres: Proxy::before(postgres).await?, front })
    }

    /// Leads connections to Redis that are made from now on to another server.
    fn lead_to(&self, port: u16) {
        match &self.front {
            Some(front) => front.lead_to(port),
            None => self.redis.lead_to(port),
        }
    }
}

/// A Postgres, a Valkey and its replica, and a way to them for each client.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) tools: Tools,
    /// Where everything is recorded. Stopped when dropped.
    pub(super) postgres: Postgres,
    database_url: String,
    primary: Valkey,
    replica: Valkey,
    /// What the replica replicates through.
    link: Proxy,
    pub(super) ways: Vec<Way>,
}

impl Servers {
    pub(super) async fn start(ways: usize, profile: Profile) -> Result<Self, Broken> {
        let tools = Tools::ready()?;
        let postgres = Postgres::throwaway(&tools)?;
        postgres.create_database(&tools, "chaos")?;
        let database_url = postgres.url("chaos");
        let database = conversation_core::DatabaseConfig::from_url(&database_url)?;
        conversation_core::migrate(&database, Sharding::None, Duration::from_secs(60)).await?;
        let mut recorder = PgConnection::connect(&database_url).await?;
        sqlx::raw_sql(include_str!("history.sql")).execute(&mut recorder).await?;

        let (primary, replica) = (valkey(&tools)?, valkey(&tools)?);
        let link = Proxy::before(port_of(&primary.url())).await?;
        let mut servers = Self { tools, postgres, database_url, primary, replica, link, ways: Vec::new() };
        for _ in 0..ways {
            let postgres = port_of(&servers.database_url);
            servers.ways.push(Way::new(profile, servers.primary.port(), postgres).await?);
        }
        servers.follow().await?;
        Ok(servers)
    }

    /// The URLs of a client's way: Postgres, Redis.
    pub(super) fn urls(&self, way: usize) -> (String, String) {
        let Way { redis, postgres, front } = &self.ways[way];
        let url = at_port(&self.primary.url(), redis.port());
        let url = if front.is_some() { as_deployed(&url) } else { url };
        (at_port(&self.database_url, postgres.port()), url)
    }

    /// Postgres, past all proxies.
    pub(super) fn database_url(&self) -> &str {
        &self.database_url
    }

    /// A connection past all proxies.
    pub(super) async fn postgres(&self) -> Result<PgConnection, Broken> {
        Ok(PgConnection::connect(&self.database_url).await?)
    }

    /// A connection to the primary past all proxies.
    pub(super) async fn redis(&self) -> Result<MultiplexedConnection, Broken> {
        connect(&self.primary).await
    }

    /// Stops the primary for a while: what is sent to it meanwhile it does when it goes on.
    pub(super) async fn pause_primary(&self, pause: Duration) -> Result<(), Broken> {
        self.signal_primary(Signal::STOP)?;
        tokio::time::sleep(pause).await;
        self.signal_primary(Signal::CONT)
    }

    /// Kills the primary; after a while an empty one stands in its place.
    pub(super) async fn lose_primary(&mut self, pause: Duration) -> Result<(), Broken> {
        self.signal_primary(Signal::KILL)?;
        tokio::time::sleep(pause).await;
        self.primary = valkey(&self.tools)?;
        self.lead_to_primary();
        self.follow().await
    }

    /// Lets the replica fall behind for a while and then take over. The old primary dies, or becomes a replica before
    /// the new one is none; clients may stay connected to it for as long again.
    pub(super) async fn fail_over(&mut self, lag: Duration, dies: bool) -> Result<(), Broken> {
        self.link.link_mode(LinkMode::Hang);
        tokio::time::sleep(lag).await;
        let mut replica = connect(&self.replica).await?;
        if dies {
            self.signal_primary(Signal::KILL)?;
        } else {
            replicate(&mut self.redis().await?, Some(self.link.port())).await?;
        }
        replicate(&mut replica, None).await?;
        if dies {
            self.primary = valkey(&self.tools)?;
        }
        std::mem::swap(&mut self.primary, &mut self.replica);
        self.lead_to_primary();
        if !dies {
            tokio::time::sleep(lag).await;
            self.ways.iter().for_each(|way| way.redis.reset());
        }
        self.follow().await
    }

    /// Lets the primary refuse what needs memory, for a while.
    pub(super) async fn fill_primary(&self, pause: Duration) -> Result<(), Broken> {
        let mut redis = self.redis().await?;
        limit_memory(&mut redis, "1").await?;
        tokio::time::sleep(pause).await;
        limit_memory(&mut redis, "0").await
    }

    /// Ends the sessions of all clients in Postgres.
    pub(super) async fn end_sessions(&self) -> Result<(), Broken> {
        let query = "select pg_terminate_backend(pid) from pg_stat_activity
            where application_name = 'conversation-store'";
        sqlx::query(query).execute(&mut self.postgres().await?).await?;
        Ok(())
    }

    fn lead_to_primary(&self) {
        for way in &self.ways {
            way.lead_to(self.primary.port());
        }
    }

    /// Makes the replica the primary's.
    async fn follow(&self) -> Result<(), Broken> {
        self.link.lead_to(port_of(&self.primary.url()));
        self.link.link_mode(LinkMode::Pass);
        self.link.reset();
        replicate(&mut connect(&self.replica).await?, Some(self.link.port())).await
    }

    fn signal_primary(&self, signal: Signal) -> Result<(), Broken> {
        let pid = Pid::from_raw(self.primary.pid()?.cast_signed()).ok_or("a server without a process id")?;
        Ok(kill_process(pid, signal)?)
    }
}

/// A server that knows the user of the template as well, for what may stand before it.
fn valkey(tools: &Tools) -> Result<Valkey, Broken> {
    let users = Access::of_the_template().configuration();
    let users = users.each_ref().map(String::as_str);
    Ok(Valkey::throwaway_with_password(tools, PASSWORD, &[CONFIGURATION, users].concat())?)
}

async fn connect(valkey: &Valkey) -> Result<MultiplexedConnection, Broken> {
    Ok(redis_at(&valkey.url()).await?)
}

async fn replicate(redis: &mut MultiplexedConnection, of: Option<u16>) -> Result<(), Broken> {
    let mut command = redis::cmd("REPLICAOF");
    match of {
        Some(port) => command.arg("127.0.0.1").arg(port),
        None => command.arg("NO").arg("ONE"),
    };
    Ok(command.exec_async(redis).await?)
}

async fn limit_memory(redis: &mut MultiplexedConnection, bytes: &str) -> Result<(), Broken> {
    Ok(redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).exec_async(redis).await?)
}
