//! Conversations: create, read, list, change, delete.

use std::collections::BTreeMap;

use hyper::Method;
use serde::Serialize;

use super::filter::Filter;
use super::setters::{conditional, creating, filtered, keyed};
use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::models::condition::{Condition, Key, Match, Order};
use crate::models::conversation::{Archived, Conversation, ConversationPage};
use crate::models::raw::RawList;
use crate::models::record::Change;
use crate::operation::{ConditionalRead, Operation, Paged};
use crate::request::{Request, conversation};
use crate::response::Response;

const CONVERSATIONS: &str = "/v1/conversations";

/// [`Client::create_conversation`].
#[derive(Debug, Default, Serialize)]
pub struct CreateConversation {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archived: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<RawList>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<RawList>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    records: Vec<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fork_of: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records_prefix: Option<String>,
    #[serde(skip)]
    condition: Option<Condition>,
    #[serde(skip)]
    idempotency: Key,
}

/// [`Client::get_conversation`].
#[derive(Clone, Debug)]
pub struct GetConversation {
    id: String,
    min_version: Option<u64>,
}

/// [`Client::list_conversations`].
#[derive(Clone, Debug, Default)]
pub struct ListConversations {
    filter: Filter,
    limit: Option<u32>,
    order: Option<Order>,
    after: Option<String>,
    before: Option<String>,
}

/// [`Client::update_conversation`].
#[derive(Debug, Serialize)]
pub struct UpdateConversation {
    #[serde(skip)]
    id: String,
    /// None leaves it as it is, and so does None of the other fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Option<BTreeMap<String, String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archived: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_after: Option<Option<u64>>,
    #[serde(skip)]
    condition: Option<Condition>,
    #[serde(skip)]
    idempotency: Key,
}

/// [`Client::delete_conversation`].
#[derive(Debug)]
pub struct DeleteConversation {
    id: String,
    condition: Option<Condition>,
}

filtered!(ListConversations);
creating!(CreateConversation);
keyed!(CreateConversation);
conditional!(UpdateConversation);
keyed!(UpdateConversation);
conditional!(DeleteConversation);

impl Client {
    /// Creates a conversation, optionally with first messages, items or records, or as a copy of another one.
    pub fn create_conversation(&self) -> Call<CreateConversation> {
        self.call(CreateConversation::default())
    }

    /// Reads a conversation.
    pub fn get_conversation(&self, id: impl Into<String>) -> Call<GetConversation> {
        self.call(GetConversation { id: id.into(), min_version: None })
    }

    /// Lists the owner's conversations by their last change, newest first; by default those that are not archived.
    pub fn list_conversations(&self) -> Call<ListConversations> {
        self.call(ListConversations::default())
    }

    /// Changes the title, the metadata, whether it is archived, or when it expires.
    pub fn update_conversation(&self, id: impl Into<String>) -> Call<UpdateConversation> {
        self.call(UpdateConversation {
            id: id.into(),
            title: None,
            metadata: None,
            archived: None,
            expires_after: None,
            condition: None,
            idempotency: Key::New,
        })
    }

    /// Deletes a conversation with its messages and records. Its id is not used again.
    pub fn delete_conversation(&self, id: impl Into<String>) -> Call<DeleteConversation> {
        self.call(DeleteConversation { id: id.into(), condition: None })
    }
}

impl Call<CreateConversation> {
    /// Sets the id; without it the store gives one.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.operation.id = Some(id.into());
        self
    }

    /// Sets the title.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.operation.title = Some(title.into());
        self
    }

    /// Sets the metadata, up to 16 pairs.
    pub fn metadata(
        mut self,
        pairs: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Self {
        self.operation.metadata = Some(texts(pairs));
        self
    }

    /// Sets whether it is archived, so that lists leave it out.
    pub fn archived(mut self, archived: bool) -> Self {
        self.operation.archived = Some(archived);
        self
    }

    /// Lets it expire after so many seconds without a change, from 60 to 315,360,000.
    pub fn expires_after(mut self, seconds: u64) -> Self {
        self.operation.expires_after = Some(seconds);
        self
    }

    /// Adds the first messages, up to 100.
    pub fn messages(mut self, messages: impl IntoIterator<Item = impl Serialize>) -> Self {
        self.operation.messages = Some(RawList::of(messages));
        self
    }

    /// Adds the first items, up to 20, in the place of messages.
    pub fn items(mut self, items: impl IntoIterator<Item = impl Serialize>) -> Self {
        self.operation.items = Some(RawList::of(items));
        self
    }

    /// Stores records in the same commit, up to 100.
    pub fn records(mut self, changes: impl IntoIterator<Item = Change>) -> Self {
        self.operation.records = changes.into_iter().collect();
        self
    }

    /// Begins with a copy of another conversation: of its messages and records, and of its title, its metadata and the time after which it
    /// expires unless they are set here.
    pub fn fork_of(mut self, id: impl Into<String>) -> Self {
        self.operation.fork_of = Some(id.into());
        self
    }

    /// Copies the messages up to this position; without it all.
    pub fn at(mut self, seq: u64) -> Self {
        self.operation.at = Some(seq);
        self
    }

    /// Copies the records whose keys begin with this; without it all.
    pub fn records_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.operation.records_prefix = Some(prefix.into());
        self
    }
}

