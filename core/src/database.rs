//! Postgres: the only SQL of the crate. Every statement is one round trip. Those of a conversation name the shard of its owner
//! for every table that they read, so that a distributed Postgres runs them where the rows are; `docs/scaling.md` says more.

mod add;
mod erasure;
mod error;
mod export;
mod generation;
mod history;
mod list;
mod migrate;
mod owners;
mod probe;
mod records;
mod replace;
mod retention;
mod role;
mod rows;
mod session;
mod sharding;
mod sweep;
mod transfer;

use error::StatementError;
use rows::only;
use std::sync::Arc;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row as _};

use crate::meter::timed_postgres;
use crate::types::conversation::{ConversationFields, ConversationKey};
use crate::types::error::Error;
use crate::types::idempotency::{IdempotencyKey, RequestFingerprint};
use crate::types::message::Batch;
use crate::types::page::Limit;
use crate::types::precondition::Precondition;
use crate::types::snapshot::{IntentOutcome, Snapshot, WINDOW};
use crate::types::write::{Change, Fork};

pub(crate) use erasure::ToErase;
pub(crate) use export::Snapshots;
pub use migrate::Migrated;
pub(crate) use rows::{
    Added, Commit, Found, Listed, MessageDeletion, MessageRange, PendingInvalidation, Replaced,
};
use rows::{changed, found, message_deleted, select_snapshot, version_mismatch};
pub(crate) use session::Sessions;
pub(crate) use transfer::{Counters, Imported};

/// The tables, reached through a pool that connects when it is first needed.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    sessions: Arc<Sessions>,
    /// That of the cache which whoever uses this has beside it.
    generation: Arc<str>,
}

/// What a new conversation is given.
#[derive(Clone, Debug, Default)]
pub(crate) struct AddOptions {
    pub(crate) fields: ConversationFields,
    /// What it begins as a copy of.
    pub(crate) fork: Option<Fork>,
    pub(crate) kind: AddKind,
}

/// Which conversations an add is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AddKind {
    /// Whichever: one that is not there yet is created.
    #[default]
    Add,
    /// A new one: an existing conversation of this id is an error, not a place to add to.
    Create,
    /// One that exists.
    Append,
}

impl AddKind {
    /// What a request is known by, beside what it says.
    fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Create => "create",
            Self::Append => "append",
        }
    }
}

impl Database {
    pub(crate) fn new(sessions: Sessions) -> Self {
        Self { sessions: Arc::new(sessions), generation: "".into() }
    }

    /// The same beside a cache of that generation.
    pub(crate) fn beside_cache(self, generation: &str) -> Self {
        Self { generation: generation.into(), ..self }
    }

    fn generation(&self) -> &str {
        &self.generation
    }

    /// Begins to connect, for whoever has something else to do first.
    pub(crate) fn prepare(&self) {
        self.sessions.prepare();
    }

    pub(crate) async fn ping(&self) -> Result<(), Error> {
        self.rows(sqlx::query("select 1")).await.map(drop).map_err(StatementError::of_read)
    }

    /// Changes title and metadata, each if given. Done: the conversation; none if there is no such.
    pub(crate) async fn update(
        &self,
        key: &ConversationKey,
        change: &Change,
        intent: IntentOutcome,
    ) -> Result<Commit<Option<Snapshot>>, Error> {
        let fields = change.fields.to_json();
        let fingerprint = change
            .idempotency_key
            .as_ref()
            .map(|_| RequestFingerprint::of_request("update", None, &change.fields, std::iter::empty()));
        let query = sqlx::query(select_snapshot!(
            "u.outcome, u.row_epoch, ",
            "(u.s).",
            "update_conversation($1, $2, $3, $4::text::json, $5, $6, $7, $8, $9, $10, $11, $12, $13) u"
        ))
        .bind(key.owner.shard())
        .bind(key.owner.as_str())
        .bind(key.id.as_str())
        .bind(fields.as_str())
        .bind(change.idempotency_key.as_ref().map(IdempotencyKey::stored))
        .bind(fingerprint.as_ref().map(RequestFingerprint::bytes))
        .bind(change.precondition.version())
        .bind(intent.has_intent())
        .bind(intent.epoch())
        .bind(intent.valid())
        .bind(intent.wants_window())
        .bind(CAPACITY)
        .bind(self.generation());
        match self.rows(query).await {
            Ok(rows) => changed(&only(rows)?),
            Err(failed) => Err(Self::request_failed(failed, fingerprint.as_ref(), &Batch::none())),
        }
    }

