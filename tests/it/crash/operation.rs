//! What is done while something goes wrong.

use std::time::Duration;

use conversation_core::{
    Change, ContentType, ConversationFields, ConversationId, ConversationKey, ConversationStore, Error,
    ExportedConversation, ExportedMessage, Fork, Limit, MessageId, Metadata, NewConversation, OwnerId,
    Precondition, RecordBatch, RecordChange, RecordKey, RecordScope, RecordValue,
};
use conversation_tests::{Stack, batch, key, user_as};
use redis::AsyncCommands as _;
use tokio::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    AddNew,
    AddCold,
    AddWarm,
    AddWithoutWindow,
    AddAtVersion,
    UpdateCold,
    UpdateWarm,
    AddWithRecord,
    Replace,
    ReplaceWithRecord,
    PutRecord,
    Fork,
    Import,
    DeleteMessage,
    Delete,
    Erase,
    ReadCold,
}

impl Operation {
    pub(super) const ALL: [Self; 17] = [
        Self::AddNew,
        Self::AddCold,
        Self::AddWarm,
        Self::AddWithoutWindow,
        Self::AddAtVersion,
        Self::UpdateCold,
        Self::UpdateWarm,
        Self::AddWithRecord,
        Self::Replace,
        Self::ReplaceWithRecord,
        Self::PutRecord,
        Self::Fork,
        Self::Import,
        Self::DeleteMessage,
        Self::Delete,
        Self::Erase,
        Self::ReadCold,
    ];

    /// A conversation to do it to. An erasure takes all that an owner has.
    pub(super) fn key(self) -> ConversationKey {
        if self == Self::Erase { own_key() } else { key(&uuid::Uuid::now_v7().to_string()) }
    }

    /// Brings about what it needs to find.
    pub(super) async fn prepare(self, stack: &Stack, store: &ConversationStore, key: &ConversationKey) {
        if self == Self::AddNew {
            return;
        }
        if self == Self::Fork {
            let two = batch([user_as("m1", "one"), user_as("m2", "two")]);
            store.add(&origin(key), &two).await.unwrap();
            return;
        }
        if self == Self::Import {
            store.import(&exported(key), &[exported_message(1, "m1")], false).await.unwrap();
        } else {
            store.add(key, &batch([user_as("m1", "one"), user_as("m2", "two")])).await.unwrap();
        }
        // On a busy machine a step may exceed its time-out, and the next read mends it.
        let mut reads = 0;
        while !store.recent(key, Limit::MAX, None).await.unwrap().source.is_hit() {
            reads += 1;
            assert!(reads < 1_000, "it does not get warm");
        }
        let (entry, window) = keys_of(key);
        let gone: &[String] = match self {
            Self::AddCold | Self::UpdateCold | Self::ReadCold => &[entry, window],
            Self::AddWithoutWindow => &[window],
            _ => return,
        };
        stack.redis().await.del::<_, ()>(gone).await.unwrap();
    }

    pub(super) async fn perform(self, store: &ConversationStore, key: &ConversationKey) -> Result<(), Error> {
        match self {
            Self::AddNew | Self::AddCold | Self::AddWarm | Self::AddWithoutWindow => {
                store.add(key, &batch([user_as("m3", "three"), user_as("m4", "four")])).await.map(drop)
            }
            Self::AddAtVersion => {
                let messages = batch([user_as("m3", "three")]).only_if(Precondition::Version(1));
                store.add(key, &messages).await.map(drop)
            }
            Self::AddWithRecord => {
                let messages = batch([user_as("m3", "three")]).with_records(record());
                store.add(key, &messages).await.map(drop)
            }
            Self::ReplaceWithRecord => {
                let messages = batch([user_as("m3", "three")]).with_records(record());
                store.replace(key, 1, &messages).await.map(drop)
            }
            Self::PutRecord => {
                let scope = RecordScope::Conversation(key.clone());
                store.index().write_records(&scope, &record()).await.map(drop)
            }
            Self::Replace => store.replace(key, 1, &batch([user_as("m3", "three")])).await.map(drop),
            Self::Fork => match store.create(key.owner.clone(), copy(key)).await {
                // It is asked for again, and was made before.
                Err(Error::ConversationExists { version: 1 }) => Ok(()),
                made => made.map(drop),
            },
            Self::Import => store.import(&exported(key), &[exported_message(2, "m2")], true).await.map(drop),
            Self::UpdateCold | Self::UpdateWarm => store.update(key, &renamed()).await.map(drop),
            Self::DeleteMessage => {
                store.delete_message(key, &MessageId::new("m2").unwrap(), Precondition::None).await.map(drop)
            }
            Self::Delete => store.delete(key, Precondition::None).await.map(drop),
            Self::Erase => {
                let until = Instant::now() + Duration::from_secs(20);
                store.erase_owner(&key.owner, "owner", until).await.map(drop)
            }
            Self::ReadCold => store.recent(key, Limit::MAX, None).await.map(drop),
        }
    }
}

/// The name of the only conversation of an owner.
pub(super) fn own_key() -> ConversationKey {
    let id = uuid::Uuid::now_v7().to_string();
    ConversationKey { owner: OwnerId::new(format!("owner-{id}")).unwrap(), ..key(&id) }
}

/// The conversation that another one is a copy of.
pub(super) fn origin(key: &ConversationKey) -> ConversationKey {
    let id = format!("{}-origin", key.id);
    ConversationKey { id: ConversationId::new(id).unwrap(), ..key.clone() }
}

fn copy(key: &ConversationKey) -> NewConversation {
    NewConversation {
        id: Some(key.id.clone()),
        fields: ConversationFields::default(),
        fork: Some(Fork { of: origin(key).id, at: Some(2), records_prefix: String::new() }),
        messages: batch([user_as("m3", "three")]),
    }
}

/// A conversation of two messages, as an export has it.
fn exported(key: &ConversationKey) -> ExportedConversation {
    ExportedConversation {
        key: key.clone(),
        fields: ConversationFields::of(None, Metadata::default()),
        version: 2,
        last_seq: 2,
        message_count: 2,
        created_at: 1,
        updated_at: 1,
        last_message_at: Some(1),
        forked_from: None,
        forked_at: None,
        record_revision: 0,
        record_count: 0,
    }
}

fn exported_message(seq: i64, id: &str) -> ExportedMessage {
    ExportedMessage::new(seq, MessageId::new(id).unwrap(), 1, &user_as(id, "text")).unwrap()
}

/// A record that is written with the message m3.
fn record() -> RecordBatch {
    let value = RecordValue { bytes: b"three".into(), content_type: ContentType::text() };
    let change = RecordChange {
        key: RecordKey::new("m3").unwrap(),
        value: Some(value),
        precondition: Precondition::None,
    };
    RecordBatch::new(vec![change]).unwrap()
}

fn renamed() -> Change {
    Change::from(ConversationFields {
        title: Some(Some(conversation_core::Title::new("renamed").unwrap())),
        ..ConversationFields::default()
    })
}

pub(super) fn keys_of(key: &ConversationKey) -> (String, String) {
    let entry = format!("conversation:{{{}/{}}}", key.owner.as_str(), key.id);
    (entry.clone(), entry + ":messages")
}

/// How many requests each operation makes when nothing goes wrong: two to Redis and one to Postgres, as many again where
/// the first epoch is refused, one more to Postgres where a pending invalidation is struck off. An erasure counts those before
/// it, looks for what there is, registers, hides and ends.
pub(super) const REQUESTS: [u32; 17] = [3, 5, 3, 3, 3, 5, 3, 3, 4, 4, 1, 3, 3, 4, 4, 8, 4];
