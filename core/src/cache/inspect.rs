//! An entry as it lies there, for people to look at.

use std::collections::{BTreeMap, HashMap};

use redis::Cmd;

use crate::conversation::{Conversation, ConversationKey};
use crate::message::Message;
use crate::page::Limit;
use crate::store::{EntryState, FenceState, NextRead};

use super::look::{self, Look, Seen};
use super::request::Request;
use super::{Cache, CacheError};

/// The replies of a look, and how long entry and window live yet.
type Replies = (String, (u64, u64), HashMap<String, String>, usize, Vec<Vec<u8>>, i64, i64);

impl Cache {
    /// What lies under a conversation's keys, none if nothing does; its window; and what a reader would make of it.
    pub(crate) async fn inspect(
        &self,
        key: &ConversationKey,
    ) -> Result<(Option<EntryState>, Vec<Message>, NextRead), CacheError> {
        let keys = self.keys(key);
        let request = Request::Transaction(vec![
            redis::cmd("INFO").arg("replication").take(),
            redis::cmd("TIME"),
            Cmd::hgetall(&keys.entry),
            Cmd::llen(&keys.messages),
            Cmd::lrange(&keys.messages, 0, -1),
            Cmd::pttl(&keys.entry),
            Cmd::pttl(&keys.messages),
        ]);
        let replies: Replies = self.connection.ask(&request, &keys.entry).await?;
        let (replication, time, fields, length, elements, entry_ttl, window_ttl) = replies;
        let now = time.0 * 1_000 + time.1 / 1_000;
        let window: Vec<Message> =
            elements.iter().filter_map(|element| Message::from_element(element.clone())).collect();
        let state = (!fields.is_empty() || length > 0).then(|| EntryState {
            window_length: length,
            window_first: window.first().map(Message::seq),
            window_last: window.last().map(Message::seq),
            window_bytes: elements.iter().map(Vec::len).sum(),
            foreign_elements: length - window.len(),
            entry_ttl_ms: entry_ttl,
            window_ttl_ms: window_ttl,
            server: look::field_of(&replication, "master_replid").unwrap_or("hidden").to_owned(),
            role: look::field_of(&replication, "role").unwrap_or("hidden").to_owned(),
            ..entry(&fields, now)
        });
        let newest = elements.len().saturating_sub(Limit::MAX.get());
        let entry = fields.into_iter().collect();
        let seen =
            Seen { replication, time, entry, elements: elements[newest..].to_vec(), length: Some(length) };
        let next_read = match look::judge(seen, Some(Limit::MAX), None) {
            Look::Hit(_) => NextRead::Hit,
            Look::Gone => NextRead::Gone,
            Look::Miss(reason, _) => NextRead::Miss(reason),
        };
        Ok((state, window, next_read))
    }
}

/// What the fields of an entry say.
fn entry(fields: &HashMap<String, String>, now: u64) -> EntryState {
    let number = |field: &str| fields.get(field).and_then(|text| text.parse::<i64>().ok());
    let age = |since: &str| now.cast_signed() - since.parse::<i64>().unwrap_or(0);
    let fences: BTreeMap<_, _> = fields.iter().filter(|(field, _)| field.starts_with("fence:")).collect();
    let conversation: Option<Conversation> =
        fields.get("conversation").and_then(|json| serde_json::from_str(json).ok());
    EntryState {
        epoch: number("epoch"),
        version: number("version"),
        first: number("first"),
        count: number("count"),
        certified_for_ms: number("certified").map(|until| until - now.cast_signed()),
        gone_at_version: number("gone"),
        leased_ms_ago: fields.get("leased").map(|since| age(since)),
        fences: fences
            .into_iter()
            .map(|(name, since)| FenceState { name: name.clone(), set_ms_ago: age(since) })
            .collect(),
        held_for_server: fields.get("replid").cloned(),
        conversation,
        ..EntryState::default()
    }
}