    /// Deletes one message. Done: the conversation without it; none if there never was such a message.
    pub(crate) async fn delete_message(
        &self,
        key: &ConversationKey,
        message_id: &str,
        precondition: Precondition,
        intent: IntentOutcome,
    ) -> Result<Commit<Option<MessageDeletion>>, Error> {
        let query = sqlx::query(select_snapshot!(
            "d.outcome, d.row_epoch, ",
            "(d.s).",
            "delete_message($1, $2, $3, $4, $5, $6, $7, $8, $9) d"
        ))
        .bind(key.owner.shard())
        .bind(key.owner.as_str())
        .bind(key.id.as_str())
        .bind(message_id)
        .bind(precondition.version())
        .bind(intent.has_intent())
        .bind(intent.epoch())
        .bind(CAPACITY)
        .bind(self.generation());
        message_deleted(&only(self.rows(query).await.map_err(StatementError::of_write)?)?)
    }

    /// Deletes a conversation, or only if it has expired. Done: its version, none if there never was one, or it has not.
    pub(crate) async fn delete(
        &self,
        key: &ConversationKey,
        precondition: Precondition,
        if_expired: bool,
        intent: IntentOutcome,
    ) -> Result<Commit<Option<i64>>, Error> {
        let query = sqlx::query(
            "select outcome, row_epoch, version from delete_conversation($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(key.owner.shard())
        .bind(key.owner.as_str())
        .bind(key.id.as_str())
        .bind(precondition.version())
        .bind(if_expired)
        .bind(intent.has_intent())
        .bind(intent.epoch())
        .bind(self.generation());
        let row = only(self.rows(query).await.map_err(StatementError::of_write)?)?;
        match row.try_get("outcome").map_err(Error::Database)? {
            "deleted" => row.try_get("version").map(Some).map(Commit::Done).map_err(Error::Database),
            "refused" => row.try_get("row_epoch").map(Commit::Refused).map_err(Error::Database),
            "version_mismatch" => Err(version_mismatch(&row)),
            _ => Ok(Commit::Done(None)),
        }
    }

    /// A conversation and its window, as one snapshot; with `take_epoch`, as one that may validate the entry, unless the cache is one
    /// of another generation.
    pub(crate) async fn read(&self, key: &ConversationKey, take_epoch: bool) -> Result<Found, Error> {
        let query = if take_epoch {
            sqlx::query(select_snapshot!("", "r.", "read_window_taking_epoch($1, $2, $3, $4, $5) r"))
        } else {
            sqlx::query(select_snapshot!("", "r.", "read_window($1, $2, $3, $4) r"))
        };
        let query =
            query.bind(key.owner.shard()).bind(key.owner.as_str()).bind(key.id.as_str()).bind(CAPACITY);
        let query = if take_epoch { query.bind(self.generation()) } else { query };
        let rows = self.rows(query).await.map_err(StatementError::of_read)?;
        found(rows.first()).map_err(Error::Database)
    }
}

/// [`WINDOW`] as SQL counts.
const CAPACITY: i32 = 100;
const _: () = assert!(WINDOW == 100 && Limit::MAX.get() == WINDOW);

impl Database {
    /// Runs one statement.
    async fn rows(&self, query: Query<'_, Postgres, PgArguments>) -> Result<Vec<PgRow>, StatementError> {
        timed_postgres(self.sessions.rows(query)).await
    }
}
