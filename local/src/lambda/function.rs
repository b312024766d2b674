//! A function: its queue of invocations, and its instances, each a process.

use std::collections::HashMap;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use axum::body::Bytes;
use rustix::process::Pid;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::host::{Answer, Host, InvokeError, PATIENCE, lock};
use super::process;

/// How long to wait before a program is started again that ended before it was ready.
const BACK_OFF: Duration = Duration::from_secs(1);

/// How long an instance took to start, from when its program was run.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    began: Instant,
    /// Until it asked for its first invocation.
    pub polled: Option<Duration>,
    /// Until it had answered that one.
    pub answered: Option<Duration>,
}

/// A function: what waits to be done, what is being done, and by which instance.
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
    /// The process of each instance that runs.
    processes: HashMap<u64, Pid>,
    /// Instances that run, and those that are being started.
    running: usize,
    starts: HashMap<u64, Start>,
    /// Whether an instance runs at all times.
    is_kept: bool,
}

#[derive(Debug)]
struct Pending {
    answered: oneshot::Sender<Answer>,
    /// The instance that works on it.
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

    /// Starts an instance, and another one whenever the last has died.
    pub(super) fn keep_running(self: Arc<Self>, host: &Arc<Host>) -> Result<()> {
        let is_missing = {
            let mut state = lock(&self.state);
            state.is_kept = true;
            state.reserve(host)
        };
        if is_missing { self.run(host, None) } else { Ok(()) }
    }

    /// Waits until an instance has asked for work.
    pub(super) async fn ready(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (is_ready, is_running) = {
                let state = lock(&self.state);
                (state.starts.values().any(|start| start.polled.is_some()), !state.processes.is_empty())
            };
            if is_ready {
                return Ok(());
            }
            if !is_running || Instant::now() > deadline {
                bail!("the function {} does not start (see its output)", self.name);
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Invokes the function with an event and waits for its answer.
    pub(super) async fn invoke(self: Arc<Self>, host: &Arc<Host>, event: Bytes) -> Answer {
        let (answered, answer) = oneshot::channel();
        let id = uuid::Uuid::new_v4().to_string();
        let is_missing = {
            let mut state = lock(&self.state);
            state.pending.insert(id.clone(), Pending { answered, taken_by: None });
            state.reserve(host)
        };
        if is_missing {
            Arc::clone(&self).run(host, Some(id.clone())).map_err(|_| InvokeError::Failed)?;
        }
        // The receiving end lives as long as the function.
        let _ = self.waiting.send(Invocation { id: id.clone(), event });
        let answer = timeout(PATIENCE, answer).await;
        lock(&self.state).pending.remove(&id);
        answer.map_or(Err(InvokeError::Unavailable), |answer| answer.unwrap_or(Err(InvokeError::Failed)))
    }

    /// Runs the program for which room was reserved. `first` is the invocation that it is started for.
    fn run(self: Arc<Self>, host: &Arc<Host>, first: Option<String>) -> Result<()> {
        let instance = host.next_instance();
        let start = Start { began: Instant::now(), polled: None, answered: None };
        let mut state = lock(&self.state);
        let mut process = host.run_program(&self.name, instance).inspect_err(|_| state.running -= 1)?;
        state.starts.insert(instance, start);
        let pid = process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        state.processes.extend(pid.map(|pid| (instance, pid)));
        drop(state);
        let weak = Arc::downgrade(host);
        host.spawn(async move {
            let status = process.wait().await;
            let was_ready = self.ended(instance, first.as_deref());
            self.replace(&weak, status.ok(), was_ready).await;
        });
        Ok(())
    }

    /// Starts another instance in the place of one that ended, if it is needed.
    async fn replace(self: Arc<Self>, host: &Weak<Host>, status: Option<ExitStatus>, was_ready: bool) {
        let is_kept = lock(&self.state).is_kept;
        if let (true, Some(host), Some(status)) = (is_kept, host.upgrade(), status) {
            host.note(&format!(
                "{}: its process has ended ({status}), another one takes its place",
                self.name
            ));
        }
        if is_kept && !was_ready {
            sleep(BACK_OFF).await;
        }
        let Some(host) = host.upgrade() else { return };
        let (is_missing, left) = {
            let mut state = lock(&self.state);
            (state.reserve(&host), state.pending.keys().next().cloned())
        };
        if is_missing && let Err(error) = Arc::clone(&self).run(&host, left) {
            host.note(&format!("{error:#}"));
        }
    }

    /// Fails the invocations that an instance leaves undone: the one it had taken, or the one it was started for if it never
    /// became ready. Returns whether it had become ready.
    fn ended(&self, instance: u64, first: Option<&str>) -> bool {
        let mut state = lock(&self.state);
        state.running -= 1;
        state.processes.remove(&instance);
        let was_ready = state.starts.get(&instance).is_some_and(|start| start.polled.is_some());
        let undone = |(id, pending): &(&String, &Pending)| match pending.taken_by {
            Some(taken_by) => taken_by == instance,
            None => !was_ready && Some(id.as_str()) == first,
        };
        let undone: Vec<String> = state.pending.iter().filter(undone).map(|(id, _)| id.clone()).collect();
        for id in undone {
            if let Some(pending) = state.pending.remove(&id) {
                // The caller may have given up.
                let _ = pending.answered.send(Err(InvokeError::Failed));
            }
        }
        was_ready
    }

    /// Waits for the next invocation for an instance. Invocations whose callers have given up are dropped. `None`: the
    /// instance has died since it asked.
    pub(super) async fn next(&self, instance: u64) -> Option<Invocation> {
        if let Some(start) = lock(&self.state).starts.get_mut(&instance) {
            start.polled.get_or_insert(start.began.elapsed());
        }
        loop {
            let invocation = self.queue.lock().await.recv().await?;
            let mut state = lock(&self.state);
            let runs = state.can_work(instance);
            let Some(pending) = state.pending.get_mut(&invocation.id) else { continue };
            if !runs {
                // Another instance takes it. The receiving end lives as long as the function.
                let _ = self.waiting.send(invocation);
                return None;
            }
            pending.taken_by = Some(instance);
            return Some(invocation);
        }
    }

    /// Takes an answer. Returns whether the instance had taken that invocation.
    pub(super) fn settle(&self, instance: u64, id: &str, answer: Answer) -> bool {
        let mut state = lock(&self.state);
        if state.pending.get(id).is_none_or(|pending| pending.taken_by != Some(instance)) {
            return false;
        }
        if let Some(start) = state.starts.get_mut(&instance) {
            start.answered.get_or_insert(start.began.elapsed());
        }
        // The caller may have given up.
        state.pending.remove(id).is_some_and(|pending| pending.answered.send(answer).is_ok())
    }
}

impl State {
    /// Makes room for one more instance, if there is more to do than the running ones can take, or if one is kept and none
    /// runs.
    fn reserve(&mut self, host: &Host) -> bool {
        let wanted = self.pending.len().max(usize::from(self.is_kept));
        let more =
            wanted > self.running * host.settings.concurrency && self.running < host.settings.instances;
        self.running += usize::from(more);
        more
    }

    /// Whether an instance can take an invocation. Where one is kept, another one will do it instead: an invocation given
    /// to a process that was just killed would fail.
    fn can_work(&self, instance: u64) -> bool {
        self.processes.get(&instance).is_some_and(|pid| !self.is_kept || process::runs(*pid))
    }
}
