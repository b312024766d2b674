//! The Lambda functions of the conversation store. Each binary answers one operation; what they share is here: reading
//! the request, naming the owner, and turning what the store answers, or what went wrong, into a response.

mod error;
mod identity;
mod item;
mod request;
mod response;
mod route;

use std::fmt::Display;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;

use conversation_core::{
    CacheConfig, ConversationStore, DatabaseConfig, Directory, IdentityConfig, LogConfig,
};
use lambda_http::lambda_runtime::{self, LambdaEvent};
use lambda_http::{Body, Request, Response, run_concurrent, service_fn};
use serde::de::IgnoredAny;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use error::Failure;
pub use request::Call;
pub use response::Reply;
pub use route::{Operation, ROUTES, Route};

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
    start_logging()?;
    let identity = Arc::new(IdentityConfig::from_env()?);
    let store = Arc::new(open()?);
    let handler = service_fn(move |request: Request| {
        let (store, identity, answer) = (Arc::clone(&store), Arc::clone(&identity), answer.clone());
        async move {
            let reply = match Call::read(request, &identity) {
                Ok(call) => answer(store, call).await,
                Err(failure) => Err(failure),
            };
            Ok::<Response<Body>, std::convert::Infallible>(
                reply.map_or_else(Failure::into_response, Reply::into_response),
            )
        }
    });
    Ok(run_concurrent(handler).await?)
}

/// Does some work whenever an event says that it is time: from a schedule, or from a deployment.
///
/// # Errors
/// It cannot start.
pub async fn on_event<S, F, E>(
    open: impl FnOnce() -> Result<S, Unready>,
    work: impl Fn(Arc<S>) -> F + Clone + Send + Sync + 'static,
) -> Result<(), Unready>
where
    S: Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send,
    E: Into<Unready>,
{
    start_logging()?;
    let store = Arc::new(open()?);
    // Whatever the event says: that it came is enough.
    let handler = service_fn(move |_: LambdaEvent<IgnoredAny>| {
        let work = work(Arc::clone(&store));
        async { work.await.map_err(|error| error.into().0) }
    });
    Ok(lambda_runtime::run(handler).await?)
}

/// Log lines go to standard output: JSON for machines, or text for people.
///
/// # Errors
/// `LOG_FORMAT` or `LOG_LEVEL` is malformed.
pub fn start_logging() -> Result<(), Unready> {
    let LogConfig { json, level } = LogConfig::from_env()?;
    // People read one line after the other; machines need the request id that the runtime puts around each.
    let directives = if json { level } else { format!("{level},lambda_runtime=warn") };
    let wanted: Targets = directives.parse().map_err(|error| format!("LOG_LEVEL is not a level: {error}"))?;
    let lines = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_target(false);
    if json {
        lines.json().flatten_event(true).with_span_list(false).finish().with(wanted).init();
    } else {
        lines.with_ansi(std::io::stdout().is_terminal()).finish().with(wanted).init();
    }
    Ok(())
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
