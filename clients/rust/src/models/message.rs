//! Messages and items, as they are stored.

use serde::{Deserialize, Serialize, Serializer};

use super::raw::Stored;
use super::record::Written;

/// A stored message: the JSON that its writer sent, to the byte, with the `id`, `seq` and `created_at` of the store.
///
/// It is kept as text, since parsing would lose what the store keeps: the order of keys, the spelling of numbers, and strings that were
/// cut through a character. It can be written back as it is: it serialises to the same JSON.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Message(Stored);

/// An item: a message, or a part of one, in the form of the OpenAI Conversations API.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Item(Stored);

impl Message {
    /// Returns its id: its writer's, or one from the store.
    pub fn id(&self) -> &str {
        &self.0.head.id
    }

    /// Returns its position in the conversation, from 1. The position is the order.
    pub fn seq(&self) -> u64 {
        self.0.head.seq
    }

    /// Returns when it was added, in Unix seconds.
    pub fn created_at(&self) -> u64 {
        self.0.head.created_at
    }

    /// Returns its JSON, to the byte.
    pub fn json(&self) -> &str {
        self.0.json.get()
    }

    /// Parses it.
    ///
    /// # Errors
    /// It is not a `T`.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> serde_json::Result<T> {
        serde_json::from_str(self.json())
    }
}

impl Item {
    /// Returns its id.
    pub fn id(&self) -> &str {
        &self.0.head.id
    }

    /// Returns its type, like `message` or `function_call`.
    pub fn kind(&self) -> &str {
        &self.0.head.kind
    }

    /// Returns its JSON.
    pub fn json(&self) -> &str {
        self.0.json.get()
    }

    /// Parses it.
    ///
    /// # Errors
    /// It is not a `T`.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> serde_json::Result<T> {
        serde_json::from_str(self.json())
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.json.serialize(serializer)
    }
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.json.serialize(serializer)
    }
}

/// Messages, oldest first.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct MessagePage {
    /// The messages.
    pub data: Vec<Message>,
    /// Whether there are more in the direction of the page; without `before` and `after`, older ones.
    pub has_more: bool,
    /// The position for older messages; None if there are none.
    pub before: Option<u64>,
    /// The position for newer messages, also where there are none yet.
    pub after: u64,
    /// The version of the conversation that this is of. Pages belong together if it is the same.
    #[serde(default)]
    pub version: u64,
}

/// Items, newest first unless another order was asked for, or those that were added.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ItemPage {
    /// The items.
    pub data: Vec<Item>,
    /// Whether there are more in the order of the list, or whether not all that were added fit into the answer.
    pub has_more: bool,
    /// The id of the first item.
    pub first_id: Option<String>,
    /// The id of the last item, which begins the next page.
    pub last_id: Option<String>,
    /// The version of the conversation that this is of.
    #[serde(default)]
    pub version: u64,
}

/// Messages and records as they are stored, after a write.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct AddedMessages {
    /// The conversation's id.
    pub id: String,
    /// The conversation's new version.
    pub version: u64,
    /// The messages. Of a request that was done before, those that were not deleted since.
    pub data: Vec<Message>,
    /// How many messages were replaced.
    #[serde(default)]
    pub deleted: u64,
    /// What was done of the changes of records, in their order.
    #[serde(default)]
    pub records: Vec<Written>,
}
