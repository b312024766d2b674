//! A line in which few numbers are metrics, since CloudWatch charges for each metric of each operation. All others are fields
//! of the line, which CloudWatch Logs Insights can query.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use metrique_writer::unit::Unit;
use metrique_writer::{
    Entry as _, EntryConfig, EntryWriter, MetricFlags, Observation, ValidationError, Value, ValueWriter,
};

use super::metrics::{NAMESPACE, RequestMetrics};

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
