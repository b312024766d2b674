//! What a request, or a run of the sweep, is in numbers.

use std::time::{Duration, SystemTime};

use conversation_core::{CacheUpdate, Source, StoreStats, Swept};
use metrique_writer::Entry;
use metrique_writer::unit::{AsBytes, AsCount, AsSeconds};

use crate::outcome::{CacheStatus, Outcome};

/// Where CloudWatch puts metrics.
pub(super) const NAMESPACE: &str = "ConversationStore";

/// What one request, or one run of the sweep, is to CloudWatch. `None` fields are omitted.
#[derive(Debug, Entry)]
#[entry(rename_all = "PascalCase")]
pub(super) struct RequestMetrics {
    #[entry(timestamp)]
    pub(super) at: SystemTime,
    pub(super) store: String,
    pub(super) operation: &'static str,
    pub(super) reason: Option<String>,
    pub(super) request_id: String,
    pub(super) status: String,
    pub(super) latency: Duration,
    pub(super) requests: AsCount<u64>,
    pub(super) errors: AsCount<u64>,
    pub(super) cache_hits: Option<AsCount<u64>>,
    pub(super) cache_misses: Option<AsCount<u64>>,
    pub(super) redis_time: Option<Duration>,
    pub(super) redis_requests: AsCount<u64>,
    /// Only where there are any.
    pub(super) cache_refused: Option<AsCount<u64>>,
    pub(super) postgres_time: Option<Duration>,
    pub(super) postgres_requests: AsCount<u64>,
    pub(super) deferred_writes: Option<AsCount<u64>>,
    pub(super) window_bytes: Option<AsBytes<u64>>,
    /// Only where there are any.
    pub(super) version_mismatches: Option<AsCount<u64>>,
    pub(super) not_modified: Option<AsCount<u64>>,
    #[entry(flatten)]
    pub(super) found: Option<SweepMetrics>,
}

/// What a sweep found, each number with its unit.
#[derive(Debug, Entry)]
#[entry(rename_all = "PascalCase")]
pub struct SweepMetrics {
    pub(super) intents_cleared: AsCount<u64>,
    pub(super) servers_not_swept: AsCount<u64>,
    pub(super) pending_invalidations: AsCount<u64>,
    pub(super) pending_invalidation_age: AsSeconds<u64>,
    pub(super) audit_samples: AsCount<u64>,
    #[entry(name = "AuditStaleAt1s")]
    pub(super) audit_stale_at_1s: AsCount<u64>,
    #[entry(name = "AuditStaleAt1m")]
    pub(super) audit_stale_at_1m: AsCount<u64>,
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
