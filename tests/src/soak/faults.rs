//! What goes wrong meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::proxy::{LinkMode, Proxy};
use crate::{Broken, redis_at};

use super::stage::Stage;

/// How often each thing went wrong.
pub(super) type Faults = BTreeMap<&'static str, usize>;

const KINDS: [&str; 7] = [
    "connections to Redis reset",
    "connections to Postgres reset",
    "Redis hangs",
    "Postgres hangs",
    "replies of Redis lost",
    "replies of Postgres lost",
    "Redis empty",
];

/// Lets something go wrong every few seconds; at the end all is well again for a while.
pub(super) async fn happen(stage: &Stage, duration: Duration, seed: u64) -> Result<Faults, Broken> {
    let mut rng = fastrand::Rng::with_seed(seed ^ 0x5eed);
    let mut faults = Faults::new();
    let until = Instant::now() + duration.saturating_sub(Duration::from_secs(5));
    // All of them in turn, in a new order each time.
    let mut left: Vec<&'static str> = Vec::new();
    loop {
        sleep(Duration::from_millis(rng.u64(3_000..8_000))).await;
        if Instant::now() >= until {
            return Ok(faults);
        }
        if left.is_empty() {
            left = KINDS.into();
            rng.shuffle(&mut left);
        }
        let kind = left.pop().unwrap_or(KINDS[0]);
        let pause = Duration::from_millis(rng.u64(200..1_200));
        *faults.entry(kind).or_default() += 1;
        match kind {
            "connections to Redis reset" => stage.redis_way.reset(),
            "connections to Postgres reset" => stage.postgres_way.reset(),
            "Redis hangs" => behave(&stage.redis_way, LinkMode::Hang, pause).await,
            "Postgres hangs" => behave(&stage.postgres_way, LinkMode::Hang, pause).await,
            "replies of Redis lost" => behave(&stage.redis_way, LinkMode::Mute, pause).await,
            "replies of Postgres lost" => behave(&stage.postgres_way, LinkMode::Mute, pause).await,
            _ => {
                let mut redis = redis_at(&stage.valkey.url()).await?;
                redis::cmd("FLUSHALL").exec_async(&mut redis).await?;
            }
        }
    }
}

async fn behave(way: &Proxy, link_mode: LinkMode, pause: Duration) {
    way.link_mode(link_mode);
    sleep(pause).await;
    way.link_mode(LinkMode::Pass);
}
