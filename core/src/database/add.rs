//! Adds messages, and finds what stands in the way of those that were sent before.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{Postgres, Row as _};

use super::error::StatementError;
use super::records::bind_records;
use super::rows::{AddOutcome, Added, Commit, added, only, select_snapshot};
use super::{AddKind, AddOptions, CAPACITY, Database};
use crate::types::conversation::ConversationKey;
use crate::types::error::Error;
use crate::types::idempotency::{IdempotencyKey, Part, RequestFingerprint};
use crate::types::json::canonical;
use crate::types::message::{Batch, MessageId, NewMessage, join};
use crate::types::precondition::Precondition;
use crate::types::snapshot::IntentOutcome;
use crate::types::write::Fork;

const ADD: &str = select_snapshot!(
    "a.outcome, a.row_epoch, a.stored_ids, a.stored_seqs, a.stored_ats, a.stored_bodies, null::bigint[] as record_revisions, ",
    "(a.s).",
    "add_messages($1, $2, $3, $4::text::json, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) a"
);
const ADD_WITH_RECORDS: &str = select_snapshot!(
    "a.outcome, a.row_epoch, a.stored_ids, a.stored_seqs, a.stored_ats, a.stored_bodies, a.record_revisions, ",
    "(a.s).",
    "add_messages_and_records($1, $2, $3, $4::text::json, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, \
        $21, $22, $23, $24, $25) a"
);

/// What an add is, however its messages are spelt.
struct Add<'a> {
    key: &'a ConversationKey,
    batch: &'a Batch,
    options: &'a AddOptions,
    intent: IntentOutcome,
    fields: String,
    fingerprint: Option<RequestFingerprint>,
    generation: &'a str,
}

/// The request that stands in the way of another one under its idempotency key, as far as the error says so.
fn earlier(failed: &StatementError) -> Option<RequestFingerprint> {
    // Postgres breaks lines in base64.
    let fingerprint = STANDARD.decode(failed.idempotency_conflict()?.replace('\n', "")).ok()?;
    Some(RequestFingerprint::stored(fingerprint))
}

impl Database {
    pub(crate) async fn add(
        &self,
        key: &ConversationKey,
        batch: &Batch,
        options: &AddOptions,
        intent: IntentOutcome,
    ) -> Result<Commit<Added>, Error> {
        let fields = options.fields.to_json();
        let fingerprint = batch.idempotency_key().map(|_| fingerprint(batch, options));
        let mut add = Add { key, batch, options, intent, fields, fingerprint, generation: self.generation() };
        let mut messages = Cow::Borrowed(batch.messages());
        loop {
            let rows = match self.rows(add.query(&messages)).await {
                Ok(rows) => rows,
                Err(failed) => {
                    add.fingerprint = Some(self.under_its_key(failed, &add).await?);
                    continue;
                }
            };
            match added(&only(rows)?, &messages, batch).map_err(|error| absent(error, options.kind))? {
                AddOutcome::Commit(commit) => return Ok(*commit),
                // Spelt as they are stored, they are found to be there.
                AddOutcome::Spelt(stored) => messages = Cow::Owned(batch.as_stored(&stored)?),
            }
        }
    }

    /// What a request is called under its key: as it was when it was done first, however its messages were spelt then.
    ///
    /// # Errors
    /// The key stands for another request, which differs somewhere; or the write failed for another reason.
    async fn under_its_key(
        &self,
        failed: StatementError,
        add: &Add<'_>,
    ) -> Result<RequestFingerprint, Error> {
        let (Some(earlier), Some(ours)) = (earlier(&failed), &add.fingerprint) else {
            return Err(stays(failed, add.batch));
        };
        let differences = ours.differences(&earlier);
        let has_messages = differences.iter().any(|part| matches!(part, Part::Message(_)));
        // That they cannot be read makes the path shorter.
        let ids =
            if has_messages { self.message_ids_under_key(add).await.unwrap_or_default() } else { Vec::new() };
        for part in differences {
            let path = match part {
                Part::Kind => Some(String::new()),
                Part::Position => Some("at".to_owned()),
                Part::Title | Part::Metadata | Part::Archived | Part::ExpiresAfter => {
                    Some(part.field().to_owned())
                }
                Part::Message(place) => self.differs_at(place, add, &earlier, &ids).await,
            };
            if let Some(path) = path {
                return Err(Error::IdempotencyConflict { path });
            }
        }
        Ok(earlier)
    }

