//! Lists of records, and how records are found.

use hyper::Method;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::models::condition::Order;
use crate::models::record::{RecordPage, Scope};
use crate::operation::{Operation, Paged};
use crate::request::{Request, conversation};
use crate::response::Response;

/// [`Client::list_records`].
#[derive(Clone, Debug)]
pub struct ListRecords {
    scope: Scope,
    keys: Vec<String>,
    prefixes: Vec<String>,
    after: Option<String>,
    order: Option<Order>,
    limit: Option<u32>,
    values: bool,
}

impl ListRecords {
    /// All records.
    fn all(scope: Scope) -> Self {
        let (after, order, limit, values) = (None, None, None, false);
        Self { scope, keys: Vec::new(), prefixes: Vec::new(), after, order, limit, values }
    }

    /// One record, with its value.
    pub(super) fn one(scope: Scope, key: String) -> Self {
        Self { keys: vec![key], values: true, ..Self::all(scope) }
    }
}

/// The path of the records of a scope.
pub(super) fn records(scope: &Scope) -> Result<String, Error> {
    match scope {
        Scope::Conversation(id) => conversation(id, "/records"),
        Scope::Owner => Ok("/v1/records".to_owned()),
    }
}

impl Client {
    /// Lists records in the order of the bytes of their keys; of a conversation that is not there, none.
    pub fn list_records(&self, scope: impl Into<Scope>) -> Call<ListRecords> {
        self.call(ListRecords::all(scope.into()))
    }
}

impl Call<ListRecords> {
    /// Lists the record of this key, and what other calls of this method and of [`prefix`](Self::prefix) name.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.operation.keys.push(key.into());
        self
    }

    /// Lists the records whose keys begin with this, and what other calls of this method and of [`key`](Self::key) name.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.operation.prefixes.push(prefix.into());
        self
    }

    /// Lists what comes behind a key in the order, like the `last_id` of a page.
    pub fn after(mut self, key: impl Into<String>) -> Self {
        self.operation.after = Some(key.into());
        self
    }

    /// Sets the order; by default it is ascending.
    pub fn order(mut self, order: Order) -> Self {
        self.operation.order = Some(order);
        self
    }

    /// Sets how many records a page has, up to 1,000; by default 100.
    pub fn limit(mut self, limit: u32) -> Self {
        self.operation.limit = Some(limit);
        self
    }

    /// Lists the values as well. A page may then end early.
    pub fn values(mut self) -> Self {
        self.operation.values = true;
        self
    }
}

impl Operation for ListRecords {
    type Output = RecordPage;

    fn request(&self) -> Result<Request, Error> {
        let mut request = Request::new(Method::GET, records(&self.scope)?);
        for (name, values) in [("key", &self.keys), ("prefix", &self.prefixes)] {
            request = values.iter().fold(request, |request, value| request.query(name, value));
        }
        Ok(request
            .query_if("after", self.after.as_ref())
            .query_if("order", self.order)
            .query_if("limit", self.limit)
            .query_if("values", self.values.then_some(true)))
    }

    fn read(&self, response: &Response) -> Result<RecordPage, Error> {
        response.json().map_err(Error::unexpected)
    }
}

impl Paged for ListRecords {
    fn following(&self, page: &RecordPage) -> Option<Self> {
        let after = Some(page.last_id.clone().filter(|_| page.has_more)?);
        Some(Self { after, ..self.clone() })
    }
}
