//! Traffic that does not wait for answers, against the functions as they are deployed, while connections and servers fail:
//! nothing may be lost, nothing may grow.

mod faults;
mod ledger;
mod report;
mod traffic;
mod vitals;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use conversation_local::{
    Authorizer, Functions, Gateway, Lambda, LambdaSettings, Postgres, Routes, Tools, Valkey,
};
use reqwest::Client;
use tokio::time::{Instant, sleep};

use crate::proxy::Proxy;
use crate::{Broken, OWNER, at_port, port_of};

use ledger::Ledger;
pub use report::Report;
use traffic::Traffic;
use vitals::Vitals;

/// What a run is like.
#[derive(Clone, Debug)]
pub struct Options {
    /// For how long requests are sent.
    pub duration: Duration,
    /// How many of them a second, on average.
    pub rate: f64,
    /// From which all choices follow.
    pub seed: u64,
    /// Where the functions' binaries are.
    pub binaries: PathBuf,
    /// Where the metrics go that the functions tell, a line each.
    pub metrics: PathBuf,
}

/// The most instances of a function.
const INSTANCES: usize = 8;
/// How often it is swept.
const SWEEP: Duration = Duration::from_secs(20);
/// How many conversations there are at a time.
const CONVERSATIONS: usize = 200;

/// The API on private servers, with a proxy before each of them.
struct Stage {
    postgres_way: Proxy,
    redis_way: Proxy,
    valkey: Valkey,
    database_url: String,
    lambda: Lambda,
    gateway: Gateway,
    log: tempfile::TempDir,
    // Stopped when dropped, and so last.
    _postgres: Postgres,
}

impl Stage {
    async fn set(binaries: PathBuf) -> Result<Self, Broken> {
        let tools = Tools::ready()?;
        let (postgres, valkey) = (Postgres::throwaway(&tools)?, Valkey::throwaway(&tools, &[])?);
        postgres.create_database(&tools, "soak")?;
        let database_url = postgres.url("soak");
        let config = conversation_core::DatabaseConfig::from_url(&database_url)?;
        conversation_core::conversation_index(&config).migrate().await?;
        let postgres_way = Proxy::before(port_of(&database_url)).await?;
        let redis_way = Proxy::before(port_of(&valkey.url())).await?;
        let environment = [
            ("DATABASE_URL", at_port(&database_url, postgres_way.port())),
            ("REDIS_URL", at_port(&valkey.url(), redis_way.port())),
            ("AUTH_MODE", "trusted_header".into()),
            ("DEFAULT_OWNER", OWNER.into()),
            ("LOG_LEVEL", "error".into()),
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
        Ok(Self { postgres_way, redis_way, valkey, database_url, lambda, gateway, log, _postgres: postgres })
    }
}

impl Stage {
    /// Sweeps now and then, as the schedule does. A sweep fails where a store does.
    async fn sweep(&self, duration: Duration) {
        let until = Instant::now() + duration;
        while Instant::now() + SWEEP < until {
            sleep(SWEEP).await;
            let _ = self.lambda.invoke("sweep", "{}".into()).await;
        }
    }
}

/// Sends traffic for a while, then looks whether everything is there.
///
/// # Errors
/// The servers or the functions cannot be started, or what was stored cannot be read.
pub async fn run(options: &Options) -> Result<Report, Broken> {
    let stage = Stage::set(options.binaries.clone()).await?;
    let ledger = Arc::new(Ledger::new(CONVERSATIONS));
    let traffic = Traffic::new(Client::new(), &stage.gateway.url(), Arc::clone(&ledger), options.seed);
    let vitals = Vitals::new(options.binaries.clone(), stage.database_url.clone());
    let (sent, faults, vitals, ()) = tokio::join!(
        traffic.flow(options.rate, options.duration),
        faults::happen(&stage, options.duration, options.seed),
        vitals.watch(options.duration),
        stage.sweep(options.duration),
    );
    // Twice, so that what the first leaves for want of time is done, too.
    for _ in 0..2 {
        let swept = stage.lambda.invoke("sweep", "{}".into()).await;
        swept.map_err(|error| format!("the sweep fails: {error:?}"))?;
    }
    let kept = ledger.verify(&traffic).await?;
    let metrics = report::read_metrics(&stage.log.path().join("log"), &options.metrics)?;
    Ok(Report { options: options.clone(), sent, faults: faults?, vitals: vitals?, kept, metrics })
}
