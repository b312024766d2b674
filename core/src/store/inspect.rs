//! Both stores side by side, for people to look at.

use crate::types::inspection::{EntryState, Inspection, IntentState, LargestOwners, RowState};
use std::collections::BTreeMap;

use crate::database::{Counters, Found};
use crate::types::conversation::{Conversation, ConversationKey};
use crate::types::error::Error;
use crate::types::snapshot::Window;

use super::{ConversationIndex, ConversationStore};

/// How often both are read at most until the entry is the same before and after the row.
const LOOKS: u32 = 5;

impl ConversationIndex {
    /// The owners with the most messages, at most so many, and what all owners have together. Reads every conversation's row.
    ///
    /// # Errors
    /// [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn largest_owners(&self, limit: u32) -> Result<LargestOwners, Error> {
        self.database.largest_owners(limit.into()).await
    }
}

impl ConversationStore {
    /// Reads what both stores hold of a conversation and compares it. Changes nothing.
    ///
    /// # Errors
    /// [`Error::CacheUnavailable`], [`Error::DatabaseUnavailable`] or [`Error::Database`].
    pub async fn inspect(&self, key: &ConversationKey) -> Result<Inspection, Error> {
        let mut before = self.cache.inspect(key).await?;
        for look in 1.. {
            let (row, messages) = self.row(key).await?;
            let after = self.cache.inspect(key).await?;
            let same = before.1 == after.1 && timeless(before.0.as_ref()) == timeless(after.0.as_ref());
            if same || look == LOOKS {
                let (entry, window, next_read) = after;
                let differences = differences(row.as_ref(), &messages, entry.as_ref(), &window);
                return Ok(Inspection {
                    postgres: row,
                    redis: entry,
                    next_read,
                    differences,
                    in_motion: !same,
                });
            }
            before = after;
        }
        Err(Error::NotFound)
    }

    /// Drops the cached copy of a conversation, so that the next read goes to Postgres. Never wrong: as if Redis had had
    /// no room for it.
    ///
    /// # Errors
    /// [`Error::CacheUnavailable`].
    pub async fn evict(&self, key: &ConversationKey) -> Result<(), Error> {
        Ok(self.cache.invalidate(key).await?)
    }

    async fn row(&self, key: &ConversationKey) -> Result<(Option<RowState>, Window), Error> {
        let Some(counters) = self.database().counters(key).await? else {
            return Ok((None, Window::default()));
        };
        let Counters { last_seq, pending_invalidation, positions_to_remove, records, record_bytes } =
            counters;
        match self.database().read(key, false).await? {
            Found::Absent => Ok((None, Window::default())),
            Found::Deleted(version) => {
                let row = RowState {
                    deleted: true,
                    version,
                    last_seq,
                    pending_invalidation,
                    positions_to_remove,
                    records,
                    record_bytes,
                    ..RowState::default()
                };
                Ok((Some(row), Window::default()))
            }
            Found::Live(snapshot) => {
                let window = snapshot.window.unwrap_or_default();
                let row = RowState {
                    deleted: false,
                    version: snapshot.conversation.version,
                    epoch: Some(snapshot.epoch),
                    last_seq,
                    pending_invalidation,
                    positions_to_remove,
                    records,
                    record_bytes,
                    conversation: Some(snapshot.conversation),
                    window_first: window.seqs().next(),
                    window_last: window.seqs().last(),
                    window_length: window.seqs().count(),
                };
                Ok((Some(row), window))
            }
        }
    }
}

/// An entry without what changes by itself as time goes by.
fn timeless(entry: Option<&EntryState>) -> Option<EntryState> {
    let entry = entry?.clone();
    let intents =
        entry.intents.iter().map(|intent| IntentState { set_ms_ago: 0, ..intent.clone() }).collect();
    let (validated_ms_ago, leased_ms_ago) =
        (entry.validated_ms_ago.map(|_| 0), entry.leased_ms_ago.map(|_| 0));
    Some(EntryState { intents, validated_ms_ago, leased_ms_ago, entry_ttl_ms: 0, window_ttl_ms: 0, ..entry })
}

