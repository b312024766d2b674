//! The Lambda functions of the conversation store. Each binary answers one operation; what they share is here: reading
//! the request, naming the owner, and turning what the store answers, or what went wrong, into a response.

mod error;
mod health;
mod identity;
mod item;
mod request;
mod response;
mod route;
mod telemetry;

use std::convert::Infallible;
use std::fmt::Display;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use conversation_core::{CacheConfig, ConversationIndex, ConversationStore, DatabaseConfig, IdentityConfig};
use lambda_runtime::{LambdaEvent, run_concurrent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use error::Failure;
pub use health::Health;
pub use request::ApiRequest;
pub use response::ApiResponse;
use response::LambdaResponse;
pub use route::{Operation, ROUTES, Route};
pub use telemetry::SweepMetrics;
use telemetry::Telemetry;

/// The operation of a request that fits no route.
const UNROUTED: &str = "none";

/// A request on its way to what is answered.
type Answering = Pin<Box<dyn Future<Output = Result<LambdaResponse, Infallible>> + Send>>;

/// Why a function could not start.
#[derive(Debug)]
pub struct StartupError(String);

impl<E: Display> From<E> for StartupError {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Both stores, as the environment names them.
///
/// # Errors
/// A setting is missing or malformed.
pub fn open_store() -> Result<ConversationStore, StartupError> {
    let (database, cache) = (DatabaseConfig::from_env()?, CacheConfig::from_env()?);
    Ok(conversation_core::store(&database, &cache))
}

/// Postgres alone, as the environment names it.
///
/// # Errors
/// A setting is missing or malformed.
pub fn open_index() -> Result<ConversationIndex, StartupError> {
    Ok(conversation_core::conversation_index(&DatabaseConfig::from_env()?))
}

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
    let handler = service_fn(move |event: LambdaEvent<ApiGatewayV2httpRequest>| {
        let (store, identity, answer) = (Arc::clone(&store), Arc::clone(&identity), answer.clone());
        let telemetry = Arc::clone(&telemetry);
        // Boxed, so that the runtime does not wrap layer after layer around all that happens inside.
        Box::pin(async move {
            let LambdaEvent { payload, context, .. } = event;
            let request = ApiRequest::read(payload, &identity);
            let (operation, owner) =
                request.as_ref().map_or((UNROUTED, None), |request| (request.function(), request.caller()));
            let owner = owner.cloned();
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
            Ok(answer.of_request(&context.request_id))
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
    telemetry::start_logging(None)
}

/// Ends a program, with one line on standard error if it could not do its work.
#[expect(clippy::print_stderr, reason = "logging may not have started")]
pub fn exit(outcome: Result<(), StartupError>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(StartupError(reason)) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}
