//! Replaces the end of a conversation.

use super::records::bind_records;
use super::rows::{Commit, Replaced, only, replaced, select_snapshot};
use super::{CAPACITY, Database};
use crate::types::conversation::{ConversationFields, ConversationKey};
use crate::types::error::Error;
use crate::types::idempotency::{IdempotencyKey, RequestFingerprint};
use crate::types::json::canonical;
use crate::types::message::Batch;
use crate::types::snapshot::IntentOutcome;

const REPLACE: &str = select_snapshot!(
    "r.outcome, r.row_epoch, r.removed, r.stored_ids, r.stored_seqs, r.stored_ats, r.stored_bodies, null::bigint[] as record_revisions, ",
    "(r.s).",
    "replace_messages($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) r"
);
const REPLACE_WITH_RECORDS: &str = select_snapshot!(
    "r.outcome, r.row_epoch, r.removed, r.stored_ids, r.stored_seqs, r.stored_ats, r.stored_bodies, r.record_revisions, ",
    "(r.s).",
    "replace_messages_and_records($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) r"
);

impl Database {
    /// Replaces all messages after a position. Done: the conversation with the new ones; none if there is no such.
    pub(crate) async fn replace(
        &self,
        key: &ConversationKey,
        after: i64,
        batch: &Batch,
        intent: IntentOutcome,
    ) -> Result<Commit<Option<Replaced>>, Error> {
        let fingerprint = batch.idempotency_key().map(|_| fingerprint(after, batch));
        let messages = batch.messages();
        let records = batch.records();
        let query = sqlx::query(if records.is_empty() { REPLACE } else { REPLACE_WITH_RECORDS })
            .bind(key.owner.shard())
            .bind(key.owner.as_str())
            .bind(key.id.as_str())
            .bind(after)
            .bind(messages.iter().map(|message| message.id.as_str()).collect::<Vec<_>>())
            .bind(messages.iter().map(|message| message.id_in_body).collect::<Vec<_>>())
            .bind(messages.iter().map(|message| message.body.as_str()).collect::<Vec<_>>())
            .bind(batch.precondition().version())
            .bind(batch.idempotency_key().map(IdempotencyKey::stored))
            .bind(fingerprint.as_ref().map(RequestFingerprint::bytes))
            .bind(intent.has_intent())
            .bind(intent.epoch())
            .bind(CAPACITY)
            .bind(self.generation());
        let query = if records.is_empty() { query } else { bind_records(query, records) };
        match self.rows(query).await {
            Ok(rows) => replaced(&only(rows)?, batch),
            Err(failed) => Err(Self::request_failed(failed, fingerprint.as_ref(), batch)),
        }
    }
}

fn fingerprint(after: i64, batch: &Batch) -> RequestFingerprint {
    let bodies = batch.request().into_iter().map(|message| canonical(&message.body));
    let kind = format!("replace{}", batch.records().digest());
    RequestFingerprint::of_request(&kind, Some(after), &ConversationFields::default(), bodies)
}
