//! What a cache is asked before it is relied on: every step of the protocol once, on a key of the probe's own, so that what is
//! refused shows in the server's own words.

use super::client::Request;
use crate::types::error::CacheError;
use crate::types::read::Miss;
use std::collections::HashMap;

use tokio::time::Instant;

use crate::types::conversation::{Conversation, ConversationKey};
use crate::types::message::Message;
use crate::types::page::Limit;
use crate::types::snapshot::{Snapshot, WINDOW_BYTES, Window};

use super::key::{UNIDENTIFIED_VALIDITY, VALIDITY};
use super::lookup::field_of;
use super::scan::ScanResult;
use super::{Begun, Cache, Intent, Lookup, Stored, identity};

/// What was found, or one sentence that says what is wrong.
type Outcome = Result<String, String>;

/// What was to be done when an error came.
fn at(step: &str) -> impl Fn(CacheError) -> String {
    move |error| format!("{step}: {}", sentence(&error))
}

fn sentence(error: &CacheError) -> String {
    let said = error.to_string();
    let lower = said.to_lowercase();
    if lower.contains("certificate") || lower.contains("tls") {
        format!("there is no TLS with Redis, REDIS_CA_FILE has to name who signed its certificate: {said}")
    } else if said.contains("READONLY") {
        format!("REDIS_URL leads to a replica: {said}")
    } else {
        said
    }
}

fn stored(step: &str, stored: Stored, expected: Stored) -> Result<(), String> {
    if stored == expected { Ok(()) } else { Err(format!("{step}: it answers {stored:?}, not {expected:?}")) }
}

impl Cache {
    /// Whether every server with keys answers.
    pub(crate) async fn probe_reached(&self) -> Outcome {
        self.ping().await.map_err(|error| sentence(&error))?;
        let servers = self.connection.primaries().await.map_err(at("CLUSTER SLOTS"))?.len();
        Ok(format!("{servers} with keys"))
    }

    /// Whether the server that has a key takes writes, as far as it says.
    pub(crate) async fn probe_role(&self, key: &ConversationKey) -> Outcome {
        match self.replication(key).await?.as_deref().and_then(|said| field_of(said, "role")) {
            Some("slave") => Err("REDIS_URL leads to a replica".into()),
            Some(_) => Ok("it is a primary".into()),
            None => Ok("it does not say".into()),
        }
    }

    /// What the server says of its replication, where it is asked and says it.
    async fn replication(&self, key: &ConversationKey) -> Result<Option<String>, String> {
        if !self.asks_identity {
            return Ok(None);
        }
        let keys = self.keys(key);
        match self.connection.ask_again(&Request::Command(identity()), &keys.entry).await {
            Ok(said) => Ok(Some(said)),
            Err(CacheError::Refused(_)) => Ok(None),
            Err(error) => Err(at("INFO")(error)),
        }
    }

    /// Whether scripts and plain commands speak of the same server; what is guaranteed with what they say.
    pub(crate) async fn probe_identity(&self, key: &ConversationKey) -> Outcome {
        let begun = self.begin(key, Intent::new(), None, None).await.map_err(at("begin"))?;
        let looked = self.replication(key).await;
        self.invalidate(key).await.map_err(at("DEL"))?;
        let looked = looked?;
        guarantee(&begun, looked.as_deref())
    }

    /// Every script once, and each way to look.
    pub(crate) async fn probe_scripts(&self, key: &ConversationKey) -> Outcome {
        let done = self.steps(key).await;
        if done.is_err() {
            // What is wrong is returned; a key that is left lives for as long as any.
            let _ = self.invalidate(key).await;
        }
        done.map(|()| "each was run".into())
    }

    async fn steps(&self, key: &ConversationKey) -> Result<(), String> {
        let intent = Intent::new();
        let begun = self.begin(key, intent, None, None).await.map_err(at("begin"))?;
        self.withdraw(key, begun.intent()).await.map_err(at("withdraw"))?;
        self.published(key).await?;
        self.drop_ahead(key, Some(EPOCH)).await.map_err(at("drop"))?;
        self.is_miss(key, |miss| matches!(miss, Miss::Cold), "was dropped").await?;

        let lease = self.lease(key, None).await.map_err(at("lease"))?;
        if !lease.granted {
            return Err("lease: it is not granted".into());
        }
        let filled = self.fill(key, &lease, &snapshot(key, 1, Some(window(vec![message(1)])))).await;
        stored("fill", filled.map_err(at("fill"))?, Stored::Validated)?;
        self.is_hit(key, Limit::MAX, "was filled").await?;
        self.release(key).await.map_err(at("HDEL"))?;

        self.write_tombstone(key, 2).await.map_err(at("write_tombstone"))?;
        match self.lookup(key, None, None).await.map_err(at("a look"))? {
            Lookup::Deleted => {}
            other => return Err(format!("write_tombstone: what was deleted is {other:?}")),
        }
        self.inspect(key).await.map_err(at("an inspection"))?;
        self.invalidate(key).await.map_err(at("DEL"))
    }