impl Call<GetConversation> {
    /// Reads this version or a later one: an earlier write or read returned it.
    pub fn min_version(mut self, version: u64) -> Self {
        self.operation.min_version = Some(version);
        self
    }
}

impl Call<ListConversations> {
    /// Sets how many conversations a page has, up to 100; by default 20.
    pub fn limit(mut self, limit: u32) -> Self {
        self.operation.limit = Some(limit);
        self
    }

    /// Sets the order; by default the newest are first.
    pub fn order(mut self, order: Order) -> Self {
        self.operation.order = Some(order);
        self
    }

    /// Lists what follows a page, whose `after` this is.
    pub fn after(mut self, cursor: impl Into<String>) -> Self {
        self.operation.after = Some(cursor.into());
        self
    }

    /// Lists what precedes a page, whose `before` this is.
    pub fn before(mut self, cursor: impl Into<String>) -> Self {
        self.operation.before = Some(cursor.into());
        self
    }
}

impl Call<UpdateConversation> {
    /// Sets the title.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.operation.title = Some(Some(title.into()));
        self
    }

    /// Removes the title.
    pub fn no_title(mut self) -> Self {
        self.operation.title = Some(None);
        self
    }

    /// Sets the metadata, which replaces the old.
    pub fn metadata(
        mut self,
        pairs: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Self {
        self.operation.metadata = Some(Some(texts(pairs)));
        self
    }

    /// Removes the metadata.
    pub fn no_metadata(mut self) -> Self {
        self.operation.metadata = Some(None);
        self
    }

    /// Sets whether it is archived, so that lists leave it out.
    pub fn archived(mut self, archived: bool) -> Self {
        self.operation.archived = Some(archived);
        self
    }

    /// Lets it expire after so many seconds without a change, from 60 to 315,360,000.
    pub fn expires_after(mut self, seconds: u64) -> Self {
        self.operation.expires_after = Some(Some(seconds));
        self
    }

    /// Removes the time after which it expires.
    pub fn no_expires_after(mut self) -> Self {
        self.operation.expires_after = Some(None);
        self
    }
}

impl Operation for CreateConversation {
    type Output = Conversation;

    fn request(&self) -> Result<Request, Error> {
        let request = Request::new(Method::POST, CONVERSATIONS).json(self)?;
        Condition::add(self.condition, self.idempotency.add(request)?)
    }

    fn read(&self, response: &Response) -> Result<Conversation, Error> {
        response.json().map_err(Error::unexpected)
    }
}

impl Operation for GetConversation {
    type Output = Conversation;

    fn request(&self) -> Result<Request, Error> {
        let request = Request::new(Method::GET, conversation(&self.id, "")?);
        Ok(request.query_if("min_version", self.min_version))
    }

    fn read(&self, response: &Response) -> Result<Conversation, Error> {
        response.json().map_err(Error::unexpected)
    }
}

impl ConditionalRead for GetConversation {}

impl Operation for ListConversations {
    type Output = ConversationPage;

    fn request(&self) -> Result<Request, Error> {
        let filtered = self.filter.add(Request::new(Method::GET, CONVERSATIONS));
        Ok(filtered
            .query_if("limit", self.limit)
            .query_if("order", self.order)
            .query_if("after", self.after.as_ref())
            .query_if("before", self.before.as_ref()))
    }

    fn read(&self, response: &Response) -> Result<ConversationPage, Error> {
        response.json().map_err(Error::unexpected)
    }
}

impl Paged for ListConversations {
    fn following(&self, page: &ConversationPage) -> Option<Self> {
        let (after, before) = match self.before {
            None => (Some(page.after.clone()?), None),
            Some(_) => (None, Some(page.before.clone()?)),
        };
        page.has_more.then(|| Self { after, before, ..self.clone() })
    }
}

impl Operation for UpdateConversation {
    type Output = Conversation;

    fn request(&self) -> Result<Request, Error> {
        let request = Request::new(Method::POST, conversation(&self.id, "")?).json(self)?;
        Condition::add(self.condition, self.idempotency.add(request)?)
    }

    fn read(&self, response: &Response) -> Result<Conversation, Error> {
        response.json().map_err(Error::unexpected)
    }
}

impl Operation for DeleteConversation {
    type Output = ();

    fn request(&self) -> Result<Request, Error> {
        Condition::add(self.condition, Request::new(Method::DELETE, conversation(&self.id, "")?))
    }

    fn read(&self, _: &Response) -> Result<(), Error> {
        Ok(())
    }
}

fn texts(
    pairs: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}
