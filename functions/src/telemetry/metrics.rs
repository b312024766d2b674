//! Metrics, in CloudWatch's embedded metric format: one line for each request, from which CloudWatch Logs takes them. Every
//! number of it is a metric, or few are: [`essential`].
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

mod essential;

use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use conversation_core::{CacheUpdate, MetricsMode, Source, StoreStats, Swept};
use metrique_writer::format::Format as _;
use metrique_writer::unit::Unit;
use metrique_writer::unit::{AsBytes, AsCount, AsSeconds};
use metrique_writer::{Entry, IoStreamError};
use metrique_writer_format_emf::{Emf, MetricDefinition, MetricDirective};

use crate::outcome::{CacheStatus, Outcome};

/// Where CloudWatch puts them.
const NAMESPACE: &str = "ConversationStore";

/// What one request, or one run of the sweep, is to CloudWatch. `None` fields are omitted.
#[derive(Debug, Entry)]
#[entry(rename_all = "PascalCase")]
pub(super) struct RequestMetrics {
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
    /// Only where there are any.
    cache_refused: Option<AsCount<u64>>,
    postgres_time: Option<Duration>,
    postgres_requests: AsCount<u64>,
    deferred_writes: Option<AsCount<u64>>,
    window_bytes: Option<AsBytes<u64>>,
    /// Only where there are any.
    version_mismatches: Option<AsCount<u64>>,
    not_modified: Option<AsCount<u64>>,
    #[entry(flatten)]
    found: Option<SweepMetrics>,
}

/// What a sweep found, each number with its unit.
#[derive(Debug, Entry)]
#[entry(rename_all = "PascalCase")]
pub struct SweepMetrics {
    intents_cleared: AsCount<u64>,
    servers_not_swept: AsCount<u64>,
    pending_invalidations: AsCount<u64>,
    pending_invalidation_age: AsSeconds<u64>,
    audit_samples: AsCount<u64>,
    #[entry(name = "AuditStaleAt1s")]
    audit_stale_at_1s: AsCount<u64>,
    #[entry(name = "AuditStaleAt1m")]
    audit_stale_at_1m: AsCount<u64>,
}

impl From<&Swept> for SweepMetrics {
    fn from(swept: &Swept) -> Self {
        Self {
            intents_cleared: (swept.intents_cleared as u64).into(),
            servers_not_swept: (swept.servers_not_swept as u64).into(),
            pending_invalidations: swept.pending_invalidations.into(),
            pending_invalidation_age: swept.oldest_pending_invalidation.as_secs().into(),
            audit_samples: swept.audit.samples.into(),
            audit_stale_at_1s: swept.audit.stale_at_1s.into(),
            audit_stale_at_1m: swept.audit.stale_at_1m.into(),
        }
    }
}

impl RequestMetrics {
    pub(super) fn of(
        store: &str,
        operation: &'static str,
        latency: Duration,
        metered: StoreStats,
        outcome: Outcome,
        request_id: &str,
    ) -> Self {
        let count = |is: bool| AsCount::from(u64::from(is));
        let read = match outcome.cache_status {
            Some(CacheStatus::Read(source)) if source != Source::Bypass => Some(source),
            _ => None,
        };
        let reason = match read {
            Some(Source::Miss { reason, .. }) => Some(reason.to_string()),
            _ => None,
        };
        let written = match outcome.cache_status {
            Some(CacheStatus::Written(cache_update)) => Some(count(cache_update == CacheUpdate::Deferred)),
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
            errors: count(outcome.is_error),
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
            version_mismatches: (outcome.status == 412).then(|| count(true)),
            not_modified: (outcome.status == 304).then(|| count(true)),
            found: None,
        }
    }

    /// With what a sweep found.
    pub(super) fn with(self, metrics: Option<SweepMetrics>) -> Self {
        Self { found: metrics, ..self }
    }
}

/// Writes lines to standard output.
pub(super) enum Metrics {
    /// In which all numbers are metrics.
    Full(Box<Mutex<Formats>>),
    /// In which few are.
    Essential,
}

/// How a line looks in which all numbers are metrics: by store and operation. Without the store, those of two in one account
/// would be added up, and the errors of one would stop a deployment of the other.
pub(super) struct Formats {
    usual: Emf,
    /// Of a miss: by store, operation and reason, too.
    miss: Emf,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Formats {
    fn new() -> Self {
        let builder = || {
            Emf::builder(NAMESPACE.into(), vec![vec!["Store".into(), "Operation".into()]])
                // The fields are known here.
                .skip_all_validations(true)
        };
        let misses = MetricDefinition { name: "CacheMisses", unit: Unit::Count, storage_resolution: None };
        let by_reason = MetricDirective {
            dimensions: vec![vec!["Store", "Operation", "Reason"]],
            metrics: vec![misses],
            namespace: NAMESPACE,
        };
        Self { usual: builder().build(), miss: builder().directive(by_reason).build() }
    }

    fn format(&mut self, line: &RequestMetrics) -> Result<Vec<u8>, IoStreamError> {
        let mut text = Vec::with_capacity(1_024);
        let format = if line.reason.is_some() { &mut self.miss } else { &mut self.usual };
        format.format(line, &mut text)?;
        Ok(text)
    }
}

impl Metrics {
    /// None, if no line is wanted.
    pub(super) fn of(mode: MetricsMode) -> Option<Self> {
        match mode {
            MetricsMode::Off => None,
            MetricsMode::Essential => Some(Self::Essential),
            MetricsMode::Full => Some(Self::Full(Box::new(Mutex::new(Formats::new())))),
        }
    }

    fn format(&self, line: &RequestMetrics) -> Result<Vec<u8>, IoStreamError> {
        match self {
            Self::Full(formats) => formats.lock().unwrap_or_else(PoisonError::into_inner).format(line),
            Self::Essential => Ok(essential::format(line).into_bytes()),
        }
    }

    /// One line, in one piece.
    pub(super) fn emit(&self, line: &RequestMetrics) {
        let text = match self.format(line) {
            Ok(text) => text,
            Err(error) => {
                tracing::warn!(%error, "cannot format metrics");
                return;
            }
        };
        if let Err(error) = std::io::stdout().lock().write_all(&text) {
            tracing::warn!(%error, "cannot write metrics");
        }
    }
}
