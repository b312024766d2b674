//! What clients use: the store, or one of the protocols that it must be better than.

use conversation_core::{
    Batch, CacheUpdate, Change, Conversation, ConversationFields, ConversationIndex, ConversationKey,
    ConversationStore, Error, Fork, Limit, Message, MessageId, MessagePage, NewConversation, Precondition,
    Replaced, Source,
};

use crate::{Broken, Profile};

use super::baseline_protocols::Baseline;
use super::options::Protocol;
use super::record::{SHORT, Sight, hash_of, named, sight};

/// A client's own access to both stores, as a function has it.
pub(super) enum Subject {
    Store(ConversationStore),
    Baseline(Baseline),
}

impl Subject {
    pub(super) fn new(
        protocol: Protocol,
        profile: Profile,
        (database_url, redis_url): (&str, &str),
    ) -> Result<Self, Broken> {
        Ok(match protocol {
            Protocol::EpochFencing => Self::Store(profile.store_at(database_url, redis_url)),
            weaker => Self::Baseline(Baseline::new(weaker, database_url, redis_url)?),
        })
    }

    fn store(&self) -> &ConversationStore {
        match self {
            Self::Store(store) => store,
            Self::Baseline(weaker) => &weaker.durable,
        }
    }

    /// What needs no cache.
    pub(super) fn index(&self) -> &ConversationIndex {
        self.store().index()
    }

    /// Reads the newest messages.
    pub(super) async fn window(
        &mut self,
        key: &ConversationKey,
        short: bool,
        min_version: Option<i64>,
    ) -> Result<(Sight, Option<i64>, Source), Error> {
        let mut version = None;
        let (found, source) = match self {
            Self::Store(store) => {
                let limit = if short { limit(SHORT) } else { Limit::MAX };
                let read = store.recent(key, limit, min_version).await?;
                version = read.found.as_ref().map(|page| page.version);
                let messages = |page: MessagePage| page.items.iter().map(named).collect();
                (read.found.map(messages), read.source)
            }
            Self::Baseline(weaker) => weaker.read(key).await?,
        };
        let Some(messages) = found else { return Ok((Sight::Nothing, None, source)) };
        Ok((sight(&messages, short), version, source))
    }

    /// Reads what is known beside the messages.
    pub(super) async fn row(
        &self,
        key: &ConversationKey,
        min_version: Option<i64>,
    ) -> Result<(Sight, Source), Error> {
        let read = self.store().get(key, min_version).await?;
        let sight = |row: Conversation| Sight::Row(row.version, hash_of((row.title, row.message_count)));
        Ok((read.found.map_or(Sight::Nothing, sight), read.source))
    }

    pub(super) async fn add(
        &mut self,
        key: &ConversationKey,
        messages: &Batch,
    ) -> Result<(i64, CacheUpdate), Error> {
        let added = self.store().add(key, messages).await?;
        if let Self::Baseline(weaker) = self {
            weaker.publish(key, &added.messages.iter().map(named).collect::<Vec<_>>()).await;
        }
        Ok((added.conversation.version, added.cache_update))
    }

    /// The version, and the positions of the newest messages.
    pub(super) async fn positions(&self, key: &ConversationKey) -> Result<Option<(i64, Vec<i64>)>, Error> {
        let read = self.store().recent(key, limit(SHORT), None).await?;
        Ok(read.found.map(|page| (page.version, page.items.iter().map(Message::seq).collect())))
    }

    pub(super) async fn replace(
        &self,
        key: &ConversationKey,
        after: i64,
        messages: &Batch,
    ) -> Result<Replaced, Error> {
        self.store().replace(key, after, messages).await
    }

    /// Begins a conversation as a copy of another one.
    pub(super) async fn fork(&self, key: &ConversationKey, fork: Fork) -> Result<(i64, CacheUpdate), Error> {
        let new = NewConversation {
            id: Some(key.id.clone()),
            fields: ConversationFields::default(),
            fork: Some(fork),
            messages: Batch::initial(Vec::new())?,
        };
        let added = self.store().create(key.owner.clone(), new).await?;
        Ok((added.conversation.version, added.cache_update))
    }

    pub(super) async fn update(
        &self,
        key: &ConversationKey,
        change: &Change,
    ) -> Result<(i64, CacheUpdate), Error> {
        self.store()
            .update(key, change)
            .await
            .map(|changed| (changed.conversation.version, changed.cache_update))
    }

    pub(super) async fn delete_message(
        &self,
        key: &ConversationKey,
        id: &MessageId,
    ) -> Result<(i64, CacheUpdate), Error> {
        self.store()
            .delete_message(key, id, Precondition::None)
            .await
            .map(|changed| (changed.conversation.version, changed.cache_update))
    }

    pub(super) async fn delete(&self, key: &ConversationKey) -> Result<CacheUpdate, Error> {
        self.store().delete(key, Precondition::None).await
    }
}

fn limit(count: usize) -> Limit {
    i64::try_from(count).ok().and_then(|count| Limit::new(count).ok()).unwrap_or(Limit::MAX)
}
