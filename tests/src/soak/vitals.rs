//! What the functions take of the machine and of Postgres, second by second.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use tokio::time::{Instant, interval};

use crate::Broken;

/// What was seen, a value for each second.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// KiB of memory of an instance, on average of those that were there for half a minute.
    pub(super) memory: Vec<f64>,
    /// Instances.
    pub(super) instances: Vec<f64>,
    /// Connections of theirs to Postgres.
    pub(super) connections: Vec<f64>,
}

pub(super) struct Vitals {
    binaries: PathBuf,
    database_url: String,
}

/// An instance has reached its size after this many seconds.
const GROWN_UP: u32 = 30;

impl Vitals {
    pub(super) fn new(binaries: PathBuf, database_url: String) -> Self {
        Self { binaries, database_url }
    }

    pub(super) async fn watch(&self, duration: Duration) -> Result<Seen, Broken> {
        let mut postgres = PgConnection::connect(&self.database_url).await?;
        let until = Instant::now() + duration;
        let (mut seen, mut ages) = (Seen::default(), HashMap::<u32, u32>::new());
        let mut seconds = interval(Duration::from_secs(1));
        while Instant::now() < until {
            seconds.tick().await;
            let instances = instances(&self.binaries)?;
            ages.retain(|pid, _| instances.iter().any(|(other, _)| other == pid));
            let mut grown_up = Vec::new();
            for (pid, kib) in &instances {
                let age = ages.entry(*pid).or_default();
                *age += 1;
                if *age > GROWN_UP {
                    grown_up.push(*kib);
                }
            }
            if !grown_up.is_empty() {
                seen.memory.push(grown_up.iter().sum::<f64>() / grown_up.len() as f64);
            }
            seen.instances.push(instances.len() as f64);
            let count = "select count(*) from pg_stat_activity where application_name = 'conversation-store'";
            let connections: i64 = sqlx::query_scalar(count).fetch_one(&mut postgres).await?;
            seen.connections.push(connections as f64);
        }
        Ok(seen)
    }
}

/// The processes of binaries in a folder, each with its memory in KiB.
fn instances(binaries: &Path) -> Result<Vec<(u32, f64)>, Broken> {
    let mut instances = Vec::new();
    for process in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // Others come and go meanwhile.
        let Ok(program) = std::fs::read_link(process.path().join("exe")) else { continue };
        let is_function = program.parent() == Some(binaries)
            && program.file_name().is_some_and(|name| FUNCTIONS.iter().any(|function| name == *function));
        let Ok(status) = std::fs::read_to_string(process.path().join("status")) else { continue };
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
        if let (true, Some(kib)) = (is_function, kib) {
            instances.push((pid, kib));
        }
    }
    Ok(instances)
}

/// Those that the traffic meets.
const FUNCTIONS: [&str; 8] = ["add", "delete", "get", "list", "recent", "records", "sweep", "update"];
