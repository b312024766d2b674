//! A line in which few numbers are metrics, since CloudWatch charges for each metric of each operation. All others are fields
//! of the line, which CloudWatch Logs Insights can query.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use metrique_writer::unit::Unit;
use metrique_writer::{
    Entry as _, EntryConfig, EntryWriter, MetricFlags, Observation, ValidationError, Value, ValueWriter,
};

use super::{NAMESPACE, RequestMetrics};

/// A number that is a metric.
struct Essential {
    name: &'static str,
    /// Of this operation alone.
    operation: Option<&'static str>,
    /// Whether a 0 is one, too. Where it is not, CloudWatch charges for it only in hours in which something is wrong.
    at_zero: bool,
}

/// What alarms need. `tests/infra/cost.py` reads this table, and counts what it costs.
const ESSENTIAL: [Essential; 4] = [
    Essential { name: "Errors", operation: None, at_zero: false },
    Essential { name: "CacheHits", operation: Some("recent"), at_zero: true },
    Essential { name: "PendingInvalidationAge", operation: Some("sweep"), at_zero: false },
    Essential { name: "AuditStaleAt1m", operation: Some("sweep"), at_zero: false },
];

impl Essential {
    fn is(&self, name: &str, operation: &str, number: f64) -> bool {
        self.name == name && self.operation.is_none_or(|of| of == operation) && (self.at_zero || number > 0.0)
    }
}

/// A whole line. It names metrics only if it has any.
pub(super) fn format(line: &RequestMetrics) -> String {
    let mut parts = Parts { operation: line.operation, fields: String::new(), metrics: String::new() };
    line.write(&mut parts);
    let Parts { fields, metrics, .. } = parts;
    if metrics.is_empty() {
        return format!("{{{fields}}}\n");
    }
    let at = line.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let store = &line.store;
    format!(
        r#"{{"_aws":{{"CloudWatchMetrics":[{{"Namespace":"{NAMESPACE}","Dimensions":[["Store","Operation"]],"Metrics":[{metrics}]}}],"Timestamp":{at}}},"Store":"{store}",{fields}}}"#
    ) + "\n"
}

/// What a line is made of, as JSON without brackets.
struct Parts {
    operation: &'static str,
    fields: String,
    metrics: String,
}

impl<'a> EntryWriter<'a> for Parts {
    // A line without metrics has the time that CloudWatch Logs gives it.
    fn timestamp(&mut self, _: SystemTime) {}

    fn value(&mut self, name: impl Into<Cow<'a, str>>, value: &(impl Value + ?Sized)) {
        let name: Cow<'a, str> = name.into();
        value.write(Field { name: &name, parts: self });
    }

    fn config(&mut self, _: &'a dyn EntryConfig) {}
}

/// A field of a line.
struct Field<'a> {
    name: &'a str,
    parts: &'a mut Parts,
}

impl Field<'_> {
    fn push(&mut self, value: &dyn Display) {
        let Parts { fields, .. } = &mut *self.parts;
        if !fields.is_empty() {
            fields.push(',');
        }
        // Writing to text cannot fail.
        let _ = write!(fields, r#""{}":{value}"#, self.name);
    }

    fn push_metric(&mut self, unit: Unit) {
        let Parts { metrics, .. } = &mut *self.parts;
        if !metrics.is_empty() {
            metrics.push(',');
        }
        let _ = write!(metrics, r#"{{"Name":"{}","Unit":"{}"}}"#, self.name, unit.name());
    }
}

impl ValueWriter for Field<'_> {
    fn string(mut self, value: &str) {
        // The store is a dimension of metrics; without metrics, the log group names it.
        if self.name != "Store" {
            self.push(&serde_json::Value::from(value));
        }
    }

    fn metric<'a>(
        mut self,
        distribution: impl IntoIterator<Item = Observation>,
        unit: Unit,
        _: impl IntoIterator<Item = (&'a str, &'a str)>,
        _: MetricFlags<'_>,
    ) {
        let number = match distribution.into_iter().next() {
            Some(Observation::Unsigned(number)) => number as f64,
            Some(Observation::Floating(number)) => (number * 1e3).round() / 1e3,
            _ => return,
        };
        // The number of lines is that of requests; a line without `Errors` is one of a request that did not fail.
        if self.name == "Requests" || (self.name == "Errors" && number == 0.0) {
            return;
        }
        self.push(&number);
        if ESSENTIAL.iter().any(|one| one.is(self.name, self.parts.operation, number)) {
            self.push_metric(unit);
        }
    }

    fn error(self, error: ValidationError) {
        tracing::warn!(%error, "cannot format metrics");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value as Json;

    use super::super::{Formats, SweepMetrics};
    use super::*;

    /// The lines that tests/infra/cost.py counts the bytes of.
    const SAMPLES: &str = include_str!("../../../../tests/infra/lines.json");

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
