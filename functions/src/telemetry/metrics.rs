//! Metrics, in CloudWatch's embedded metric format: one line for each request, from which CloudWatch Logs takes them.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use conversation_core::{Metered, Source, Told};
use metrique_writer::Entry;
use metrique_writer::format::Format as _;
use metrique_writer::unit::Unit;
use metrique_writer::unit::{AsBytes, AsCount, AsSeconds};
use metrique_writer_format_emf::{Emf, MetricDefinition, MetricDirective};

use crate::response::Origin;

use super::Outcome;

/// Where CloudWatch puts them.
const NAMESPACE: &str = "ConversationStore";

/// What one request, or one run of the sweep, is to CloudWatch. Whatever is none is not told.
#[derive(Debug, Entry)]
#[entry(rename_all = "PascalCase")]
pub(super) struct Line {
    #[entry(timestamp)]
    at: SystemTime,
    store: String,
    operation: &'static str,
    reason: Option<String>,
    request_id: String,
    status: String,
    latency: Duration,
    requests: AsCount<u64>,
    errors: AsCount<u64>,
    cache_hits: Option<AsCount<u64>>,
    cache_misses: Option<AsCount<u64>>,
    redis_time: Option<Duration>,
    redis_requests: AsCount<u64>,
    /// Told only where there are any.
    cache_refused: Option<AsCount<u64>>,
    postgres_time: Option<Duration>,
    postgres_requests: AsCount<u64>,
    deferred_writes: Option<AsCount<u64>>,
    window_bytes: Option<AsBytes<u64>>,
    #[entry(flatten)]
    found: Option<Found>,
}

/// What a sweep finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Fences taken away that dead writers had left.
    pub fences_cleared: u64,
    /// Cache servers that could not be gone through.
    pub servers_not_swept: u64,
    /// Conversations whose cached copy may be behind, 10,000 at most.
    pub cache_debt_depth: u64,
    /// Seconds for which the oldest of these has been.
    pub cache_debt_age: u64,
    /// Answers of the cache that were held against Postgres.
    pub audit_samples: u64,
    /// Those without a change of more than a second ago.
    pub audit_stale_at_1s: u64,
    /// Those without a change of more than a minute ago.
    pub audit_stale_at_1m: u64,
}

/// The same, each with its unit.
#[derive(Debug, Entry)]
#[entry(rename_all = "PascalCase")]
struct Found {
    fences_cleared: AsCount<u64>,
    servers_not_swept: AsCount<u64>,
    cache_debt_depth: AsCount<u64>,
    cache_debt_age: AsSeconds<u64>,
    audit_samples: AsCount<u64>,
    #[entry(name = "AuditStaleAt1s")]
    audit_stale_at_1s: AsCount<u64>,
    #[entry(name = "AuditStaleAt1m")]
    audit_stale_at_1m: AsCount<u64>,
}

impl From<Gauges> for Found {
    fn from(gauges: Gauges) -> Self {
        Self {
            fences_cleared: gauges.fences_cleared.into(),
            servers_not_swept: gauges.servers_not_swept.into(),
            cache_debt_depth: gauges.cache_debt_depth.into(),
            cache_debt_age: gauges.cache_debt_age.into(),
            audit_samples: gauges.audit_samples.into(),
            audit_stale_at_1s: gauges.audit_stale_at_1s.into(),
            audit_stale_at_1m: gauges.audit_stale_at_1m.into(),
        }
    }
}

impl Line {
    pub(super) fn of(
        store: &str,
        operation: &'static str,
        latency: Duration,
        metered: Metered,
        outcome: Outcome,
        request_id: &str,
    ) -> Self {
        let count = |is: bool| AsCount::from(u64::from(is));
        let read = match outcome.origin {
            Some(Origin::Read(source)) if source != Source::Bypass => Some(source),
            _ => None,
        };
        let reason = match read {
            Some(Source::Miss { reason, .. }) => Some(reason.to_string()),
            _ => None,
        };
        let written = match outcome.origin {
            Some(Origin::Written(told)) => Some(count(told == Told::Owed)),
            _ => None,
        };
        Self {
            at: SystemTime::now(),
            store: store.to_owned(),
            operation,
            request_id: request_id.to_owned(),
            status: outcome.status.to_string(),
            latency,
            requests: count(true),
            errors: count(outcome.status >= 500),
            cache_hits: read.map(|source| count(source.is_hit())),
            cache_misses: read.map(|source| count(!source.is_hit())),
            reason,
            redis_time: (metered.redis.times > 0).then_some(metered.redis.took),
            redis_requests: metered.redis.times.into(),
            cache_refused: (metered.redis_refused > 0).then(|| metered.redis_refused.into()),
            postgres_time: (metered.postgres.times > 0).then_some(metered.postgres.took),
            postgres_requests: metered.postgres.times.into(),
            deferred_writes: written,
            window_bytes: outcome.window_bytes.map(|bytes| u64::try_from(bytes).unwrap_or(u64::MAX).into()),
            found: None,
        }
    }

    /// With what a sweep found.
    pub(super) fn with(self, gauges: Option<Gauges>) -> Self {
        Self { found: gauges.map(Found::from), ..self }
    }
}

/// Writes lines to standard output.
pub(super) struct Metrics(Mutex<Emf>);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// By store and operation; and misses by store, operation and reason, too. Without the store, those of two in one account
    /// would be added up, and the errors of one would stop a deployment of the other.
    pub(super) fn new() -> Self {
        let misses = MetricDefinition { name: "CacheMisses", unit: Unit::Count, storage_resolution: None };
        let by_reason = MetricDirective {
            dimensions: vec![vec!["Store", "Operation", "Reason"]],
            metrics: vec![misses],
            namespace: NAMESPACE,
        };
        let emf = Emf::builder(NAMESPACE.into(), vec![vec!["Store".into(), "Operation".into()]])
            .directive(by_reason)
            // What is told is known here; and where there is no reason, there is nothing by reason.
            .skip_all_validations(true)
            .build();
        Self(Mutex::new(emf))
    }

    /// One line, in one piece.
    pub(super) fn tell(&self, line: &Line) {
        let mut text = Vec::with_capacity(1_024);
        let formatted = self.0.lock().unwrap_or_else(PoisonError::into_inner).format(line, &mut text);
        if let Err(error) = formatted {
            tracing::warn!(%error, "metrics cannot be told");
            return;
        }
        if let Err(error) = std::io::stdout().lock().write_all(&text) {
            tracing::warn!(%error, "metrics cannot be written");
        }
    }
}
