//! What all functions have in common: settings, and a place for the tasks and processes that end with the host.

use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::body::Bytes;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

/// How long API Gateway waits for a function.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The result of an invocation.
pub(super) type Answer = Result<Bytes, InvokeError>;

/// Why an invocation has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvokeError {
    /// The function failed.
    Failed,
    /// The function did not answer in time.
    Unavailable,
    /// The event is larger than Lambda takes.
    TooLarge,
}

/// The settings of a host.
#[derive(Clone, Debug)]
pub struct LambdaSettings {
    /// The folder with a program for each function.
    pub binaries: PathBuf,
    /// The environment of the programs; they get no other.
    pub environment: Vec<(String, String)>,
    /// The file for the programs' output; without one it goes to standard error.
    pub log: Option<PathBuf>,
    /// The most instances of one function.
    pub instances: usize,
    /// The most requests that an instance has at a time: 1, or more as on Lambda Managed Instances.
    pub concurrency: usize,
}

/// The host of all functions.
#[derive(Debug)]
pub(super) struct Host {
    address: SocketAddr,
    pub(super) settings: LambdaSettings,
    instances: AtomicU64,
    /// The tasks of the instances' processes, which end with them.
    tasks: Mutex<JoinSet<()>>,
    /// The Runtime API, which outlives the processes.
    server: Mutex<JoinSet<()>>,
}

impl Host {
    /// Makes a host whose Runtime API is at `address`.
    pub(super) fn new(address: SocketAddr, settings: LambdaSettings) -> Self {
        Self {
            address,
            settings,
            instances: AtomicU64::new(0),
            tasks: Mutex::default(),
            server: Mutex::default(),
        }
    }

    /// Runs the task of an instance, which ends with the host.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        lock(&self.tasks).spawn(task);
    }

    /// Runs the task of the Runtime API, which ends with the host.
    pub(super) fn serve(&self, task: impl Future<Output = ()> + Send + 'static) {
        lock(&self.server).spawn(task);
    }

    /// Kills all processes.
    pub(super) async fn stop(&self) {
        let mut tasks = std::mem::take(&mut *lock(&self.tasks));
        tasks.shutdown().await;
    }

    /// Returns a number that no other instance has.
    pub(super) fn next_instance(&self) -> u64 {
        self.instances.fetch_add(1, Ordering::SeqCst)
    }

    /// Starts a function's program.
    pub(super) fn run_program(&self, name: &str, instance: u64) -> Result<Child> {
        let settings = &self.settings;
        let mut command = Command::new(settings.binaries.join(name));
        command
            .env_clear()
            .envs(settings.environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", format!("http://{}/{name}/{instance}", self.address))
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .stdin(Stdio::null())
            .stdout(self.output()?)
            .stderr(self.output()?)
            // Ctrl-C in the terminal is for the host, which then stops them.
            .process_group(0)
            .kill_on_drop(true);
        if settings.concurrency > 1 {
            command.env("AWS_LAMBDA_MAX_CONCURRENCY", settings.concurrency.to_string());
        }
        command.spawn().with_context(|| format!("cannot start the function {name}"))
    }

    /// Writes a line to where the programs write.
    pub(super) fn note(&self, line: &str) {
        // There is no other place for it.
        let _ = match self.log() {
            Ok(Some(mut log)) => writeln!(log, "{line}"),
            _ => writeln!(std::io::stderr(), "{line}"),
        };
    }

    fn output(&self) -> Result<Stdio> {
        Ok(self.log()?.map_or_else(|| Stdio::from(std::io::stderr()), Stdio::from))
    }

    fn log(&self) -> Result<Option<File>> {
        let open = |log: &PathBuf| File::options().create(true).append(true).open(log);
        self.settings.log.as_ref().map(open).transpose().context("cannot write the functions' log")
    }
}

/// Locks a mutex, whether or not a thread that held it panicked.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
