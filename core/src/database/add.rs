//! Adds messages, and finds what stands in the way of those that were sent before.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;

use super::error::StatementError;
use super::rows::{AddOutcome, Added, Commit, added, only, select_snapshot};
use super::{AddOptions, CAPACITY, Database, Precondition};
use crate::types::conversation::ConversationKey;
use crate::types::error::Error;
use crate::types::idempotency::{IdempotencyKey, Part, RequestFingerprint};
use crate::types::json::canonical;
use crate::types::message::{Batch, MessageId, NewMessage, join};
use crate::types::snapshot::IntentOutcome;

const ADD: &str = select_snapshot!(
    "a.outcome, a.row_epoch, a.stored_ids, a.stored_seqs, a.stored_ats, a.stored_bodies, ",
    "(a.s).",
    "add_messages($1, $2, $3, $4::text::json, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) a"
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
        let add = Add { key, batch, options, intent, fields, fingerprint, generation: self.generation() };
        let mut messages = Cow::Borrowed(batch.messages());
        loop {
            let rows = match self.rows(add.query(&messages)).await {
                Ok(rows) => rows,
                Err(failed) => {
                    return Err(self.keyed(failed, key, add.fingerprint.as_ref(), Some(batch)).await);
                }
            };
            match added(&only(rows)?, &messages, batch)? {
                AddOutcome::Commit(commit) => return Ok(commit),
                // Spelt as they are stored, they are found to be there.
                AddOutcome::Spelt(stored) => messages = Cow::Owned(batch.as_stored(&stored)?),
            }
        }
    }

    /// What it means that a write failed which may have been done under an idempotency key: where the key stands for another
    /// request, in what that differs.
    pub(super) async fn keyed(
        &self,
        failed: StatementError,
        key: &ConversationKey,
        fingerprint: Option<&RequestFingerprint>,
        batch: Option<&Batch>,
    ) -> Error {
        #[derive(Deserialize)]
        struct First {
            fingerprint: String,
            message_ids: Vec<String>,
        }
        let first =
            failed.idempotency_conflict().and_then(|detail| serde_json::from_str::<First>(detail).ok());
        let (Some(first), Some(ours)) = (first, fingerprint) else { return failed.of_write() };
        // Postgres breaks lines in base64.
        let theirs = STANDARD.decode(first.fingerprint.replace('\n', "")).unwrap_or_default();
        let path = match (ours.differs_at(&theirs), batch) {
            (Some(Part::Title), _) => "title".to_owned(),
            (Some(Part::Metadata), _) => "metadata".to_owned(),
            (Some(Part::Message(at)), Some(batch)) => {
                let id = first.message_ids.get(at).and_then(|id| MessageId::new(id.as_str()).ok());
                self.path_of_difference(key, batch, at, id).await
            }
            _ => String::new(),
        };
        Error::IdempotencyConflict { path }
    }

    async fn path_of_difference(
        &self,
        key: &ConversationKey,
        batch: &Batch,
        at: usize,
        first: Option<MessageId>,
    ) -> String {
        let stored = match first {
            // That it cannot be read makes the path shorter.
            Some(id) => self.message(key, &id).await.ok().flatten(),
            None => None,
        };
        let sent = batch.messages().get(at);
        let inner = sent.zip(stored).and_then(|(sent, stored)| batch.compare(&sent.body, stored.json()));
        join(&batch.path(at), &inner.unwrap_or_default())
    }
}

impl Add<'_> {
    fn query<'q>(&'q self, messages: &'q [NewMessage]) -> Query<'q, Postgres, PgArguments> {
        sqlx::query(ADD)
            .bind(self.key.owner.shard())
            .bind(self.key.owner.as_str())
            .bind(self.key.id.as_str())
            .bind(self.fields.as_str())
            .bind(messages.iter().map(|message| message.id.as_str()).collect::<Vec<_>>())
            // Those that came with an id may be stored, under whichever spelling.
            .bind(self.batch.messages().iter().map(|message| message.id_in_body).collect::<Vec<_>>())
            .bind(messages.iter().map(|message| message.body.as_str()).collect::<Vec<_>>())
            .bind(self.options.precondition == Precondition::MustNotExist)
            .bind(self.options.precondition == Precondition::MustExist)
            .bind(self.batch.idempotency_key().map(IdempotencyKey::as_str))
            .bind(self.fingerprint.as_ref().map(RequestFingerprint::bytes))
            .bind(self.intent.has_intent())
            .bind(self.intent.epoch())
            .bind(self.intent.valid())
            .bind(self.intent.wants_window())
            .bind(CAPACITY)
            .bind(self.generation)
    }
}

fn fingerprint(batch: &Batch, options: &AddOptions) -> RequestFingerprint {
    let bodies = batch.messages().iter().map(|message| canonical(&message.body));
    RequestFingerprint::of_request(options.precondition.name(), &options.fields, bodies)
}
