//! What the functions tell of themselves: log lines, metrics, spans. Never what a message says.

mod emitter;
mod essential;
mod log;
mod metrics;
mod traces;

use std::time::Instant;

use conversation_core::{OwnerHash, OwnerId, StoreStats, TelemetryConfig, metered};
use lambda_runtime::Context;
use tracing::{Instrument as _, Span};

use crate::outcome::Outcome;
use crate::startup::StartupError;

use self::emitter::Metrics;
use self::metrics::RequestMetrics;
pub use self::metrics::SweepMetrics;

/// Where metrics, logs and traces go.
#[derive(Debug)]
pub(crate) struct Telemetry {
    store: String,
    metrics: Option<Metrics>,
    traced: bool,
}

impl Telemetry {
    /// Begins to log, and whatever else the environment asks for.
    ///
    /// # Errors
    /// A setting is malformed, or the daemon's address is none.
    pub(crate) fn start() -> Result<Self, StartupError> {
        let config = TelemetryConfig::from_env()?;
        log::start(config.traces.as_deref().map(traces::layer).transpose()?)?;
        let (metrics, traced) = (Metrics::of(config.metrics), config.traces.is_some());
        Ok(Self { store: config.store, metrics, traced })
    }

    /// Does what a request asks for, and tells of it. Every line that is logged meanwhile bears the request's id, the
    /// trace's, and the hash of the owner's.
    pub(crate) async fn request<T>(
        &self,
        operation: &'static str,
        owner: Option<&OwnerId>,
        context: &Context,
        work: impl Future<Output = T>,
        outcome: impl FnOnce(&T) -> Outcome,
    ) -> T {
        let began = Instant::now();
        let (done, metered) = metered(work).instrument(self.span(operation, owner, context)).await;
        if let Some(metrics) = &self.metrics {
            let (took, outcome) = (began.elapsed(), outcome(&done));
            metrics.emit(&RequestMetrics::of(
                &self.store,
                operation,
                took,
                metered,
                outcome,
                &context.request_id,
            ));
        }
        done
    }

    /// Does some work of its own, and tells of it and of what it found.
    pub(crate) async fn job<T, E>(
        &self,
        operation: &'static str,
        context: &Context,
        work: impl Future<Output = Result<T, E>>,
        sweep_metrics: impl FnOnce(&T) -> Option<SweepMetrics>,
    ) -> Result<T, E> {
        let began = Instant::now();
        let (done, metered): (_, StoreStats) =
            metered(work).instrument(self.span(operation, None, context)).await;
        if let Some(metrics) = &self.metrics {
            let outcome = Outcome {
                status: if done.is_ok() { 200 } else { 500 },
                is_error: done.is_err(),
                cache_status: None,
                window_bytes: None,
            };
            let line = RequestMetrics::of(
                &self.store,
                operation,
                began.elapsed(),
                metered,
                outcome,
                &context.request_id,
            );
            metrics.emit(&line.with(done.as_ref().ok().and_then(sweep_metrics)));
        }
        done
    }

    fn span(&self, operation: &'static str, owner: Option<&OwnerId>, context: &Context) -> Span {
        let trace = context.xray_trace_id.as_deref();
        // All at once: what is recorded later costs as much again. Where nobody listens, none of it is worked out.
        let span = tracing::info_span!(
            "operation",
            otel.name = operation,
            operation,
            request_id = context.request_id,
            trace_id = trace.map(root_of),
            owner = owner.map(|owner| tracing::field::display(OwnerHash::of(owner))),
        );
        if let Some(trace) = trace.filter(|_| self.traced) {
            traces::continue_from(&span, trace);
        }
        span
    }
}

/// The id of the whole trace, from `Root=...;Parent=...;Sampled=...`.
fn root_of(header: &str) -> &str {
    header.split(';').find_map(|part| part.strip_prefix("Root=")).unwrap_or(header)
}

pub(crate) use log::start as start_logging;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_known_by_its_root() {
        let root = "1-5759e988-bd862e3fe1be46a994272793";
        assert_eq!(root_of(&format!("Root={root};Parent=53995c3f42cd8ad8;Sampled=1")), root);
        assert_eq!(root_of("whatever"), "whatever");
    }
}
