//! HTTP: requests, responses, routes, and what went wrong in the caller's words.

mod body;
mod etag;
mod event;
mod failure;
mod identity;
mod item;
mod list;
mod request;
mod response;
mod route;

pub(crate) use body::{ITEMS, MESSAGES, read_body, string};
pub use event::HttpEvent;
pub use failure::Failure;
pub use item::ItemId;
pub(crate) use item::{Calls, Item, Items, difference, is_reference};
pub(crate) use list::{enveloped, fit, list};
pub use request::ApiRequest;
pub(crate) use request::{called, one_direction};
pub use response::ApiResponse;
pub(crate) use response::LambdaResponse;
pub use route::{
    AddOperation, DeleteOperation, GetOperation, Operation, ROUTES, RecentOperation, Route, UpdateOperation,
};
