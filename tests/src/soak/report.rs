//! What a run comes to.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;

use serde_json::{Value, json};

use crate::Broken;

use super::erasures::Erased;
use super::faults::Faults;
use super::ledger::Kept;
use super::options::Options;
use super::traffic::Sent;
use super::vitals::Seen;

/// How much more memory an instance may take in the last third of a run than in the first.
const GROWTH: f64 = 1.2;

/// What the functions themselves reported.
#[derive(Clone, Debug, Default)]
pub(super) struct Reported {
    hits: u64,
    misses: BTreeMap<String, u64>,
    deferred: u64,
    requests: u64,
}

/// All that was seen of a run.
#[derive(Clone, Debug)]
pub struct Report {
    pub(super) options: Options,
    pub(super) sent: Sent,
    pub(super) faults: Faults,
    pub(super) vitals: Seen,
    pub(super) kept: Kept,
    pub(super) erased: Erased,
    pub(super) metrics: Reported,
}

/// Adds up the metrics in a log, and keeps them in a file of their own.
pub(super) fn read_metrics(log: &Path, copy: &Path) -> Result<Reported, Broken> {
    let mut reported = Reported::default();
    let mut copy = BufWriter::new(std::fs::File::create(copy)?);
    for line in BufReader::new(std::fs::File::open(log)?).lines() {
        let line = line?;
        if !line.contains("\"_aws\"") {
            continue;
        }
        writeln!(copy, "{line}")?;
        let line: Value = serde_json::from_str(&line)?;
        reported.requests += line["Requests"].as_u64().unwrap_or(0);
        reported.hits += line["CacheHits"].as_u64().unwrap_or(0);
        reported.deferred += line["DeferredWrites"].as_u64().unwrap_or(0);
        if let (Some(reason), Some(misses)) = (line["Reason"].as_str(), line["CacheMisses"].as_u64()) {
            *reported.misses.entry(reason.into()).or_default() += misses;
        }
    }
    Ok(reported)
}

impl Report {
    /// What is not as it should be.
    pub fn troubles(&self) -> Vec<String> {
        let mut troubles = [&self.sent.wrong[..], &self.kept.wrong, &self.erased.wrong].concat();
        if self.growth() > GROWTH {
            troubles.push(format!("an instance takes {:.2} times the memory that it took", self.growth()));
        }
        // For a moment there may be more: one that was given up is there until Postgres hears of it.
        let (instances, connections) = (median(&self.vitals.instances), median(&self.vitals.connections));
        if connections > instances {
            troubles.push(format!("mostly {connections} connections to Postgres of {instances} instances"));
        }
        if self.sent.given_up > 0 {
            troubles.push(format!("{} writes were given up", self.sent.given_up));
        }
        troubles
    }

    /// The memory of an instance in the last third of the run, to that in the first.
    fn growth(&self) -> f64 {
        let third = self.vitals.memory.len() / 3;
        if third == 0 {
            return 1.0;
        }
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        mean(&self.vitals.memory[2 * third..]) / mean(&self.vitals.memory[..third])
    }

    /// The same as JSON.
    pub fn json(&self) -> Value {
        let latencies: BTreeMap<_, _> = self
            .sent
            .latencies
            .iter()
            .map(|(operation, all)| {
                let [p50, p99, max] = quantiles(all);
                (operation, json!({ "requests": all.len(), "p50_ms": p50, "p99_ms": p99, "max_ms": max }))
            })
            .collect();
        json!({
            "seconds": self.options.duration.as_secs(),
            "rate": self.options.rate,
            "seed": self.options.seed,
            "latencies": latencies,
            "statuses": self.sent.statuses,
            "faults": self.faults,
            "hits": self.metrics.hits,
            "misses": self.metrics.misses,
            "deferred_writes": self.metrics.deferred,
            "memory_kib": self.vitals.memory.last(),
            "memory_growth": self.growth(),
            "most_instances": most(&self.vitals.instances),
            "most_connections": most(&self.vitals.connections),
            "acknowledged": self.kept.acknowledged,
            "unacknowledged": self.kept.unacknowledged,
            "erasures": self.erased.erasures,
            "erased": self.erased.conversations,
            "troubles": self.troubles(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<10}{:>10}{:>12}{:>12}{:>12}", "", "requests", "p50 ms", "p99 ms", "max ms")?;
        for (operation, all) in &self.sent.latencies {
            let [p50, p99, max] = quantiles(all);
            writeln!(f, "{operation:<10}{:>10}{p50:>12.1}{p99:>12.1}{max:>12.1}", all.len())?;
        }
        let line =
            |f: &mut fmt::Formatter<'_>, name: &str, count: u64| writeln!(f, "  {name:<40}{count:>10}");
        writeln!(f, "answers")?;
        for (status, count) in &self.sent.statuses {
            line(f, &status.to_string(), *count as u64)?;
        }
        writeln!(f, "cache, as the metrics tell it")?;
        line(f, "hits", self.metrics.hits)?;
        for (reason, count) in &self.metrics.misses {
            line(f, reason, *count)?;
        }
        line(f, "deferred writes", self.metrics.deferred)?;
        writeln!(f, "faults")?;
        for (fault, count) in &self.faults {
            line(f, fault, *count as u64)?;
        }
        let memory = self.vitals.memory.last().copied().unwrap_or_default() / 1_024.0;
        writeln!(f, "memory of an instance  {memory:.1} MiB, {:.2} of what it was", self.growth())?;
        let (instances, connections) = (most(&self.vitals.instances), most(&self.vitals.connections));
        writeln!(
            f,
            "instances              {instances} at most, {connections} connections to Postgres at most"
        )?;
        writeln!(
            f,
            "messages               {} acknowledged, all there once; {} more in {} conversations",
            self.kept.acknowledged, self.kept.unacknowledged, self.kept.conversations
        )?;
        let Erased { erasures, conversations, traces, .. } = self.erased;
        writeln!(
            f,
            "erasures               {erasures}, of {conversations} conversations; {traces} traces are left"
        )?;
        let troubles = self.troubles();
        writeln!(f, "troubles               {}", troubles.len())?;
        troubles.iter().take(20).try_for_each(|trouble| writeln!(f, "  {trouble}"))
    }
}

/// The median, the 99th percentile and the largest.
fn quantiles(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |permille: usize| sorted.get(sorted.len().saturating_sub(1) * permille / 1_000).copied();
    [at(500), at(990), at(1_000)].map(Option::unwrap_or_default)
}

fn median(values: &[f64]) -> f64 {
    quantiles(values)[0]
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}