    /// A window that is written, grows over its bytes, is merged with what it has, and loses its oldest message.
    async fn published(&self, key: &ConversationKey) -> Result<(), String> {
        let published = |stored: Result<Stored, CacheError>| stored.map_err(at("publish"));
        let first = Intent::new();
        let begun = self.begin(key, first.clone(), None, None).await.map_err(at("begin"))?;
        let begun =
            self.begin(key, first.next(), None, Some(begun.intent())).await.map_err(at("begin once more"))?;
        self.is_miss(key, |miss| matches!(miss, Miss::WritePending { .. }), "has a write intent").await?;
        let whole = snapshot(key, 1, Some(window(vec![message(1)])));
        stored("publish", published(self.publish(key, &begun, &whole, &[]).await)?, Stored::Validated)?;
        self.is_hit(key, Limit::MAX, "was published").await?;
        // A second one that goes beside it, then the same again: neither fits into the bytes of the first.
        for version in [2, 3] {
            let begun = self.begin(key, Intent::new(), Some(EPOCH), None).await.map_err(at("begin again"))?;
            let more = snapshot(key, version, None);
            let done = self.publish(key, &begun, &more, &[message(2)]).await;
            stored("publish", published(done)?, Stored::Merged)?;
        }
        self.is_hit(key, LESS, "was added to").await
    }

    async fn is_hit(&self, key: &ConversationKey, limit: Limit, what: &str) -> Result<(), String> {
        match self.lookup(key, Some(limit), None).await.map_err(at("a look"))? {
            Lookup::Hit(_) => Ok(()),
            Lookup::Deleted => Err(format!("a look: what {what} is gone")),
            Lookup::Miss(miss, _) => Err(format!("a look: what {what} is a miss, {miss}")),
        }
    }

    async fn is_miss(
        &self,
        key: &ConversationKey,
        expected: impl Fn(Miss) -> bool,
        what: &str,
    ) -> Result<(), String> {
        match self.lookup(key, Some(Limit::MAX), None).await.map_err(at("a look"))? {
            Lookup::Miss(miss, _) if expected(miss) => Ok(()),
            other => Err(format!("a look: what {what} is {other:?}")),
        }
    }

    /// What a sweep asks, of every server.
    pub(crate) async fn probe_sweep(&self, key: &ConversationKey) -> Outcome {
        let begun = self.begin(key, Intent::new(), None, None).await.map_err(at("begin"))?;
        let swept = self.swept(key).await;
        self.withdraw(key, begun.intent()).await.map_err(at("withdraw"))?;
        self.invalidate(key).await.map_err(at("DEL"))?;
        swept.map(|servers| format!("{servers} can be gone through"))
    }

    async fn swept(&self, key: &ConversationKey) -> Result<usize, String> {
        let servers = self.connection.primaries().await.map_err(at("CLUSTER SLOTS"))?;
        let mut found = ScanResult::default();
        for (server, node) in &servers {
            // One batch of it.
            let scanned = self.scan_server(server, node, Instant::now(), &mut found).await;
            scanned.map_err(at("the sweep"))?;
        }
        // A batch of a large cache may come by no entry.
        let keys = self.keys(key);
        let scan = redis::cmd("HSCAN").arg(&keys.entry).arg(0).arg("MATCH").arg("intent:*").take();
        let (_, intents): (u64, HashMap<String, u64>) =
            self.connection.ask_again(&Request::Command(scan), &keys.entry).await.map_err(at("the sweep"))?;
        if intents.is_empty() {
            return Err("the sweep: HSCAN does not find an intent that stands".into());
        }
        Ok(servers.len())
    }
}

/// What is guaranteed, by what a script and a plain command say of the server.
fn guarantee(begun: &Begun, looked: Option<&str>) -> Outcome {
    let plain = looked.and_then(|said| field_of(said, "master_replid"));
    match (begun.replid.as_str(), plain) {
        ("hidden", _) | (_, None) => Ok(format!(
            "a read sees every write that was acknowledged before it began, except that after a failover of the cache, \
             which this one hides, it may miss one until {} seconds after the last request that was in flight across it",
            UNIDENTIFIED_VALIDITY.as_secs()
        )),
        (script, Some(plain)) if script == plain => Ok(format!(
            "a read sees every write that was acknowledged before it began, failovers of the cache included, and what \
             is cached is checked against Postgres every {} minutes at the latest",
            VALIDITY.as_secs() / 60
        )),
        _ => {
            Err("scripts and plain commands are answered by different servers: set REDIS_SERVERLESS=true"
                .into())
        }
    }
}

/// What the probe's entries bear.
const EPOCH: i64 = 1;
/// Less than a whole window: how long it is gets asked as well.
const LESS: Limit = Limit::LIST;

/// One message at each version; the second is the only one that is left at the third.
fn snapshot(key: &ConversationKey, version: i64, window: Option<Window>) -> Snapshot {
    let conversation = Conversation {
        message_count: if version == 2 { 2 } else { 1 },
        version,
        ..Conversation::empty(key.id.clone())
    };
    let first_seq = if version == 3 { 2 } else { 1 };
    Snapshot { conversation, epoch: EPOCH, took_epoch: window.is_some(), first_seq, window }
}

fn window(messages: Vec<Message>) -> Window {
    Window { bare: Vec::new(), messages }
}

/// Of more than half of what a window has room for.
fn message(seq: i64) -> Message {
    let text = "x".repeat(WINDOW_BYTES / 2 + 1);
    Message::assemble(seq, None, 0, &format!(r#"{{"role":"user","content":"{text}"}}"#))
}
