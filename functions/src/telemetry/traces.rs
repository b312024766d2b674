//! Spans, for X-Ray: one for each operation and one for each question to a store. They go to the daemon that Lambda runs
//! beside a function, as datagrams, so that nobody waits for them and no network has to be left.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{self, SdkTracerProvider, SpanData, SpanProcessor};
use serde::{Serialize, Serializer};
use tokio::runtime::Handle;
use tracing::{Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::Layer as _;

use crate::startup::StartupError;

use super::log::Listener;

/// What begins every datagram.
const HEADER: &str = "{\"format\":\"json\",\"version\":1}\n";
/// How many questions go with their operation, of some 200 bytes each: a datagram has at most 64 KiB. A sweep may ask more.
const WITHIN: usize = 100;

/// Sends the spans of this product to a daemon.
///
/// # Errors
/// There is no way to that address.
pub(super) fn layer(daemon: &str) -> Result<Listener, StartupError> {
    let socket = UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.connect(daemon).map(|()| socket));
    let socket = socket.map_err(|error| format!("AWS_XRAY_DAEMON_ADDRESS is not an address: {error}"))?;
    let daemon = Daemon { socket: Arc::new(socket), asked: Mutex::default() };
    let provider = SdkTracerProvider::builder().with_span_processor(daemon).build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("conversation-store"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false);
    // An error makes a span one that failed; of what else is said within it nothing would be sent.
    let ours = filter_fn(|what| {
        what.target().starts_with("conversation_") && (what.is_span() || *what.level() == Level::ERROR)
    });
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

/// X-Ray's daemon. It is sent an operation when that has ended, with the questions to the stores within: one datagram.
#[derive(Debug)]
struct Daemon {
    socket: Arc<UdpSocket>,
    /// The questions of operations that go on.
    asked: Mutex<HashMap<SpanId, Vec<Subsegment>>>,
}

impl Daemon {
    /// Sends it when the answer is on its way: the runtime waits for Lambda to have that before it asks for more.
    fn send(&self, subsegment: Subsegment) {
        let socket = Arc::clone(&self.socket);
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(async move { send(&socket, &subsegment) })),
            Err(_) => send(&socket, &subsegment),
        }
    }
}

/// What cannot be sent is lost: nobody waits for it.
fn send(socket: &UdpSocket, subsegment: &Subsegment) {
    let mut datagram = HEADER.as_bytes().to_vec();
    let written = serde_json::to_writer(&mut datagram, subsegment).map_err(std::io::Error::from);
    if let Err(error) = written.and_then(|()| socket.send(&datagram)) {
        tracing::debug!(%error, "a span was not sent");
    }
}

impl SpanProcessor for Daemon {
    fn on_start(&self, _: &mut trace::Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let mut subsegment = Subsegment::of(&span);
        // A span of `tracing` is closed after those within it, so those are here, and its parent is still to come.
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        subsegment.subsegments = asked.remove(&span.span_context.span_id()).unwrap_or_default();
        if !span.parent_span_is_remote && span.parent_span_id != SpanId::INVALID {
            let questions = asked.entry(span.parent_span_id).or_default();
            if questions.len() < WITHIN {
                questions.push(subsegment);
                return;
            }
        }
        drop(asked);
        subsegment.trace_id = Some(trace_of(&span));
        subsegment.parent_id = Some(span.parent_span_id.to_string());
        self.send(subsegment);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// A span as X-Ray has it:
/// <https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html#api-segmentdocuments-subsegments>.
#[derive(Debug, Serialize)]
struct Subsegment {
    #[serde(rename = "type")]
    kind: &'static str,
    /// One within another has neither trace nor parent.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<String>,
    id: String,
    name: Cow<'static, str>,
    /// Seconds since 1970, as the end.
    start_time: f64,
    end_time: f64,
    fault: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'static str>,
    #[serde(skip_serializing_if = "Annotations::is_empty")]
    annotations: Annotations,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subsegments: Vec<Subsegment>,
}

#[derive(Debug)]
struct Annotations(Vec<KeyValue>);

impl Subsegment {
    fn of(span: &SpanData) -> Self {
        // Keys of annotations are letters, digits and underscores.
        let known = |a: &&KeyValue| ["operation", "request_id", "owner"].contains(&a.key.as_str());
        Self {
            kind: "subsegment",
            trace_id: None,
            parent_id: None,
            id: span.span_context.span_id().to_string(),
            name: span.name.clone(),
            start_time: seconds(span.start_time),
            end_time: seconds(span.end_time),
            fault: matches!(span.status, Status::Error { .. }),
            namespace: (span.span_kind == SpanKind::Client).then_some("remote"),
            annotations: Annotations(span.attributes.iter().filter(known).cloned().collect()),
            subsegments: Vec::new(),
        }
    }
}

fn trace_of(span: &SpanData) -> String {
    let trace = span.span_context.trace_id().to_string();
    let (epoch, rest) = trace.split_at(8);
    format!("1-{epoch}-{rest}")
}

impl Annotations {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Annotations {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer
            .collect_map(self.0.iter().map(|attribute| (attribute.key.as_str(), attribute.value.as_str())))
    }
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Span as _, Tracer as _};
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_does_not_fit_into_one_datagram_is_sent_by_itself() {
        let theirs = UdpSocket::bind("127.0.0.1:0").unwrap();
        theirs.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
        ours.connect(theirs.local_addr().unwrap()).unwrap();
        let daemon = Daemon { socket: Arc::new(ours), asked: Mutex::default() };
        let tracer = SdkTracerProvider::builder().with_span_processor(daemon).build().tracer("");
        for operation in ["sweep", "list"] {
            let within = Context::new().with_span(tracer.start(operation));
            let questions = if operation == "sweep" { WITHIN + 50 } else { 1 };
            for _ in 0..questions {
                tracer.start_with_context("postgres", &within).end();
            }
            within.span().set_status(Status::error(""));
            within.span().end();
        }
        let received: Vec<Value> = (0..52)
            .map(|_| {
                let mut datagram = vec![0; 65_536];
                let length = theirs.recv(&mut datagram).unwrap();
                serde_json::from_slice(&datagram[HEADER.len()..length]).unwrap()
            })
            .collect();
        let within = |segment: &Value| segment["subsegments"].as_array().map_or(0, Vec::len);
        let (alone, sweep, list) = (&received[..50], &received[50], &received[51]);
        assert!(alone.iter().all(|question| question["parent_id"] == sweep["id"]), "{received:?}");
        assert_eq!((within(sweep), within(list)), (WITHIN, 1), "each has its own");
        assert_eq!((&sweep["fault"], &alone[0]["fault"]), (&true.into(), &false.into()));
    }

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
