//! Functions, and two ways to run them: under `cargo lambda watch`, or as processes behind a Runtime API of our own.

mod instance;
mod runtime_api;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::{Outcome, Trouble};
use instance::Function;
pub use instance::Start;
pub(crate) use runtime_api::without_delay;

/// API Gateway waits no longer for a function.
const PATIENCE: Duration = Duration::from_secs(30);
/// Lambda's limit of an event, in bytes.
pub(crate) const EVENT_BYTES: usize = 6 * 1024 * 1024;

/// Where functions are invoked.
#[derive(Clone, Debug)]
pub enum Functions {
    /// At `cargo lambda watch`, under this URL.
    Watch(String, reqwest::Client),
    /// At processes of our own.
    Processes(Lambda),
}

/// Why an invocation has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvokeError {
    /// The function failed.
    Failed,
    /// It did not answer in time.
    Unavailable,
    /// The event is larger than Lambda takes.
    TooLarge,
}

impl Functions {
    /// Invokes a function with an event and waits for what it answers.
    ///
    /// # Errors
    /// It failed, did not answer in time, or is not asked, because the event is too large.
    pub async fn invoke(&self, function: &str, event: Bytes) -> Result<Bytes, InvokeError> {
        if event.len() > EVENT_BYTES {
            return Err(InvokeError::TooLarge);
        }
        match self {
            Self::Watch(url, client) => {
                let url = format!("{url}/2015-03-31/functions/{function}/invocations");
                let answer = client.post(url).body(event).timeout(PATIENCE).send().await;
                let answer = answer.map_err(|_| InvokeError::Unavailable)?;
                if !answer.status().is_success() {
                    return Err(InvokeError::Failed);
                }
                answer.bytes().await.map_err(|_| InvokeError::Failed)
            }
            Self::Processes(lambda) => lambda.invoke(function, event).await,
        }
    }
}

/// What runs, and how much of it.
#[derive(Clone, Debug)]
pub struct LambdaSettings {
    /// The folder with a program for each function.
    pub binaries: PathBuf,
    /// The environment of the programs; they get no other.
    pub environment: Vec<(String, String)>,
    /// The file that they write to.
    pub log: PathBuf,
    /// The most instances of one function.
    pub instances: usize,
    /// The most requests that an instance has at a time: 1, or more as on Lambda Managed Instances.
    pub concurrency: usize,
}

/// Lambda as far as functions see it: a Runtime API, and instances of each function, started when they are needed. What
/// comes while all are busy waits.
#[derive(Clone, Debug)]
pub struct Lambda(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    address: String,
    settings: LambdaSettings,
    functions: Mutex<HashMap<String, Arc<Function>>>,
    instances: AtomicU64,
    /// The Runtime API and the instances: all end with this.
    tasks: Mutex<JoinSet<()>>,
}

impl Lambda {
    /// Serves the Runtime API, and runs a function's program when the function is first invoked.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(settings: LambdaSettings) -> Outcome<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.map_err(|error| Trouble::because("no port for the Runtime API", &error))?;
        let address =
            listener.local_addr().map_err(|error| Trouble::because("no address", &error))?.to_string();
        let (functions, instances, tasks) = (Mutex::default(), AtomicU64::new(0), Mutex::default());
        let lambda = Self(Arc::new(Inner { address, settings, functions, instances, tasks }));
        let app = runtime_api::router(&lambda.0);
        lock(&lambda.0.tasks).spawn(async move {
            // It serves until it is aborted.
            let _ = axum::serve(without_delay(listener), app).await;
        });
        Ok(lambda)
    }

    /// Invokes a function with an event and waits for what it answers.
    ///
    /// # Errors
    /// It failed, or did not answer in time.
    pub async fn invoke(&self, name: &str, event: Bytes) -> Result<Bytes, InvokeError> {
        self.0.function(name).invoke(&self.0, event).await
    }

    /// How long each instance of a function took to start, so far.
    pub fn starts(&self, name: &str) -> Vec<Start> {
        self.0.function(name).starts()
    }
}

impl Inner {
    fn function(&self, name: &str) -> Arc<Function> {
        let mut functions = lock(&self.functions);
        let function = functions.entry(name.to_owned()).or_insert_with(|| Arc::new(Function::new(name)));
        Arc::clone(function)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
