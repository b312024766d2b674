//! Requests, sent when they are due whether or not those before them are answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::Broken;

use super::ledger::{Kept, Ledger};

/// How often a write is sent before it is given up.
const TRIES: u32 = 30;

/// What the requests were answered with.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    /// By operation: milliseconds from when a request was due to its answer.
    pub(super) latencies: BTreeMap<&'static str, Vec<f64>>,
    /// By status, how often.
    pub(super) statuses: BTreeMap<u16, usize>,
    /// Answers that nobody should get.
    pub(super) wrong: Vec<String>,
    /// Writes that were given up.
    pub(super) given_up: usize,
}

/// Where requests go, and what comes of them.
#[derive(Clone, Debug)]
pub(super) struct Traffic {
    client: Client,
    url: String,
    ledger: Arc<Ledger>,
    sent: Arc<Mutex<Sent>>,
    seed: u64,
}

/// What a request is for.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Recent,
    Add,
    Get,
    Page,
    List,
    Update,
    Delete,
}

impl Operation {
    /// Of a hundred requests: 55 of the first, ...
    const MIX: [(Self, u32); 7] = [
        (Self::Recent, 55),
        (Self::Add, 27),
        (Self::Get, 6),
        (Self::Page, 5),
        (Self::List, 3),
        (Self::Update, 3),
        (Self::Delete, 1),
    ];

    fn choose(rng: &mut fastrand::Rng) -> Self {
        let mut left = rng.u32(0..100);
        for (operation, share) in Self::MIX {
            if left < share {
                return operation;
            }
            left -= share;
        }
        Self::Recent
    }