fn differences(
    row: Option<&RowState>,
    messages: &Window,
    entry: Option<&EntryState>,
    window: &Window,
) -> Vec<String> {
    let Some(entry) = entry else { return Vec::new() };
    let mut found = Vec::new();
    let is_live = row.is_some_and(|row| !row.deleted);
    if entry.deleted_at_version.is_some() {
        if is_live {
            found.push("Redis says that it was deleted, Postgres has it".into());
        }
        return found;
    }
    if !is_live {
        if entry.conversation.is_some() || *window != Window::default() {
            found.push("Redis has it, Postgres has not".into());
        }
        return found;
    }
    let Some(row) = row else { return found };
    if entry.epoch > row.epoch {
        found.push(format!(
            "epoch: Redis knows {}, Postgres is at {}",
            number(entry.epoch),
            number(row.epoch)
        ));
    }
    if entry.conversation.is_some() && entry.conversation != row.conversation {
        found.extend(of_conversation(row, entry));
    }
    if entry.foreign_elements > 0 {
        found.push(format!("window: {} elements are no messages", entry.foreign_elements));
    }
    if entry.conversation.is_some() || *window != Window::default() {
        found.extend(of_windows(messages, window));
    }
    found
}

fn of_conversation(row: &RowState, entry: &EntryState) -> Vec<String> {
    let fields = |conversation: &Option<Conversation>| {
        let value = serde_json::to_value(conversation).unwrap_or_default();
        value.as_object().cloned().unwrap_or_default()
    };
    let (postgres, redis) = (fields(&row.conversation), fields(&entry.conversation));
    let differing = postgres.iter().filter(|(name, value)| redis.get(*name) != Some(value));
    let differences = differing.map(|(name, value)| {
        format!("{name}: Redis has {}, Postgres {value}", redis.get(name).unwrap_or(&serde_json::Value::Null))
    });
    differences.collect()
}

/// Positions that only one of them has, and those where they have different messages.
/// Where one has a position alone, nothing is known of the message.
fn of_windows(messages: &Window, window: &Window) -> Vec<String> {
    let by_seq = |window: &Window| -> BTreeMap<i64, Option<String>> {
        let bare = window.bare.iter().map(|seq| (*seq, None));
        let messages = window.messages.iter().map(|message| (message.seq(), Some(message.json().to_owned())));
        bare.chain(messages).collect()
    };
    let (postgres, redis) = (by_seq(messages), by_seq(window));
    let of =
        |what: &str, seqs: Vec<i64>| (!seqs.is_empty()).then(|| format!("window: {what} {}", ranges(&seqs)));
    let only = |these: &BTreeMap<i64, _>, others: &BTreeMap<i64, _>| {
        these.keys().filter(|seq| !others.contains_key(*seq)).copied().collect()
    };
    let is_other =
        |json: &Option<String>, other: &Option<String>| json.is_some() && other.is_some() && json != other;
    let differing =
        postgres.iter().filter(|(seq, json)| redis.get(*seq).is_some_and(|other| is_other(json, other)));
    [
        of("Redis lacks", only(&postgres, &redis)),
        of("only Redis has", only(&redis, &postgres)),
        of("Redis has another message at", differing.map(|(seq, _)| *seq).collect()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// `1-3, 7`
fn ranges(seqs: &[i64]) -> String {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for &seq in seqs {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == seq => *last = seq,
            _ => ranges.push((seq, seq)),
        }
    }
    let text = |(first, last): &(i64, i64)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn number(number: Option<i64>) -> String {
    number.map_or_else(|| "none".to_owned(), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::message::Message;

    #[test]
    fn windows_differ_by_position() {
        let message = |seq: &i64| Message::assemble(*seq, None, 1, "{}");
        let of = |bare: &[i64], seqs: &[i64]| Window {
            bare: bare.to_vec(),
            messages: seqs.iter().map(message).collect(),
        };
        let mut window = of(&[2], &[9]);
        window.messages.push(Message::assemble(3, None, 2, "{}"));
        assert_eq!(
            of_windows(&of(&[1], &[2, 3, 5]), &window),
            [
                "window: Redis lacks 1, 5",
                "window: only Redis has 9",
                "window: Redis has another message at 3"
            ]
        );
    }
}
