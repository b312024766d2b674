//! Functions, and two ways to run them: under `cargo lambda watch`, or as processes behind a Runtime API of our own.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::{Outcome, Trouble};

/// API Gateway waits no longer for a function.
const PATIENCE: Duration = Duration::from_secs(30);

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
}

impl Functions {
    /// Invokes a function with an event and waits for what it answers.
    ///
    /// # Errors
    /// It failed, or did not answer in time.
    pub async fn invoke(&self, function: &str, event: Bytes) -> Result<Bytes, InvokeError> {
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

/// Lambda as far as functions see it: a Runtime API, and up to so many processes of each function, started when they
/// are needed, each with one invocation at a time.
#[derive(Clone, Debug)]
pub struct Lambda(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    address: String,
    binaries: PathBuf,
    environment: Vec<(String, String)>,
    log: PathBuf,
    most: usize,
    functions: Mutex<HashMap<String, Arc<Function>>>,
    /// The Runtime API and the processes: all end with this.
    tasks: Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct Function {
    waiting: mpsc::UnboundedSender<Invocation>,
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    pending: Mutex<HashMap<String, oneshot::Sender<Result<Bytes, InvokeError>>>>,
    processes: AtomicUsize,
    busy: AtomicUsize,
    gone: Notify,
}

#[derive(Debug)]
struct Invocation {
    id: String,
    event: Bytes,
}

impl Lambda {
    /// Serves the Runtime API for the functions whose binaries are in that folder. They get this environment and no
    /// other, and write to `log`.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(
        binaries: PathBuf,
        environment: Vec<(String, String)>,
        log: PathBuf,
        most: usize,
    ) -> Outcome<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.map_err(|error| Trouble::because("no port for the Runtime API", &error))?;
        let address =
            listener.local_addr().map_err(|error| Trouble::because("no address", &error))?.to_string();
        let (functions, tasks) = (Mutex::default(), Mutex::default());
        let lambda = Self(Arc::new(Inner { address, binaries, environment, log, most, functions, tasks }));
        let app = Router::new()
            .route("/{function}/2018-06-01/runtime/invocation/next", get(next))
            .route("/{function}/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/{function}/2018-06-01/runtime/invocation/{id}/error", post(failure))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::downgrade(&lambda.0));
        lock(&lambda.0.tasks).spawn(async move {
            // It serves until it is aborted.
            let _ = axum::serve(listener, app).await;
        });
        Ok(lambda)
    }

    /// Invokes a function with an event and waits for what it answers.
    ///
    /// # Errors
    /// It failed, or did not answer in time.
    pub async fn invoke(&self, name: &str, event: Bytes) -> Result<Bytes, InvokeError> {
        let function = self.0.function(name);
        let (answered, answer) = oneshot::channel();
        let id = uuid::Uuid::new_v4().to_string();
        lock(&function.pending).insert(id.clone(), answered);
        let busy = function.busy.fetch_add(1, Ordering::SeqCst) + 1;
        if busy > function.processes.load(Ordering::SeqCst) {
            self.0.spawn(name, &function).map_err(|_| InvokeError::Failed)?;
        }
        // The receiving end lives as long as the function.
        let _ = function.waiting.send(Invocation { id: id.clone(), event });
        let answer = tokio::select! {
            answer = timeout(PATIENCE, answer) => answer.map_or(Err(InvokeError::Unavailable), |answer| {
                answer.unwrap_or(Err(InvokeError::Failed))
            }),
            () = function.gone.notified() => Err(InvokeError::Failed),
        };
        function.busy.fetch_sub(1, Ordering::SeqCst);
        lock(&function.pending).remove(&id);
        answer
    }
}

impl Inner {
    fn function(&self, name: &str) -> Arc<Function> {
        let mut functions = lock(&self.functions);
        let function = functions.entry(name.to_owned()).or_insert_with(|| {
            let (waiting, queue) = mpsc::unbounded_channel();
            Arc::new(Function {
                waiting,
                queue: queue.into(),
                pending: Mutex::default(),
                processes: AtomicUsize::new(0),
                busy: AtomicUsize::new(0),
                gone: Notify::new(),
            })
        });
        Arc::clone(function)
    }

    /// Starts another process of a function, unless there are enough.
    fn spawn(&self, name: &str, function: &Arc<Function>) -> Outcome<()> {
        let room = |processes| (processes < self.most).then_some(processes + 1);
        if function.processes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, room).is_err() {
            return Ok(());
        }
        let log = std::fs::File::options().create(true).append(true).open(&self.log);
        let log = log.map_err(|error| Trouble::because("cannot write the functions' log", &error))?;
        let also =
            log.try_clone().map_err(|error| Trouble::because("cannot share the functions' log", &error))?;
        let mut process = Command::new(self.binaries.join(name))
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", format!("http://{}/{name}", self.address))
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(also)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Trouble::because(&format!("cannot start the function {name}"), &error))?;
        let function = Arc::clone(function);
        lock(&self.tasks).spawn(async move {
            // However it ended, what it was doing has no answer.
            let _ = process.wait().await;
            function.processes.fetch_sub(1, Ordering::SeqCst);
            function.gone.notify_waiters();
        });
        Ok(())
    }
}

type Shared = State<std::sync::Weak<Inner>>;

/// A process asks for its next invocation, and waits until there is one.
async fn next(State(lambda): Shared, Path(name): Path<String>) -> Response {
    let Some(function) = lambda.upgrade().map(|lambda| lambda.function(&name)) else {
        return StatusCode::GONE.into_response();
    };
    let Some(Invocation { id, event }) = function.queue.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + PATIENCE;
    let header = |text: String| HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
    let mut headers = HeaderMap::new();
    headers.insert("lambda-runtime-aws-request-id", header(id));
    headers.insert("lambda-runtime-deadline-ms", header(deadline.as_millis().to_string()));
    let arn = format!("arn:aws:lambda:local:000000000000:function:{name}");
    headers.insert("lambda-runtime-invoked-function-arn", header(arn));
    (headers, event).into_response()
}

async fn response(lambda: Shared, Path((name, id)): Path<(String, String)>, body: Bytes) -> StatusCode {
    settle(&lambda, &name, &id, Ok(body))
}

async fn failure(lambda: Shared, Path((name, id)): Path<(String, String)>) -> StatusCode {
    settle(&lambda, &name, &id, Err(InvokeError::Failed))
}

fn settle(lambda: &Shared, name: &str, id: &str, answer: Result<Bytes, InvokeError>) -> StatusCode {
    let function = lambda.upgrade().map(|lambda| lambda.function(name));
    if let Some(answered) = function.and_then(|function| lock(&function.pending).remove(id)) {
        // Whoever asked may have given up.
        let _ = answered.send(answer);
    }
    StatusCode::ACCEPTED
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
