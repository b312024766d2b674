//! HTTP: requests, responses, routes, and what went wrong in the caller's words.

mod body;
mod etag;
mod event;
mod failure;
mod identity;
mod item;
mod list;
mod record;
mod request;
mod response;
mod route;

pub(crate) use body::{ITEMS, MESSAGES, read_body, string};
pub use event::HttpEvent;
pub use failure::Failure;
pub use item::ItemId;
pub(crate) use item::{Calls, Item, Items, difference, is_reference};
pub(crate) use list::{enveloped, fit, list};
pub(crate) use record::{RECORDS, key_of_query, record_batch, record_json, written_field, written_json};
pub use request::ApiRequest;
pub(crate) use request::{called, one_direction};
pub use response::ApiResponse;
pub(crate) use response::{LambdaResponse, VERSION};
pub use route::{
    AddOperation, DeleteOperation, GetOperation, ListOperation, Operation, ROUTES, RecentOperation,
    RecordsOperation, Route, UpdateOperation,
};
