//! The two ways in which Lambda calls a function: with a request, and with an event of its own.

use std::convert::Infallible;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use conversation_core::IdentityConfig;
use lambda_runtime::{LambdaEvent, run_concurrent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http::{ApiRequest, ApiResponse, Failure, HttpEvent, LambdaResponse};
use crate::startup::{StartupError, exit};
use crate::telemetry::{SweepMetrics, Telemetry};

/// The operation of a request that fits no route.
const UNROUTED: &str = "none";

/// A request on its way to what is answered.
type Answering = Pin<Box<dyn Future<Output = Result<LambdaResponse, Infallible>> + Send>>;

/// Answers requests for as long as Lambda sends them. A function that cannot start says why on one line.
pub async fn serve<S, F>(
    open: impl FnOnce() -> Result<S, StartupError>,
    answer: impl Fn(Arc<S>, ApiRequest) -> F + Clone + Send + Sync + 'static,
) -> ExitCode
where
    S: Send + Sync + 'static,
    F: Future<Output = Result<ApiResponse, Failure>> + Send + 'static,
{
    exit(try_serve(open, answer).await)
}

async fn try_serve<S, F>(
    open: impl FnOnce() -> Result<S, StartupError>,
    answer: impl Fn(Arc<S>, ApiRequest) -> F + Clone + Send + Sync + 'static,
) -> Result<(), StartupError>
where
    S: Send + Sync + 'static,
    F: Future<Output = Result<ApiResponse, Failure>> + Send + 'static,
{
    let telemetry = Arc::new(Telemetry::start()?);
    let identity = Arc::new(IdentityConfig::from_env()?);
    let store = Arc::new(open()?);
    let handler = service_fn(move |event: LambdaEvent<HttpEvent>| {
        let (store, identity, answer) = (Arc::clone(&store), Arc::clone(&identity), answer.clone());
        let telemetry = Arc::clone(&telemetry);
        // Boxed, so that the runtime does not wrap layer after layer around all that happens inside.
        Box::pin(async move {
            let LambdaEvent { payload, context, .. } = event;
            let front_end = payload.front_end();
            let request = ApiRequest::read(payload, &identity);
            let (operation, owner) =
                request.as_ref().map_or((UNROUTED, None), |request| (request.function(), request.caller()));
            let owner = owner.cloned();
            let is_head = request.as_ref().is_ok_and(ApiRequest::is_head);
            // Boxed for its size: what is around it hands it on by value.
            let answering = Box::pin(async {
                let request = request?;
                let repeatable = request.is_repeatable();
                answer(store, request).await.map_err(|failure| Failure { repeatable, ..failure })
            });
            let outcome = |reply: &Result<ApiResponse, Failure>| {
                reply.as_ref().map_or_else(Failure::outcome, ApiResponse::outcome)
            };
            let reply = telemetry.request(operation, owner.as_ref(), &context, answering, outcome).await;
            let answer = reply.map_or_else(Failure::into_answer, ApiResponse::into_answer);
            let answer = if is_head { answer.without_body() } else { answer };
            Ok(answer.of_request(&context.request_id, front_end))
        }) as Answering
    });
    Ok(run_concurrent(handler).await?)
}

/// Does some work whenever an event says that it is time, and what for: from a schedule, or from a deployment. What it
/// finds is emitted.
///
/// # Errors
/// It cannot start.
pub async fn on_event<S, T, F, D, E, A>(
    operation: &'static str,
    open: impl FnOnce() -> Result<S, StartupError>,
    work: impl Fn(Arc<S>, T) -> F + Clone + Send + Sync + 'static,
    metrics: fn(&D) -> Option<SweepMetrics>,
    answer: fn(D) -> A,
) -> Result<(), StartupError>
where
    S: Send + Sync + 'static,
    T: DeserializeOwned + Send + 'static,
    F: Future<Output = Result<D, E>> + Send,
    E: Into<StartupError>,
    A: Serialize + 'static,
{
    let telemetry = Arc::new(Telemetry::start()?);
    let store = Arc::new(open()?);
    let handler = service_fn(move |event: LambdaEvent<T>| {
        let LambdaEvent { payload, context, .. } = event;
        let (work, telemetry) = (work(Arc::clone(&store), payload), Arc::clone(&telemetry));
        async move {
            let done = telemetry.job(operation, &context, work, metrics).await;
            done.map(answer).map_err(|error| error.into().0)
        }
    });
    Ok(lambda_runtime::run(handler).await?)
}

/// Begins to log, as `LOG_FORMAT` and `LOG_LEVEL` say.
///
/// # Errors
/// One of them is malformed.
pub fn start_logging() -> Result<(), StartupError> {
    crate::telemetry::start_logging(None)
}
