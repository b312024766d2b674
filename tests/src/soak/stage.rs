//! The API on private servers, while things go wrong.

use std::path::PathBuf;
use std::time::Duration;

use conversation_core::Sharding;
use conversation_local::{
    Authorizer, Functions, Gateway, Lambda, LambdaSettings, Postgres, Routes, Tools, Valkey,
};
use tokio::time::{Instant, sleep};

use crate::proxy::Proxy;
use crate::{Broken, OWNER, at_port, port_of};

/// The most instances of a function.
const INSTANCES: usize = 8;
/// How often it is swept.
const SWEEP: Duration = Duration::from_secs(20);
/// The API on private servers, with a proxy before each of them.
pub(super) struct Stage {
    pub(super) postgres_way: Proxy,
    pub(super) redis_way: Proxy,
    pub(super) valkey: Valkey,
    pub(super) database_url: String,
    pub(super) lambda: Lambda,
    pub(super) gateway: Gateway,
    pub(super) log: tempfile::TempDir,
    // Stopped when dropped, and so last.
    pub(super) postgres: Postgres,
}

impl Stage {
    pub(super) async fn set(binaries: PathBuf) -> Result<Self, Broken> {
        let tools = Tools::ready()?;
        let (postgres, valkey) = (Postgres::throwaway(&tools)?, Valkey::throwaway(&tools, &[])?);
        postgres.create_database(&tools, "soak")?;
        let database_url = postgres.url("soak");
        let config = conversation_core::DatabaseConfig::from_url(&database_url)?;
        conversation_core::migrate(&config, Sharding::None, Duration::from_secs(60)).await?;
        let postgres_way = Proxy::before(port_of(&database_url)).await?;
        let redis_way = Proxy::before(port_of(&valkey.url())).await?;
        let environment = [
            ("DATABASE_URL", at_port(&database_url, postgres_way.port())),
            ("REDIS_URL", at_port(&valkey.url(), redis_way.port())),
            ("AUTH_MODE", "trusted_header".into()),
            ("DEFAULT_OWNER", OWNER.into()),
            ("LOG_LEVEL", "info".into()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).into();
        let log = tempfile::tempdir()?;
        let lambda = Lambda::start(LambdaSettings {
            binaries,
            environment,
            log: Some(log.path().join("log")),
            instances: INSTANCES,
            concurrency: 1,
        })
        .await?;
        let functions = Functions::Processes(lambda.clone());
        let gateway = Gateway::start(0, Routes::load()?, functions, Authorizer::Open).await?;
        Ok(Self { postgres_way, redis_way, valkey, database_url, lambda, gateway, log, postgres })
    }
}

impl Stage {
    /// Sweeps now and then, as the schedule does. A sweep fails where a store does.
    pub(super) async fn sweep(&self, duration: Duration) {
        let until = Instant::now() + duration;
        while Instant::now() + SWEEP < until {
            sleep(SWEEP).await;
            let _ = self.lambda.invoke("sweep", "{}".into()).await;
        }
    }
}
