//! An owner who writes and has all of it erased, over and over; in the end no dump and no log has a trace of it.

use std::time::Duration;

use conversation_core::{OwnerHash, OwnerId};
use conversation_local::Tools;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio::time::{Instant, sleep};

use crate::traces::{in_file, in_postgres, in_redis};
use crate::{Broken, redis_at};

use super::stage::Stage;

/// Whose data they are.
const OWNER: &str = "erin";
/// How many conversations there are when they are erased.
const CONVERSATIONS: usize = 10;
/// How often a request is sent before it is given up.
const TRIES: u32 = 30;
/// Longer than the last of what is erased waits for late writers.
const SETTLED: Duration = Duration::from_secs(180);

/// That owner, as a client of the API.
#[derive(Debug)]
pub(super) struct Erasures {
    client: Client,
    url: String,
    /// What stands in everything that is written.
    canary: String,
    erased: Erased,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Erased {
    /// How many erasures were answered.
    pub(super) erasures: usize,
    /// How many conversations they erased, as far as their creation was answered.
    pub(super) conversations: usize,
    /// Where the word still stands in the end.
    pub(super) traces: usize,
    /// What is not as it should be.
    pub(super) wrong: Vec<String>,
}

impl Erasures {
    pub(super) fn new(client: Client, url: &str) -> Self {
        let canary = format!("canary{}", uuid::Uuid::now_v7().simple());
        Self { client, url: url.to_owned(), canary, erased: Erased::default() }
    }

    /// Writes, erases and looks, for a while.
    pub(super) async fn go_on(&mut self, duration: Duration) {
        let until = Instant::now() + duration.saturating_sub(Duration::from_secs(5));
        while Instant::now() < until {
            let ids = self.write().await;
            if self.send(Method::DELETE, "/v1/owner", None, &[StatusCode::OK]).await {
                self.erased.erasures += 1;
                self.erased.conversations += ids.len();
                for id in ids {
                    self.is_gone(&id).await;
                }
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// When all is well again: waits until nothing is left, and looks for traces.
    pub(super) async fn finish(mut self, stage: &Stage) -> Result<Erased, Broken> {
        self.send(Method::DELETE, "/v1/owner", None, &[StatusCode::OK]).await;
        let mut postgres = PgConnection::connect(&stage.database_url).await?;
        let until = Instant::now() + SETTLED;
        let open = "select count(*) from erasures where completed_at is null";
        while sqlx::query_scalar::<_, i64>(open).fetch_one(&mut postgres).await? > 0 {
            if Instant::now() > until {
                self.erased.wrong.push("an erasure does not end".into());
                break;
            }
            sleep(Duration::from_secs(5)).await;
            let swept = stage.lambda.invoke("sweep", "{}".into()).await;
            swept.map_err(|error| format!("the sweep fails: {error:?}"))?;
        }
        let mut traces = in_postgres(&Tools::ready()?, &stage.database_url, &self.canary, "none")?;
        traces.extend(in_redis(&mut redis_at(&stage.valkey.url()).await?, &self.canary).await?);
        traces.extend(in_file(stage.postgres.log().ok_or("Postgres has no log")?, &self.canary)?);
        let log = stage.log.path().join("log");
        traces.extend(in_file(&log, &self.canary)?);
        let hash = OwnerHash::of(&OwnerId::new(OWNER)?).to_string();
        let is_receipt = |line: &&String| line.contains("an owner's data are erased");
        let receipts = in_file(&log, &hash)?.iter().filter(is_receipt).count();
        self.erased.traces = traces.len();
        self.erased
            .wrong
            .extend(traces.into_iter().map(|trace| format!("a trace of what was erased: {trace}")));
        if receipts < self.erased.erasures {
            self.erased.wrong.push(format!("the log has {receipts} receipts"));
        }
        Ok(self.erased)
    }

    /// Everything that an owner may have, with the word in it. The ids of the conversations.
    async fn write(&mut self) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        for at in 0..CONVERSATIONS {
            let id = format!("{}-{}-{at}", self.canary, uuid::Uuid::now_v7().simple());
            let message =
                json!({ "id": format!("{}-{at}", self.canary), "role": "user", "content": self.canary });
            let record = json!({ "key": self.canary, "value": self.canary });
            let body = json!({
                "id": id, "title": self.canary, "metadata": { "note": self.canary },
                "messages": [message], "records": [record],
            });
            let fork = ids.last().map(|last| json!({ "id": id, "fork_of": last, "title": self.canary }));
            let body = if at % 3 == 2 { fork.unwrap_or(body) } else { body };
            // An earlier try may have created it.
            let done = [StatusCode::OK, StatusCode::CONFLICT];
            if self.send(Method::POST, "/v1/conversations", Some(&body), &done).await {
                // So that it is in the cache.
                let path = format!("/v1/conversations/{id}/messages");
                self.send(Method::GET, &path, None, &[StatusCode::OK]).await;
                ids.push(id);
            }
        }
        let path = format!("/v1/records/{}", self.canary);
        self.send(Method::PUT, &path, Some(&json!({ "value": self.canary })), &[StatusCode::OK]).await;
        ids
    }

    /// What was erased is not there, and does not come back under its id.
    async fn is_gone(&mut self, id: &str) {
        let conversation = format!("/v1/conversations/{id}");
        for path in [conversation.clone(), format!("{conversation}/messages")] {
            self.send(Method::GET, &path, None, &[StatusCode::NOT_FOUND]).await;
        }
        let body = json!({ "id": id, "title": self.canary });
        self.send(Method::POST, "/v1/conversations", Some(&body), &[StatusCode::CONFLICT]).await;
    }

    /// Sends a request until it is answered for good. Whether it was answered as it may be.
    async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        may_be: &[StatusCode],
    ) -> bool {
        for tries in 0..TRIES {
            let mut request = self
                .client
                .request(method.clone(), format!("{}{path}", self.url))
                .header("x-owner-id", OWNER)
                .timeout(Duration::from_secs(35));
            if let Some(body) = body {
                request = request.header("content-type", "application/json").body(body.to_string());
            }
            match request.send().await {
                Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => {}
                Ok(answer) if may_be.contains(&answer.status()) => return true,
                Ok(answer) => {
                    let status = answer.status();
                    let text = answer.text().await.unwrap_or_default();
                    self.erased.wrong.push(format!("{method} {path}: {status} {text}"));
                    return false;
                }
                Err(error) => {
                    self.erased.wrong.push(format!("{method} {path}: {error}"));
                    return false;
                }
            }
            sleep(Duration::from_millis(100 * u64::from(tries + 1))).await;
        }
        self.erased.wrong.push(format!("{method} {path} was given up"));
        false
    }
}
