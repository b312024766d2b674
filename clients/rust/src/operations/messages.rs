//! Messages: add, replace, list.

use hyper::Method;
use serde::Serialize;

use super::setters::{conditional, creating, keyed, upserting};
use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::models::condition::{Condition, Key, Match};
use crate::models::message::{AddedMessages, MessagePage};
use crate::models::raw::RawList;
use crate::models::record::Change;
use crate::operation::{ConditionalRead, Operation, Paged};
use crate::request::{Request, conversation};
use crate::response::Response;

/// [`Client::add_messages`].
#[derive(Debug, Serialize)]
pub struct AddMessages {
    #[serde(skip)]
    conversation_id: String,
    messages: RawList,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    records: Vec<Change>,
    #[serde(skip)]
    condition: Option<Condition>,
    #[serde(skip)]
    idempotency: Key,
}

/// [`Client::replace_messages`].
#[derive(Debug, Serialize)]
pub struct ReplaceMessages {
    #[serde(skip)]
    conversation_id: String,
    #[serde(skip)]
    after: u64,
    messages: RawList,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    records: Vec<Change>,
    #[serde(skip)]
    condition: Option<Condition>,
    #[serde(skip)]
    idempotency: Key,
}

/// [`Client::list_messages`].
#[derive(Clone, Debug)]
pub struct ListMessages {
    conversation_id: String,
    limit: Option<u32>,
    before: Option<u64>,
    after: Option<u64>,
    start_on: Option<String>,
    min_version: Option<u64>,
}

upserting!(AddMessages);
keyed!(AddMessages);
conditional!(ReplaceMessages);
keyed!(ReplaceMessages);

impl Client {
    /// Adds 1 to 100 messages in one commit. Creates the conversation if it is new.
    ///
    /// A message is anything that serialises to one of Chat Completions or of the AI SDK, or to an item. To send one to the byte, give a
    /// [`RawValue`](serde_json::value::RawValue).
    pub fn add_messages(
        &self,
        conversation_id: impl Into<String>,
        messages: impl IntoIterator<Item = impl Serialize>,
    ) -> Call<AddMessages> {
        self.call(AddMessages {
            conversation_id: conversation_id.into(),
            messages: RawList::of(messages),
            records: Vec::new(),
            condition: None,
            idempotency: Key::New,
        })
    }

    /// Replaces the messages after a position by others, or by none, in one commit: an edit, a compaction, or after 0 a clearing.
    pub fn replace_messages(&self, conversation_id: impl Into<String>, after: u64) -> Call<ReplaceMessages> {
        self.call(ReplaceMessages {
            conversation_id: conversation_id.into(),
            after,
            messages: RawList::default(),
            records: Vec::new(),
            condition: None,
            idempotency: Key::New,
        })
    }

    /// Reads the last messages, oldest first, or those next to a position.
    pub fn list_messages(&self, conversation_id: impl Into<String>) -> Call<ListMessages> {
        self.call(ListMessages {
            conversation_id: conversation_id.into(),
            limit: None,
            before: None,
            after: None,
            start_on: None,
            min_version: None,
        })
    }
}

impl Call<AddMessages> {
    /// Changes records in the same commit, up to 100.
    pub fn records(mut self, changes: impl IntoIterator<Item = Change>) -> Self {
        self.operation.records = changes.into_iter().collect();
        self
    }
}

impl Call<ReplaceMessages> {
    /// Sets the messages that come after the position, up to 100.
    pub fn messages(mut self, messages: impl IntoIterator<Item = impl Serialize>) -> Self {
        self.operation.messages = RawList::of(messages);
        self
    }

    /// Changes records in the same commit, up to 100.
    pub fn records(mut self, changes: impl IntoIterator<Item = Change>) -> Self {
        self.operation.records = changes.into_iter().collect();
        self
    }
}

impl Call<ListMessages> {
    /// Sets how many messages a page has, up to 100, which is the default.
    pub fn limit(mut self, limit: u32) -> Self {
        self.operation.limit = Some(limit);
        self
    }

    /// Reads the last messages before a position.
    pub fn before(mut self, seq: u64) -> Self {
        self.operation.before = Some(seq);
        self
    }

    /// Reads the first messages after a position; 0 is the beginning.
    pub fn after(mut self, seq: u64) -> Self {
        self.operation.after = Some(seq);
        self
    }

    /// Leaves out the messages at the beginning of a page before the first of this role, like `user`.
    pub fn start_on(mut self, role: impl Into<String>) -> Self {
        self.operation.start_on = Some(role.into());
        self
    }

    /// Reads this version or a later one: an earlier write or read returned it.
    pub fn min_version(mut self, version: u64) -> Self {
        self.operation.min_version = Some(version);
        self
    }
}

impl Operation for AddMessages {
    type Output = AddedMessages;

    fn request(&self) -> Result<Request, Error> {
        let path = conversation(&self.conversation_id, "/messages")?;
        let request = Request::new(Method::POST, path).json(self)?;
        Condition::add(self.condition, self.idempotency.add(request)?)
    }

    fn read(&self, response: &Response) -> Result<AddedMessages, Error> {
        response.json().map_err(Error::unexpected)
    }
}

impl Operation for ReplaceMessages {
    type Output = AddedMessages;

    fn request(&self) -> Result<Request, Error> {
        let path = conversation(&self.conversation_id, "/messages")?;
        let request = Request::new(Method::PUT, path).query("after", self.after).json(self)?;
        Condition::add(self.condition, self.idempotency.add(request)?)
    }

    fn read(&self, response: &Response) -> Result<AddedMessages, Error> {
        response.json().map_err(Error::unexpected)
    }
}

impl Operation for ListMessages {
    type Output = MessagePage;

    fn request(&self) -> Result<Request, Error> {
        let request = Request::new(Method::GET, conversation(&self.conversation_id, "/messages")?);
        Ok(request
            .query_if("limit", self.limit)
            .query_if("before", self.before)
            .query_if("after", self.after)
            .query_if("start_on", self.start_on.as_ref())
            .query_if("min_version", self.min_version))
    }

    fn read(&self, response: &Response) -> Result<MessagePage, Error> {
        let page: MessagePage = response.json().map_err(Error::unexpected)?;
        let version = response.etag().ok_or_else(|| Error::unexpected("no ETag"))?;
        Ok(MessagePage { version, ..page })
    }
}

impl ConditionalRead for ListMessages {}

impl Paged for ListMessages {
    fn following(&self, page: &MessagePage) -> Option<Self> {
        let (after, before) = match self.after {
            None => (None, Some(page.before?)),
            Some(_) => (Some(page.after), None),
        };
        page.has_more.then(|| Self { after, before, ..self.clone() })
    }
}
