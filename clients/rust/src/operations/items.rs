//! Items: add, list, read, delete.

use hyper::Method;
use serde::Serialize;

use super::setters::{conditional, keyed};
use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::models::condition::{Condition, Key, Match, Order};
use crate::models::conversation::Conversation;
use crate::models::message::{Item, ItemPage};
use crate::models::raw::RawList;
use crate::operation::{ConditionalRead, Operation, Paged};
use crate::request::{Request, conversation, item};
use crate::response::Response;

/// [`Client::add_items`].
#[derive(Debug, Serialize)]
pub struct AddItems {
    #[serde(skip)]
    conversation_id: String,
    items: RawList,
    #[serde(skip)]
    condition: Option<Condition>,
    #[serde(skip)]
    idempotency: Key,
}

/// [`Client::list_items`].
#[derive(Clone, Debug)]
pub struct ListItems {
    conversation_id: String,
    limit: Option<u32>,
    order: Option<Order>,
    after: Option<String>,
    min_version: Option<u64>,
}

/// [`Client::get_item`].
#[derive(Clone, Debug)]
pub struct GetItem {
    conversation_id: String,
    id: String,
}

/// [`Client::delete_item`].
#[derive(Debug)]
pub struct DeleteItem {
    conversation_id: String,
    id: String,
    condition: Option<Condition>,
}

conditional!(AddItems);
keyed!(AddItems);
conditional!(DeleteItem);

impl Client {
    /// Adds 1 to 20 items to a conversation that exists, in one commit.
    pub fn add_items(
        &self,
        conversation_id: impl Into<String>,
        items: impl IntoIterator<Item = impl Serialize>,
    ) -> Call<AddItems> {
        let (condition, idempotency) = (None, Key::New);
        let items = RawList::of(items);
        self.call(AddItems { conversation_id: conversation_id.into(), items, condition, idempotency })
    }

    /// Lists the items of a conversation, newest first.
    pub fn list_items(&self, conversation_id: impl Into<String>) -> Call<ListItems> {
        let (limit, order, after, min_version) = (None, None, None, None);
        self.call(ListItems { conversation_id: conversation_id.into(), limit, order, after, min_version })
    }

    /// Reads one item.
    pub fn get_item(&self, conversation_id: impl Into<String>, id: impl Into<String>) -> Call<GetItem> {
        self.call(GetItem { conversation_id: conversation_id.into(), id: id.into() })
    }

    /// Deletes one message, by its id or that of its only item. Returns the conversation without it.
    pub fn delete_item(&self, conversation_id: impl Into<String>, id: impl Into<String>) -> Call<DeleteItem> {
        self.call(DeleteItem { conversation_id: conversation_id.into(), id: id.into(), condition: None })
    }
}

impl Call<ListItems> {
    /// Sets how many items a page has, up to 100; by default 20.
    pub fn limit(mut self, limit: u32) -> Self {
        self.operation.limit = Some(limit);
        self
    }

    /// Sets the order; by default the newest are first.
    pub fn order(mut self, order: Order) -> Self {
        self.operation.order = Some(order);
        self
    }

    /// Lists what follows an item in the order, like the `last_id` of a page.
    pub fn after(mut self, id: impl Into<String>) -> Self {
        self.operation.after = Some(id.into());
        self
    }

    /// Reads this version or a later one: an earlier write or read returned it.
    pub fn min_version(mut self, version: u64) -> Self {
        self.operation.min_version = Some(version);
        self
    }
}

impl Operation for AddItems {
    type Output = ItemPage;

    fn request(&self) -> Result<Request, Error> {
        let path = conversation(&self.conversation_id, "/items")?;
        let request = Request::new(Method::POST, path).json(self)?;
        Condition::add(self.condition, self.idempotency.add(request)?)
    }

    fn read(&self, response: &Response) -> Result<ItemPage, Error> {
        page(response)
    }
}

impl Operation for ListItems {
    type Output = ItemPage;

    fn request(&self) -> Result<Request, Error> {
        let request = Request::new(Method::GET, conversation(&self.conversation_id, "/items")?);
        Ok(request
            .query_if("limit", self.limit)
            .query_if("order", self.order)
            .query_if("after", self.after.as_ref())
            .query_if("min_version", self.min_version))
    }

    fn read(&self, response: &Response) -> Result<ItemPage, Error> {
        page(response)
    }
}

impl ConditionalRead for ListItems {}

impl Paged for ListItems {
    fn following(&self, page: &ItemPage) -> Option<Self> {
        let after = Some(page.last_id.clone().filter(|_| page.has_more)?);
        Some(Self { after, ..self.clone() })
    }
}

impl Operation for GetItem {
    type Output = Item;

    fn request(&self) -> Result<Request, Error> {
        Ok(Request::new(Method::GET, item(&self.conversation_id, &self.id)?))
    }

    fn read(&self, response: &Response) -> Result<Item, Error> {
        response.json().map_err(Error::unexpected)
    }
}

impl ConditionalRead for GetItem {}

impl Operation for DeleteItem {
    type Output = Conversation;

    fn request(&self) -> Result<Request, Error> {
        Condition::add(self.condition, Request::new(Method::DELETE, item(&self.conversation_id, &self.id)?))
    }

    fn read(&self, response: &Response) -> Result<Conversation, Error> {
        response.json().map_err(Error::unexpected)
    }
}

fn page(response: &Response) -> Result<ItemPage, Error> {
    let page: ItemPage = response.json().map_err(Error::unexpected)?;
    let version = response.etag().ok_or_else(|| Error::unexpected("no ETag"))?;
    Ok(ItemPage { version, ..page })
}
