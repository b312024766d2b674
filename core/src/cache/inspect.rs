//! An entry as it lies there, for people to look at.

use super::client::Request;
use crate::types::error::CacheError;
use crate::types::inspection::{EntryState, IntentState, NextRead};
use crate::types::read::Miss;
use std::collections::{BTreeMap, HashMap};

use redis::Cmd;

use crate::types::conversation::{Conversation, ConversationKey};
use crate::types::page::Limit;
use crate::types::snapshot::Window;

use super::Cache;
use super::key::Keys;
use super::lookup::{self, Lookup, RawReply};

impl Cache {
    /// What lies under a conversation's keys, none if nothing does; its window; and what a reader would make of it.
    pub(crate) async fn inspect(
        &self,
        key: &ConversationKey,
    ) -> Result<(Option<EntryState>, Window, NextRead), CacheError> {
        let keys = self.keys(key);
        let commands =
            vec![Cmd::hgetall(&keys.entry), Cmd::lrange(&keys.messages, 0, -1), Cmd::llen(&keys.messages)];
        let seen = self.see(&keys, commands).await?;
        let (entry_ttl_ms, window_ttl_ms) = self.lifetimes(&keys).await?;
        let fields: HashMap<String, String> = seen.entry.iter().cloned().collect();
        let (mut window, mut foreign) = (Window::default(), 0);
        for element in &seen.elements {
            match lookup::window(vec![element.clone()]) {
                Some(one) => {
                    window.bare.extend(one.bare);
                    window.messages.extend(one.messages);
                }
                None => foreign += 1,
            }
        }
        let replication = seen.replication.as_deref().unwrap_or_default();
        let said = |field| lookup::field_of(replication, field).unwrap_or("hidden").to_owned();
        let length = seen.length.unwrap_or_default();
        let state = (!fields.is_empty() || length > 0).then(|| EntryState {
            window_length: length,
            window_first: window.seqs().next(),
            window_last: window.seqs().last(),
            window_bytes: seen.elements.iter().map(Vec::len).sum(),
            bare_elements: window.bare.len(),
            foreign_elements: foreign,
            entry_ttl_ms,
            window_ttl_ms,
            server: said("master_replid"),
            role: said("role"),
            ..entry(&fields, seen.now)
        });
        let newest = seen.elements.len().saturating_sub(Limit::MAX.get());
        let seen = RawReply { elements: seen.elements[newest..].to_vec(), ..seen };
        let next_read = match lookup::evaluate(seen, Some(Limit::MAX), None) {
            Lookup::Hit(cached) if cached.messages.is_none() => NextRead::Miss(Miss::Large),
            Lookup::Hit(_) => NextRead::Hit,
            Lookup::Deleted => NextRead::Deleted,
            Lookup::Miss(reason, _) => NextRead::Miss(reason),
        };
        Ok((state, window, next_read))
    }
}

impl Cache {
    /// How long entry and window live yet, in milliseconds.
    async fn lifetimes(&self, keys: &Keys) -> Result<(i64, i64), CacheError> {
        let commands = vec![Cmd::pttl(&keys.entry), Cmd::pttl(&keys.messages)];
        self.connection.ask_again(&Request::Transaction(commands), &keys.entry).await
    }
}

/// What the fields of an entry say.
fn entry(fields: &HashMap<String, String>, now: u64) -> EntryState {
    let number = |field: &str| fields.get(field).and_then(|text| text.parse::<i64>().ok());
    let age = |since: &str| now.cast_signed() - since.parse::<i64>().unwrap_or(0);
    let intents: BTreeMap<_, _> = fields.iter().filter(|(field, _)| field.starts_with("intent:")).collect();
    let conversation: Option<Conversation> =
        fields.get("conversation").and_then(|json| serde_json::from_str(json).ok());
    EntryState {
        epoch: number("epoch"),
        version: number("version"),
        first: number("first"),
        count: number("count"),
        validated_ms_ago: fields.get("validated_at").map(|made| age(made)),
        deleted_at_version: number("tombstone"),
        leased_ms_ago: fields.get("leased").map(|since| age(since)),
        intents: intents
            .into_iter()
            .map(|(name, since)| IntentState { name: name.clone(), set_ms_ago: age(since) })
            .collect(),
        held_for_server: fields.get("replid").cloned(),
        conversation,
        ..EntryState::default()
    }
}
