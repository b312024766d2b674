//! Functions, and two hosts for them: `cargo lambda watch`, or processes behind a Runtime API of our own.

mod function;
mod host;
mod process;
mod registry;
mod runtime_api;

use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::body::Bytes;
use tokio::net::TcpListener;

pub use function::Start;
use host::{Host, PATIENCE};
pub use host::{InvokeError, LambdaSettings};
use registry::Registry;
pub(crate) use runtime_api::without_delay;

/// Lambda's limit of an event, in bytes.
pub(crate) const EVENT_BYTES: usize = 6 * 1024 * 1024;

/// The place where functions are invoked.
#[derive(Clone, Debug)]
pub enum Functions {
    /// At `cargo lambda watch`, under this URL.
    Watch(String, reqwest::Client),
    /// At processes of our own.
    Processes(Lambda),
}

impl Functions {
    /// Invokes a function with an event and waits for its answer.
    ///
    /// # Errors
    /// The function failed or did not answer in time, or the event is too large.
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

/// Lambda as far as functions see it: a Runtime API, and instances of each function, started on demand. Invocations that
/// come while all instances are busy wait.
#[derive(Clone, Debug)]
pub struct Lambda(Arc<Registry>);

impl Lambda {
    /// Serves the Runtime API. A function's program starts with its first invocation.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(settings: LambdaSettings) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no port for the Runtime API")?;
        let address = listener.local_addr().context("no address of the Runtime API")?;
        let host = Arc::new(Host::new(address, settings));
        let registry = Arc::new(Registry::new(Arc::clone(&host)));
        let app = runtime_api::router(&registry, address.port());
        host.serve(async move {
            // It serves until it is aborted.
            let _ = axum::serve(without_delay(listener), app).await;
        });
        Ok(Self(registry))
    }

    /// Starts an instance of each of these functions, waits until they are ready, and keeps one of each running from then
    /// on: one that dies is replaced.
    ///
    /// # Errors
    /// One of them does not start.
    pub async fn keep_running(&self, names: &[String]) -> Result<()> {
        for name in names {
            self.0.function(name).keep_running(self.0.host())?;
        }
        for name in names {
            self.0.function(name).ready().await?;
        }
        Ok(())
    }

    /// Invokes a function with an event and waits for its answer.
    ///
    /// # Errors
    /// The function failed, or did not answer in time.
    pub async fn invoke(&self, name: &str, event: Bytes) -> Result<Bytes, InvokeError> {
        self.0.function(name).invoke(self.0.host(), event).await
    }

    /// Kills all instances, and starts no more of those that are kept. Dropping the host does so too, but the instances may
    /// see the Runtime API go first, and complain.
    pub async fn stop(&self) {
        self.0.host().stop().await;
    }

    /// Returns how long each instance of a function took to start, so far.
    pub fn starts(&self, name: &str) -> Vec<Start> {
        self.0.function(name).starts()
    }
}
