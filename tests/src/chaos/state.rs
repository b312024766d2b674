//! Records in a run: some are written with messages, and one is a counter that all clients increment.

use std::sync::atomic::{AtomicU64, Ordering};

use conversation_core::{
    Batch, ContentType, Invalid, OwnerId, Precondition, RecordBatch, RecordChange, RecordKey, RecordScope,
    RecordValue,
};
use sqlx::{PgConnection, Row as _};

use crate::{Broken, OWNER};

use super::check::Violation;

/// What the id of a message ends with that is stored together with a record of that key.
pub(super) const WITH_RECORD: char = 'r';
/// The key of the counter.
pub(super) const COUNTER: &str = "counter";

/// What became of the increments.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) begun: AtomicU64,
    pub(super) done: AtomicU64,
    pub(super) refused: AtomicU64,
}

/// The same messages, with a record for each of those that are to have one.
pub(super) fn with_records(messages: Batch, ids: &[String]) -> Batch {
    let marked = ids.iter().filter(|id| id.ends_with(WITH_RECORD));
    let records = marked.map(|id| stored(id, id, Precondition::None)).collect::<Result<_, Invalid>>();
    // Each of these names is a key, and none stands twice.
    messages.with_records(records.and_then(RecordBatch::new).unwrap_or_default())
}

pub(super) fn stored(key: &str, value: &str, precondition: Precondition) -> Result<RecordChange, Invalid> {
    let value = RecordValue { bytes: value.into(), content_type: ContentType::text() };
    Ok(RecordChange { key: RecordKey::new(key)?, value: Some(value), precondition })
}

/// The owner's own records.
pub(super) fn scope() -> Result<RecordScope, Invalid> {
    OwnerId::new(OWNER).map(RecordScope::Owner)
}

pub(super) fn number(text: &[u8]) -> u64 {
    String::from_utf8_lossy(text).parse().unwrap_or(0)
}

/// What is wrong with the records in the end: one without its message or a message without its record, and increments that were lost or
/// done twice.
pub(super) async fn check(connection: &mut PgConnection, tally: &Tally) -> Result<Vec<Violation>, Broken> {
    // A message may have been deleted since; a fork has none of the records.
    let query =
        "select c.conversation_id, coalesce(h.message_id, r.key) as name, r.key is null as lacks_record
        from (select distinct conversation, message_id from history where message_id like '%r') h
            full join (select scope_key, key from records where key like '%r') r
                on r.scope_key = h.conversation and r.key = h.message_id
            join conversations c on c.key = coalesce(h.conversation, r.scope_key)
        where c.deleted_at is null and c.forked_from is null and (h.message_id is null or r.key is null)";
    let mut violations = Vec::new();
    for row in sqlx::query(query).fetch_all(&mut *connection).await? {
        let (conversation, name): (String, String) = (row.try_get("conversation_id")?, row.try_get("name")?);
        let what = if row.try_get("lacks_record")? {
            "a message without its record"
        } else {
            "a record without its message"
        };
        violations.push(Violation { conversation, what: format!("{name} is {what}") });
    }
    let counter = sqlx::query_scalar::<_, Vec<u8>>("select value from records where key = $1").bind(COUNTER);
    let counted = number(&counter.fetch_optional(connection).await?.unwrap_or_default());
    let of = |number: &AtomicU64| number.load(Ordering::SeqCst);
    let (least, most) = (of(&tally.done), of(&tally.begun) - of(&tally.refused));
    if !(least..=most).contains(&counted) {
        let what = format!("{counted} was counted, after {least} to {most} increments");
        violations.push(Violation { conversation: COUNTER.into(), what });
    }
    Ok(violations)
}
