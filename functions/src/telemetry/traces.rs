//! Spans, for X-Ray: one for each operation and one for each question to a store. They go to the daemon that Lambda runs
//! beside a function, as datagrams, so that nobody waits for them and no network has to be left.

use std::borrow::Cow;
use std::net::UdpSocket;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use serde_json::{Map, Value, json};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Layer as _;

use crate::Unready;

use super::log::Listener;

/// What begins every datagram.
const HEADER: &str = "{\"format\":\"json\",\"version\":1}\n";

/// Sends the spans of this product to a daemon.
///
/// # Errors
/// There is no way to that address.
pub(super) fn layer(daemon: &str) -> Result<Listener, Unready> {
    let socket = UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.connect(daemon).map(|()| socket));
    let socket = socket.map_err(|error| format!("AWS_XRAY_DAEMON_ADDRESS is not an address: {error}"))?;
    let provider = SdkTracerProvider::builder().with_simple_exporter(Daemon(socket)).build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("conversation-store"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false);
    let ours = filter_fn(|what| what.is_span() && what.target().starts_with("conversation_"));
    Ok(layer.with_filter(ours).boxed())
}

/// Makes a span one of the trace that Lambda has begun, if that is one of those that are kept.
pub(super) fn continue_from(span: &Span, header: &str) {
    let parent = parent_of(header).unwrap_or(SpanContext::NONE);
    // It fails where nobody listens to spans.
    let _ = span.set_parent(Context::new().with_remote_span_context(parent));
}

/// Reads `Root=1-<8 digits>-<24 digits>;Parent=<16 digits>;Sampled=<0 or 1>`, all hexadecimal.
fn parent_of(header: &str) -> Option<SpanContext> {
    let part = |name: &str| header.split(';').find_map(|part| part.trim().strip_prefix(name));
    let root = part("Root=1-")?.replace('-', "");
    let trace = TraceId::from_hex(&root).ok()?;
    let parent = SpanId::from_hex(part("Parent=")?).ok()?;
    let sampled = if part("Sampled=") == Some("1") { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    Some(SpanContext::new(trace, parent, sampled, true, TraceState::NONE))
}

/// X-Ray's daemon.
#[derive(Debug)]
struct Daemon(UdpSocket);

impl SpanExporter for Daemon {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        for span in &batch {
            let datagram = format!("{HEADER}{}", subsegment(span));
            self.0
                .send(datagram.as_bytes())
                .map_err(|error| OTelSdkError::InternalFailure(error.to_string()))?;
        }
        Ok(())
    }
}

/// A span as X-Ray has it:
/// <https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html#api-segmentdocuments-subsegments>.
fn subsegment(span: &SpanData) -> Value {
    let trace = span.span_context.trace_id().to_string();
    let (epoch, rest) = trace.split_at(8);
    let annotations: Map<String, Value> = span.attributes.iter().filter_map(annotation).collect();
    let mut subsegment = json!({
        "type": "subsegment",
        "trace_id": format!("1-{epoch}-{rest}"),
        "id": span.span_context.span_id().to_string(),
        "parent_id": span.parent_span_id.to_string(),
        "name": span.name,
        "start_time": seconds(span.start_time),
        "end_time": seconds(span.end_time),
        "annotations": annotations,
        "fault": matches!(span.status, Status::Error { .. }),
    });
    if span.span_kind == SpanKind::Client {
        subsegment["namespace"] = "remote".into();
    }
    subsegment
}

/// Keys of annotations are letters, digits and underscores.
fn annotation(attribute: &KeyValue) -> Option<(String, Value)> {
    let key = attribute.key.as_str();
    let known = ["operation", "request_id", "owner"].contains(&key);
    let value: Cow<'_, str> = attribute.value.as_str();
    known.then(|| (key.to_owned(), value.into_owned().into()))
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_names_trace_and_parent() {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:0";
        let parent = parent_of(header).unwrap();
        assert_eq!(parent.trace_id().to_string(), "5759e988bd862e3fe1be46a994272793");
        assert_eq!((parent.span_id().to_string(), parent.is_sampled()), ("53995c3f42cd8ad8".into(), true));
        assert!(!parent_of(&header.replace("Sampled=1", "Sampled=0")).unwrap().is_sampled());
        for bad in ["", "Root=1-5759e988", "Root=1-x-y;Parent=z", "Parent=53995c3f42cd8ad8"] {
            assert!(parent_of(bad).is_none(), "{bad}");
        }
    }
}
