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
use conversation_core::{CacheConfig, ConversationStore, DatabaseConfig, Directory, IdentityConfig};
use lambda_runtime::{LambdaEvent, run_concurrent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use error::Failure;
pub use health::Health;
pub use request::Call;
use response::Answer;
pub use response::Reply;
pub use route::{Operation, ROUTES, Route};
pub use telemetry::Gauges;
use telemetry::Telemetry;

/// The operation of a request that fits no route.
const UNROUTED: &str = "none";

/// A request on its way to what is answered.
type Answering = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

/// Why a function could not start.
#[derive(Debug)]
pub struct Unready(String);

impl<E: Display> From<E> for Unready {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Both stores, as the environment names them.
///
/// # Errors
/// A setting is missing or malformed.
pub fn open_store() -> Result<ConversationStore, Unready> {
    let (database, cache) = (DatabaseConfig::from_env()?, CacheConfig::from_env()?);
    Ok(conversation_core::store(&database, &cache))
}

/// Postgres alone, as the environment names it.
///
/// # Errors
/// A setting is missing or malformed.
pub fn open_directory() -> Result<Directory, Unready> {
    Ok(conversation_core::directory(&DatabaseConfig::from_env()?))
}

/// Answers requests for as long as Lambda sends them. A function that cannot start says why on one line.
pub async fn serve<S, F>(
    open: impl FnOnce() -> Result<S, Unready>,
    answer: impl Fn(Arc<S>, Call) -> F + Clone + Send + Sync + 'static,
) -> ExitCode
where
    S: Send + Sync + 'static,
    F: Future<Output = Result<Reply, Failure>> + Send + 'static,
{
    exit(try_serve(open, answer).await)
}

async fn try_serve<S, F>(
    open: impl FnOnce() -> Result<S, Unready>,
    answer: impl Fn(Arc<S>, Call) -> F + Clone + Send + Sync + 'static,
) -> Result<(), Unready>
where
    S: Send + Sync + 'static,
    F: Future<Output = Result<Reply, Failure>> + Send + 'static,
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
            let call = Call::read(payload, &identity);
            let (operation, owner) =
                call.as_ref().map_or((UNROUTED, None), |call| (call.function(), call.caller()));
            let owner = owner.cloned();
            // Boxed for its size: what is around it hands it on by value.
            let answering = Box::pin(async {
                let call = call?;
                let repeatable = call.is_repeatable();
                answer(store, call).await.map_err(|failure| Failure { repeatable, ..failure })
            });
            let outcome =
                |reply: &Result<Reply, Failure>| reply.as_ref().map_or_else(Failure::outcome, Reply::outcome);
            let reply = telemetry.request(operation, owner.as_ref(), &context, answering, outcome).await;
            let answer = reply.map_or_else(Failure::into_answer, Reply::into_answer);
            Ok(answer.of_request(&context.request_id))
        }) as Answering
    });
    Ok(run_concurrent(handler).await?)
}

/// Does some work whenever an event says that it is time, and what for: from a schedule, or from a deployment. What it
/// finds is told.
///
/// # Errors
/// It cannot start.
pub async fn on_event<S, T, F, D, E, A>(
    operation: &'static str,
    open: impl FnOnce() -> Result<S, Unready>,
    work: impl Fn(Arc<S>, T) -> F + Clone + Send + Sync + 'static,
    gauges: fn(&D) -> Option<Gauges>,
    answer: fn(D) -> A,
) -> Result<(), Unready>
where
    S: Send + Sync + 'static,
    T: DeserializeOwned + Send + 'static,
    F: Future<Output = Result<D, E>> + Send,
    E: Into<Unready>,
    A: Serialize + 'static,
{
    let telemetry = Arc::new(Telemetry::start()?);
    let store = Arc::new(open()?);
    let handler = service_fn(move |event: LambdaEvent<T>| {
        let LambdaEvent { payload, context, .. } = event;
        let (work, telemetry) = (work(Arc::clone(&store), payload), Arc::clone(&telemetry));
        async move {
            let done = telemetry.job(operation, &context, work, gauges).await;
            done.map(answer).map_err(|error| error.into().0)
        }
    });
    Ok(lambda_runtime::run(handler).await?)
}

/// Begins to log, as `LOG_FORMAT` and `LOG_LEVEL` say.
///
/// # Errors
/// One of them is malformed.
pub fn start_logging() -> Result<(), Unready> {
    telemetry::start_logging(None)
}

/// Ends a program, with one line on standard error if it could not do its work.
#[expect(clippy::print_stderr, reason = "logging may not have started")]
pub fn exit(outcome: Result<(), Unready>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Unready(reason)) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}
