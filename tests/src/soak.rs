//! Traffic that does not wait for answers, against the functions as they are deployed, while connections and servers fail:
//! nothing may be lost, nothing may grow, and of what one owner has erased nothing may be left.

mod erasures;
mod faults;
mod ledger;
mod options;
mod report;
mod stage;
mod traffic;
mod vitals;

use std::sync::Arc;

use reqwest::Client;

use crate::Broken;

use erasures::Erasures;
use ledger::Ledger;
pub use options::Options;
pub use report::Report;
use stage::Stage;
use traffic::Traffic;
use vitals::Vitals;

/// How many conversations there are at a time.
const CONVERSATIONS: usize = 200;

/// Sends traffic for a while, then looks whether everything is there.
///
/// # Errors
/// The servers or the functions cannot be started, or what was stored cannot be read.
pub async fn run(options: &Options) -> Result<Report, Broken> {
    let stage = Stage::set(options.binaries.clone()).await?;
    let ledger = Arc::new(Ledger::new(CONVERSATIONS));
    let (client, url) = (Client::new(), stage.gateway.url());
    let traffic = Traffic::new(client.clone(), &url, Arc::clone(&ledger), options.seed);
    let mut erasures = Erasures::new(client, &url);
    let vitals = Vitals::new(options.binaries.clone(), stage.database_url.clone());
    let (sent, faults, vitals, (), ()) = tokio::join!(
        traffic.flow(options.rate, options.duration),
        faults::happen(&stage, options.duration, options.seed),
        vitals.watch(options.duration),
        stage.sweep(options.duration),
        erasures.go_on(options.duration),
    );
    // Twice, so that what the first leaves for want of time is done, too.
    for _ in 0..2 {
        let swept = stage.lambda.invoke("sweep", "{}".into()).await;
        swept.map_err(|error| format!("the sweep fails: {error:?}"))?;
    }
    let kept = traffic.verify().await?;
    let erased = erasures.finish(&stage).await?;
    let metrics = report::read_metrics(&stage.log.path().join("log"), &options.metrics)?;
    Ok(Report { options: options.clone(), sent, faults: faults?, vitals: vitals?, kept, erased, metrics })
}
