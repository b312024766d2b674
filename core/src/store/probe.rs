//! Trying the real stores before they are relied on: whether all that is asked of them is there and allowed, and what is
//! guaranteed with them.

use crate::types::precondition::Precondition;
use crate::types::read::{Read, Source};
use crate::types::write::{CacheUpdate, Change};
use serde::Serialize;
use thiserror::Error as ThisError;

use crate::types::conversation::{ConversationFields, ConversationId, ConversationKey, OwnerId, Title};
use crate::types::error::{Error, Invalid};
use crate::types::message::{Batch, MessageId, NewMessage};
use crate::types::page::Limit;
use crate::types::record::{
    ContentType, RecordBatch, RecordChange, RecordKey, RecordQuery, RecordScope, RecordValue,
};

use super::ConversationStore;

/// Whose conversations those of a probe are.
const OWNER: &str = "probe";

/// What was tried, and what it came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was tried.
    pub name: &'static str,
    /// That it is well: a probe ends at the first check that is not.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probed {
    /// What the store guarantees its readers with these servers: one sentence.
    pub guarantee: String,
    /// All that was tried, in order.
    pub checks: Vec<Check>,
}

/// The first check that failed. As a sentence it names it.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error("{check}: {reason}")]
pub struct ProbeError {
    /// What was tried.
    pub check: &'static str,
    /// What is wrong.
    pub reason: String,
}

#[derive(Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn note(&mut self, check: &'static str, found: Result<String, String>) -> Result<(), ProbeError> {
        let detail = found.map_err(|reason| ProbeError { check, reason })?;
        self.0.push(Check { name: check, ok: true, detail });
        Ok(())
    }
}

impl ConversationStore {
    /// Tries on both stores all that is asked of them, and removes what that leaves. `connections_needed` is how many
    /// connections to Postgres may be opened at a time, all functions together.
    ///
    /// # Errors
    /// The first check that failed.
    pub async fn probe(&self, connections_needed: Option<u32>) -> Result<Probed, ProbeError> {
        let mut checks = Checks::default();
        let (database, cache) = (self.database(), &self.cache);
        checks.note("Postgres is reached", database.probe_reached().await)?;
        checks.note("Postgres is a primary", database.probe_role().await)?;
        checks.note("The schema is there", database.probe_schema().await)?;
        checks.note("The user of Postgres has its rights", database.probe_rights().await)?;
        checks.note("Postgres ends what nobody waits for", database.probe_limits().await)?;
        checks
            .note("Postgres has connections enough", database.probe_connections(connections_needed).await)?;

        let key = made("Redis is reached")?;
        checks.note("Redis is reached", Box::pin(cache.probe_reached()).await)?;
        checks.note("Redis is a primary", Box::pin(cache.probe_role(&key)).await)?;
        let identity = Box::pin(cache.probe_identity(&key)).await;
        let guarantee = identity.clone().unwrap_or_default();
        checks.note("Redis is one server to whoever asks", identity)?;
        checks.note("Redis runs the scripts and looks", Box::pin(cache.probe_scripts(&key)).await)?;
        checks.note("Redis can be swept", Box::pin(cache.probe_sweep(&key)).await)?;

        let key = made("A conversation lives and dies")?;
        let lived = Box::pin(self.live(&key)).await;
        let removed = Box::pin(self.forget(&key)).await;
        checks.note("A conversation lives and dies", lived)?;
        checks.note("Nothing is left of it", removed)?;
        Ok(Probed { guarantee, checks: checks.0 })
    }

    /// A conversation from its first message to its end, as callers have them.
    async fn live(&self, key: &ConversationKey) -> Result<String, String> {
        let (batch, first, title) = contents().map_err(|invalid| invalid.to_string())?;
        let batch = batch.with_records(record("with a message").map_err(|invalid| invalid.to_string())?);
        match self.add(key, &batch).await {
            // Old code still writes through another cache.
            Err(Error::CacheMoving) => return Ok("writes wait until the cache moves to this one".into()),
            added => published("an add", added.map(|added| added.cache_update))?,
        }
        hit("what was added", true, self.recent(key, Limit::MAX, None).await)?;
        self.probe_records(key).await.map_err(|error| format!("records: {error}"))?;
        let change =
            Change::from(ConversationFields { title: Some(Some(title)), ..ConversationFields::default() });
        published("an update", self.update(key, &change).await.map(|changed| changed.cache_update))?;
        published(
            "the deletion of a message",
            self.delete_message(key, &first, Precondition::None).await.map(|changed| changed.cache_update),
        )?;
        hit("the conversation", true, self.get(key, None).await)?;
        published("a deletion", self.delete(key, Precondition::None).await)?;
        hit("what was deleted", false, self.recent(key, Limit::MAX, None).await)?;
        Ok("each write was published, and each read hit".into())
    }

    /// Writes a record by itself, and reads it and the one that came with a message.
    async fn probe_records(&self, key: &ConversationKey) -> Result<(), Error> {
        let scope = RecordScope::Conversation(key.clone());
        self.index.write_records(&scope, &record("alone")?).await?;
        match self.index.records(&scope, &RecordQuery::all()).await?.items.len() {
            2 => Ok(()),
            _ => Err(Error::NotFound),
        }
    }

    /// The cache first: what it says of a conversation holds for as long as Postgres has one.
    async fn forget(&self, key: &ConversationKey) -> Result<String, String> {
        self.cache.invalidate(key).await.map_err(|error| error.to_string())?;
        self.database().forget_probe(key).await?;
        Ok("it was removed".into())
    }
}

/// A conversation that nobody has.
fn made(check: &'static str) -> Result<ConversationKey, ProbeError> {
    let owner = OwnerId::new(OWNER).map_err(|invalid| ProbeError { check, reason: invalid.to_string() })?;
    Ok(ConversationKey { owner, id: ConversationId::generate() })
}

/// A record of this key.
fn record(key: &str) -> Result<RecordBatch, Invalid> {
    let value = RecordValue { bytes: b"a probe".into(), content_type: ContentType::text() };
    let (key, precondition) = (RecordKey::new(key)?, Precondition::None);
    RecordBatch::new(vec![RecordChange { key, value: Some(value), precondition }])
}

fn contents() -> Result<(Batch, MessageId, Title), Invalid> {
    let first = MessageId::new("first")?;
    let messages = vec![
        NewMessage::parse(r#"{"id":"first","role":"user","content":"Is all well?"}"#)?,
        NewMessage::parse(r#"{"role":"assistant","content":"It is."}"#)?,
    ];
    Ok((Batch::new(messages)?, first, Title::new("A probe")?))
}

fn published(what: &str, cache_update: Result<CacheUpdate, Error>) -> Result<(), String> {
    match cache_update {
        Ok(CacheUpdate::Applied) => Ok(()),
        Ok(CacheUpdate::Pending | CacheUpdate::Deferred) => Err(format!("{what} does not reach the cache")),
        Err(error) => Err(format!("{what}: {error}")),
    }
}

fn hit<T>(what: &str, is_there: bool, read: Result<Read<T>, Error>) -> Result<(), String> {
    match read {
        Ok(Read { found, source }) if source.is_hit() && found.is_some() == is_there => Ok(()),
        Ok(Read { source: Source::Hit | Source::BoundedHit, .. }) => {
            Err(format!("{what} is not what was written"))
        }
        Ok(Read { source: Source::Miss { reason, .. }, .. }) => Err(format!("{what} is a miss, {reason}")),
        Ok(Read { source: Source::Bypass, .. }) => Err(format!("{what} is no hit")),
        Err(error) => Err(format!("{what}: {error}")),
    }
}