    /// Where the message at a place differs from the one that the earlier request stored; none: it is the same. `ids` are those of the
    /// messages that it stored.
    async fn differs_at(
        &self,
        place: usize,
        add: &Add<'_>,
        earlier: &RequestFingerprint,
        ids: &[String],
    ) -> Option<String> {
        let path = add.batch.path_of_place(place);
        if place >= add.batch.request().len().min(earlier.messages()) {
            return Some(path);
        }
        // What is not stored anew was looked at before.
        let at = add.batch.at_place(place)?;
        let sent = &add.batch.messages()[at];
        let id = ids.get(at).and_then(|id| MessageId::new(id.as_str()).ok());
        if sent.id_in_body && id.as_ref().is_some_and(|id| *id != sent.id) {
            return Some(join(&path, "id"));
        }
        let stored = match id {
            Some(id) => self.message(add.key, &id).await.ok().flatten(),
            None => None,
        };
        let Some(stored) = stored else { return Some(path) };
        add.batch.compare(&sent.body, stored.message.json()).map(|inner| join(&path, &inner))
    }

    /// The ids of the messages that the request stored which was done under the key.
    async fn message_ids_under_key(&self, add: &Add<'_>) -> Result<Vec<String>, Error> {
        let query = sqlx::query(
            "select message_ids from idempotency_keys where shard = $1 and owner_id = $2 and idempotency_key = $3",
        )
        .bind(add.key.owner.shard())
        .bind(add.key.owner.as_str())
        .bind(add.batch.idempotency_key().map(IdempotencyKey::stored));
        let rows = self.rows(query).await.map_err(StatementError::of_read)?;
        rows.first().map_or(Ok(Vec::new()), |row| row.try_get("message_ids")).map_err(Error::Database)
    }

    /// What it means that a request failed which may have been done under an idempotency key.
    pub(super) fn request_failed(
        failed: StatementError,
        fingerprint: Option<&RequestFingerprint>,
        batch: &Batch,
    ) -> Error {
        let (Some(earlier), Some(ours)) = (earlier(&failed), fingerprint) else {
            return failed.of_write();
        };
        // That only the position differs tells a caller who has read it anew that its request was done.
        let differences = ours.differences(&earlier);
        let first = differences.iter().find(|part| **part != Part::Position).or(differences.first());
        let path = match first {
            Some(Part::Position) => "after".to_owned(),
            Some(Part::Message(place)) => batch.path_of_place(*place),
            Some(part) => part.field().to_owned(),
            None => String::new(),
        };
        Error::IdempotencyConflict { path }
    }
}

impl Add<'_> {
    fn query<'q>(&'q self, messages: &'q [NewMessage]) -> Query<'q, Postgres, PgArguments> {
        let records = self.batch.records();
        let query = sqlx::query(if records.is_empty() { ADD } else { ADD_WITH_RECORDS })
            .bind(self.key.owner.shard())
            .bind(self.key.owner.as_str())
            .bind(self.key.id.as_str())
            .bind(self.fields.as_str())
            .bind(self.options.fork.as_ref().map(|fork| fork.of.as_str()))
            .bind(self.options.fork.as_ref().and_then(|fork| fork.at))
            .bind(self.options.fork.as_ref().map(|fork| fork.records_prefix.as_str()))
            .bind(messages.iter().map(|message| message.id.as_str()).collect::<Vec<_>>())
            // Those that came with an id may be stored, under whichever spelling.
            .bind(self.batch.messages().iter().map(|message| message.id_in_body).collect::<Vec<_>>())
            .bind(messages.iter().map(|message| message.body.as_str()).collect::<Vec<_>>())
            .bind(self.options.kind == AddKind::Create)
            .bind(self.options.kind == AddKind::Append || self.batch.precondition() == Precondition::Exists)
            .bind(self.batch.precondition().version())
            .bind(self.batch.idempotency_key().map(IdempotencyKey::stored))
            .bind(self.fingerprint.as_ref().map(RequestFingerprint::bytes))
            .bind(self.intent.has_intent())
            .bind(self.intent.epoch())
            .bind(self.intent.valid())
            .bind(self.intent.wants_window())
            .bind(CAPACITY)
            .bind(self.generation);
        if records.is_empty() { query } else { bind_records(query, records) }
    }
}

/// What it means that a write failed, which may be that the copy has one of its messages.
fn stays(failed: StatementError, batch: &Batch) -> Error {
    match failed.copied().and_then(|at| Some((at, batch.messages().get(at)?))) {
        Some((at, message)) => {
            Error::MessageStays { id: message.id.as_str().to_owned(), path: batch.path(at) }
        }
        None => failed.of_write(),
    }
}

/// What it means that there is no such conversation: to a caller who would have one created, that it is at no version.
fn absent(error: Error, kind: AddKind) -> Error {
    match error {
        Error::NotFound if kind != AddKind::Append => Error::VersionMismatch { version: 0 },
        error => error,
    }
}

fn fingerprint(batch: &Batch, options: &AddOptions) -> RequestFingerprint {
    let bodies = batch.request().into_iter().map(|message| canonical(&message.body));
    let (kind, position) = match &options.fork {
        None => (options.kind.name().to_owned(), None),
        Some(Fork { of, at, records_prefix }) => (format!("fork {of} {records_prefix}"), *at),
    };
    RequestFingerprint::of_request(&(kind + &batch.records().digest()), position, &options.fields, bodies)
}
