//! Metrics on their way: in CloudWatch's embedded metric format, one line for each request, from which CloudWatch Logs takes them. Every
//! number of it is a metric, or few are.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use conversation_core::MetricsMode;
use metrique_writer::IoStreamError;
use metrique_writer::format::Format as _;
use metrique_writer::unit::Unit;
use metrique_writer_format_emf::{Emf, MetricDefinition, MetricDirective};

use super::essential;
use super::metrics::{NAMESPACE, RequestMetrics};

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

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::Value as Json;

    use super::super::essential::format;
    use super::super::metrics::SweepMetrics;
    use super::*;

    /// The lines that tests/infra/cost.py counts the bytes of.
    const SAMPLES: &str = include_str!("../../../tests/infra/lines.json");

    fn sample(name: &str) -> String {
        let samples: Json = serde_json::from_str(SAMPLES).unwrap();
        samples[name].as_str().unwrap().to_owned() + "\n"
    }

    /// A line of a store in the same second, with the same id.
    fn line(operation: &'static str) -> RequestMetrics {
        RequestMetrics {
            at: UNIX_EPOCH + Duration::from_millis(1_795_862_554_901),
            store: "conversation-store-dev".into(),
            operation,
            reason: None,
            request_id: "edcd23db-61c3-4b18-88b9-ae39f700e76a".into(),
            status: "200".into(),
            latency: Duration::from_micros(1_250),
            requests: 1_u64.into(),
            errors: 0_u64.into(),
            cache_hits: None,
            cache_misses: None,
            redis_time: Some(Duration::from_micros(750)),
            redis_requests: 1_u64.into(),
            cache_refused: None,
            postgres_time: None,
            postgres_requests: 0_u64.into(),
            deferred_writes: None,
            window_bytes: None,
            version_mismatches: None,
            not_modified: None,
            found: None,
        }
    }

    fn hit(operation: &'static str) -> RequestMetrics {
        RequestMetrics {
            cache_hits: Some(1_u64.into()),
            cache_misses: Some(0_u64.into()),
            window_bytes: Some(10_240_u64.into()),
            ..line(operation)
        }
    }

    fn add() -> RequestMetrics {
        RequestMetrics {
            latency: Duration::from_micros(4_500),
            redis_requests: 2_u64.into(),
            postgres_time: Some(Duration::from_micros(2_250)),
            postgres_requests: 1_u64.into(),
            deferred_writes: Some(0_u64.into()),
            ..line("add")
        }
    }

    fn swept(age: u64, stale: u64) -> RequestMetrics {
        let found = SweepMetrics {
            intents_cleared: 1_u64.into(),
            servers_not_swept: 0_u64.into(),
            pending_invalidations: 0_u64.into(),
            pending_invalidation_age: age.into(),
            audit_samples: 5_u64.into(),
            audit_stale_at_1s: stale.into(),
            audit_stale_at_1m: stale.into(),
        };
        line("sweep").with(Some(found))
    }

    /// The metrics that a line names.
    fn named(line: &RequestMetrics) -> Vec<String> {
        let line: Json = serde_json::from_str(&format(line)).unwrap();
        let metrics = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().cloned().unwrap_or_default();
        metrics.iter().map(|metric| metric["Name"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn lines_are_as_long_as_their_cost_is_reckoned() {
        assert_eq!(format(&hit("recent")), sample("essential recent"));
        assert_eq!(format(&add()), sample("essential add"));
        let full = |line: &RequestMetrics| String::from_utf8(Formats::new().format(line).unwrap()).unwrap();
        assert_eq!(full(&hit("recent")), sample("full recent"));
        assert_eq!(full(&add()), sample("full add"));
    }

    #[test]
    fn a_line_names_only_what_alarms_need() {
        assert_eq!(named(&hit("recent")), ["CacheHits"]);
        let miss = RequestMetrics {
            reason: Some("cold".into()),
            cache_hits: Some(0_u64.into()),
            cache_misses: Some(1_u64.into()),
            ..line("recent")
        };
        assert_eq!(named(&miss), ["CacheHits"]);
        for nothing in [hit("get"), add(), swept(0, 0)] {
            assert!(!format(&nothing).contains("_aws"), "{nothing:?}");
        }
        let failed = RequestMetrics { status: "503".into(), errors: 1_u64.into(), ..add() };
        assert_eq!(named(&failed), ["Errors"]);
        assert_eq!(named(&swept(400, 0)), ["PendingInvalidationAge"]);
        assert_eq!(named(&swept(0, 2)), ["AuditStaleAt1m"]);
    }

    #[test]
    fn every_other_number_is_a_field() {
        let line: Json = serde_json::from_str(&format(&swept(400, 0))).unwrap();
        for (name, value) in
            [("IntentsCleared", 1.0), ("AuditSamples", 5.0), ("Latency", 1.25), ("RedisTime", 0.75)]
        {
            assert_eq!(line[name].as_f64(), Some(value), "{name}");
        }
        assert_eq!((&line["Operation"], &line["Status"]), (&"sweep".into(), &"200".into()));
    }
}
