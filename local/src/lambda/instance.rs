//! A function's instances: started when there is more to do than they can take, each a process of its own.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::{Inner, InvokeError, PATIENCE, lock};
use crate::{Outcome, Trouble};

type Answer = Result<Bytes, InvokeError>;

/// How long one instance took, each counted from when its program was run.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    began: Instant,
    /// Until it asked for its first invocation.
    pub polled: Option<Duration>,
    /// Until it had answered that one.
    pub answered: Option<Duration>,
}

/// A function: what waits to be done, what is being done, and by whom.
#[derive(Debug)]
pub(super) struct Function {
    name: String,
    waiting: mpsc::UnboundedSender<Invocation>,
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Invocations without an answer, by request id.
    pending: HashMap<String, Pending>,
    /// Instances that run.
    running: usize,
    starts: HashMap<u64, Start>,
}

#[derive(Debug)]
struct Pending {
    answered: oneshot::Sender<Answer>,
    /// The instance that has it.
    taken_by: Option<u64>,
}

/// An event for a function.
#[derive(Debug)]
pub(super) struct Invocation {
    pub(super) id: String,
    pub(super) event: Bytes,
}

impl Function {
    pub(super) fn new(name: &str) -> Self {
        let (waiting, queue) = mpsc::unbounded_channel();
        Self { name: name.to_owned(), waiting, queue: queue.into(), state: Mutex::default() }
    }

    pub(super) fn starts(&self) -> Vec<Start> {
        lock(&self.state).starts.values().copied().collect()
    }

    pub(super) async fn invoke(self: Arc<Self>, lambda: &Arc<Inner>, event: Bytes) -> Answer {
        let (answered, answer) = oneshot::channel();
        let id = uuid::Uuid::new_v4().to_string();
        lock(&self.state).pending.insert(id.clone(), Pending { answered, taken_by: None });
        if self.reserve(lambda) {
            Arc::clone(&self).run(lambda, id.clone()).map_err(|_| InvokeError::Failed)?;
        }
        // The receiving end lives as long as the function.
        let _ = self.waiting.send(Invocation { id: id.clone(), event });
        let answer = timeout(PATIENCE, answer).await;
        lock(&self.state).pending.remove(&id);
        answer.map_or(Err(InvokeError::Unavailable), |answer| answer.unwrap_or(Err(InvokeError::Failed)))
    }

    /// Makes room for one more instance, if there is more to do than those that run can take.
    fn reserve(&self, lambda: &Inner) -> bool {
        let mut state = lock(&self.state);
        let more = state.pending.len() > state.running * lambda.settings.concurrency
            && state.running < lambda.settings.instances;
        state.running += usize::from(more);
        more
    }

    /// Runs the program, for the sake of one invocation in the first place.
    fn run(self: Arc<Self>, lambda: &Arc<Inner>, first: String) -> Outcome<()> {
        let instance = lambda.instances.fetch_add(1, Ordering::SeqCst);
        let start = Start { began: Instant::now(), polled: None, answered: None };
        lock(&self.state).starts.insert(instance, start);
        let mut process = spawn(lambda, &self.name, instance).inspect_err(|_| {
            lock(&self.state).running -= 1;
        })?;
        let weak = Arc::downgrade(lambda);
        lock(&lambda.tasks).spawn(async move {
            // However it ended, what it was doing has no answer.
            let _ = process.wait().await;
            self.ended(instance, &first);
            let Some(lambda) = weak.upgrade() else { return };
            let left = lock(&self.state).pending.keys().next().cloned();
            if let Some(left) = left
                && self.reserve(&lambda)
            {
                // Whoever waits finds out by waiting.
                let _ = self.run(&lambda, left);
            }
        });
        Ok(())
    }

    /// Fails what an instance leaves undone: what it had taken, or what it was started for, if it never came to that.
    fn ended(&self, instance: u64, first: &str) {
        let mut state = lock(&self.state);
        state.running -= 1;
        let never_polled = state.starts.get(&instance).is_none_or(|start| start.polled.is_none());
        let undone = |(id, pending): &(&String, &Pending)| match pending.taken_by {
            Some(taken_by) => taken_by == instance,
            None => never_polled && *id == first,
        };
        let undone: Vec<String> = state.pending.iter().filter(undone).map(|(id, _)| id.clone()).collect();
        for id in undone {
            if let Some(pending) = state.pending.remove(&id) {
                // Whoever asked may have given up.
                let _ = pending.answered.send(Err(InvokeError::Failed));
            }
        }
    }

    /// The next invocation for an instance, which waits until there is one; those that nobody waits for are left out.
    pub(super) async fn next(&self, instance: u64) -> Option<Invocation> {
        if let Some(start) = lock(&self.state).starts.get_mut(&instance) {
            start.polled.get_or_insert(start.began.elapsed());
        }
        loop {
            let invocation = self.queue.lock().await.recv().await?;
            if let Some(pending) = lock(&self.state).pending.get_mut(&invocation.id) {
                pending.taken_by = Some(instance);
                return Some(invocation);
            }
        }
    }

    /// Takes an answer; whether the instance has that invocation.
    pub(super) fn settle(&self, instance: u64, id: &str, answer: Answer) -> bool {
        let mut state = lock(&self.state);
        if state.pending.get(id).is_none_or(|pending| pending.taken_by != Some(instance)) {
            return false;
        }
        if let Some(start) = state.starts.get_mut(&instance) {
            start.answered.get_or_insert(start.began.elapsed());
        }
        // Whoever asked may have given up.
        state.pending.remove(id).is_some_and(|pending| pending.answered.send(answer).is_ok())
    }
}

fn spawn(lambda: &Inner, name: &str, instance: u64) -> Outcome<Child> {
    let settings = &lambda.settings;
    let log = std::fs::File::options().create(true).append(true).open(&settings.log);
    let log = log.map_err(|error| Trouble::because("cannot write the functions' log", &error))?;
    let also =
        log.try_clone().map_err(|error| Trouble::because("cannot share the functions' log", &error))?;
    let mut command = Command::new(settings.binaries.join(name));
    command
        .env_clear()
        .envs(settings.environment.iter().map(|(name, value)| (name, value)))
        .env("AWS_LAMBDA_RUNTIME_API", format!("http://{}/{name}/{instance}", lambda.address))
        .env("AWS_LAMBDA_FUNCTION_NAME", name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(also)
        .kill_on_drop(true);
    if settings.concurrency > 1 {
        command.env("AWS_LAMBDA_MAX_CONCURRENCY", settings.concurrency.to_string());
    }
    let cannot =
        |error: std::io::Error| Trouble::because(&format!("cannot start the function {name}"), &error);
    command.spawn().map_err(cannot)
}