    fn name(self) -> &'static str {
        match self {
            Self::Recent => "recent",
            Self::Add => "add",
            Self::Get => "get",
            Self::Page => "page",
            Self::List => "list",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

impl Traffic {
    /// Reads everything back and holds it against what was acknowledged.
    pub(super) async fn verify(&self) -> Result<Kept, Broken> {
        let mut kept = Kept::default();
        for at in 0..self.ledger.len() {
            let place = self.ledger.place(at).clone();
            if place.closing {
                continue;
            }
            let history = self.history(&place.id).await?;
            kept.conversations += usize::from(!history.is_empty());
            kept.acknowledged += place.acknowledged.len();
            place.compare(&history, &mut kept);
            let recent = self.recent(&place.id).await?;
            if recent != history[history.len().saturating_sub(100)..] {
                kept.wrong.push(format!("{}: the recent messages are not the last ones", place.id));
            }
        }
        Ok(kept)
    }

    pub(super) fn new(client: Client, url: &str, ledger: Arc<Ledger>, seed: u64) -> Self {
        Self { client, url: format!("{url}/v1/conversations"), ledger, sent: Arc::default(), seed }
    }

    /// Sends requests at random moments, so many a second on average, then waits for the last answers.
    pub(super) async fn flow(&self, rate: f64, duration: Duration) -> Sent {
        let mut rng = fastrand::Rng::with_seed(self.seed);
        let (began, mut due) = (Instant::now(), Duration::ZERO);
        let mut requests = JoinSet::new();
        while due < duration {
            sleep_until(began + due).await;
            let (traffic, operation) = (self.clone(), Operation::choose(&mut rng));
            // Some conversations are much livelier than others.
            let at = (0..3).map(|_| rng.usize(0..self.ledger.len())).min().unwrap_or(0);
            let (own, moment) = (rng.fork(), began + due);
            requests.spawn(async move { traffic.perform(operation, at, moment, own).await });
            while requests.try_join_next().is_some() {}
            due += Duration::from_secs_f64(-rng.f64().max(1e-9).ln() / rate);
        }
        while requests.join_next().await.is_some() {}
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn perform(&self, operation: Operation, at: usize, due: Instant, mut rng: fastrand::Rng) {
        let id = self.ledger.place(at).id.clone();
        let conversation = format!("{}/{id}", self.url);
        match operation {
            Operation::Recent => self.read(operation, at, &id, format!("{conversation}/messages"), due).await,
            Operation::Get => self.read(operation, at, &id, conversation, due).await,
            Operation::Page => {
                let path = format!("{conversation}/messages?after={}&limit=50", rng.u32(0..200));
                self.read(operation, at, &id, path, due).await;
            }
            Operation::List => self.read(operation, at, &id, format!("{}?limit=20", self.url), due).await,
            Operation::Update => {
                let title = json!({ "title": format!("title {}", rng.u32(..)) });
                let request = self.post(conversation, &title);
                self.insist(operation, at, &id, &request, due).await;
            }
            Operation::Add => self.add(at, &id, due, rng).await,
            Operation::Delete => self.delete(at, &id, due).await,
        }
    }

    fn post(&self, url: String, body: &Value) -> RequestBuilder {
        self.client.post(url).header("content-type", "application/json").body(body.to_string())
    }

    async fn read(&self, operation: Operation, at: usize, id: &str, url: String, due: Instant) {
        self.once(operation, at, id, self.client.get(url), due).await;
    }

    async fn add(&self, at: usize, id: &str, due: Instant, mut rng: fastrand::Rng) {
        let message = |rng: &mut fastrand::Rng| {
            let name = uuid::Uuid::from_u128(rng.u128(..)).simple().to_string();
            let text: String = (0..rng.usize(50..800)).map(|_| rng.alphanumeric()).collect();
            (name, text)
        };
        let messages: Vec<_> = (0..rng.usize(1..4)).map(|_| message(&mut rng)).collect();
        let bodies: Vec<_> =
            messages.iter().map(|(id, text)| json!({"id": id, "role": "user", "content": text})).collect();
        {
            let mut place = self.ledger.place(at);
            if place.id != id || place.closing {
                return;
            }
            place.ask(&messages);
        }
        let request = self.post(format!("{}/{id}/messages", self.url), &json!({ "messages": bodies }));
        if self.insist(Operation::Add, at, id, &request, due).await {
            let mut place = self.ledger.place(at);
            if place.id == id {
                place.acknowledge(messages);
            }
        }
    }

    async fn delete(&self, at: usize, id: &str, due: Instant) {
        {
            let mut place = self.ledger.place(at);
            if place.id != id || place.closing {
                return;
            }
            place.closing = true;
        }
        let request = self.client.delete(format!("{}/{id}", self.url));
        self.insist(Operation::Delete, at, id, &request, due).await;
        self.ledger.place(at).reopen();
    }

    /// Sends a write until it is answered for good. Whether it was done.
    async fn insist(
        &self,
        operation: Operation,
        at: usize,
        id: &str,
        request: &RequestBuilder,
        mut due: Instant,
    ) -> bool {
        for tries in 0..TRIES {
            let Some(request) = request.try_clone() else { return false };
            match self.once(operation, at, id, request, due).await {
                Some(StatusCode::OK) => return true,
                Some(StatusCode::SERVICE_UNAVAILABLE) => {}
                _ => return false,
            }
            sleep(Duration::from_millis(100 * u64::from(tries + 1))).await;
            due = Instant::now();
        }
        self.note(|sent| sent.given_up += 1);
        false
    }

    /// Sends a request, once; what it was answered with, if it may be that.
    async fn once(
        &self,
        operation: Operation,
        at: usize,
        id: &str,
        request: RequestBuilder,
        due: Instant,
    ) -> Option<StatusCode> {
        // What was answered when it was not there yet may arrive when it is.
        let may_be_gone = self.ledger.may_be_gone(at, id);
        let answer = match request.timeout(Duration::from_secs(35)).send().await {
            Ok(answer) => answer,
            Err(error) => {
                self.note(|sent| sent.wrong.push(format!("{operation:?}: {error}")));
                return None;
            }
        };
        let (status, can_retry) = (answer.status(), answer.headers().contains_key("retry-after"));
        let body = answer.text().await.unwrap_or_default();
        let ms = due.elapsed().as_secs_f64() * 1e3;
        let allowed = match status.as_u16() {
            200 => true,
            503 => can_retry,
            404 | 409 => may_be_gone || self.ledger.may_be_gone(at, id),
            _ => false,
        };
        self.note(|sent| {
            *sent.statuses.entry(status.as_u16()).or_default() += 1;
            sent.latencies.entry(operation.name()).or_default().push(ms);
            if !allowed {
                sent.wrong.push(format!("{operation:?} {id}: {status} {}", body.get(..200).unwrap_or(&body)));
            }
        });
        allowed.then_some(status)
    }

    fn note(&self, note: impl FnOnce(&mut Sent)) {
        note(&mut self.sent.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// All messages of a conversation, page by page.
    pub(super) async fn history(&self, id: &str) -> Result<Vec<Value>, Broken> {
        let mut all = Vec::new();
        loop {
            let path = format!("{}/{id}/messages?after={}", self.url, all.len());
            let page = self.page(&path).await?;
            let more = page["has_more"] == true;
            all.extend(page["data"].as_array().cloned().unwrap_or_default());
            if !more {
                return Ok(all);
            }
        }
    }

    /// The recent messages of a conversation.
    pub(super) async fn recent(&self, id: &str) -> Result<Vec<Value>, Broken> {
        let page = self.page(&format!("{}/{id}/messages", self.url)).await?;
        Ok(page["data"].as_array().cloned().unwrap_or_default())
    }

    async fn page(&self, path: &str) -> Result<Value, Broken> {
        let answer = self.client.get(path).send().await?;
        match answer.status().as_u16() {
            200 => Ok(serde_json::from_str(&answer.text().await?)?),
            404 => Ok(json!({ "data": [] })),
            status => Err(format!("{path}: {status} when all is well again").into()),
        }
    }
}
