//! HTTP: requests, responses, routes, and what went wrong in the caller's words.

mod body;
mod event;
mod failure;
mod identity;
mod item;
mod list;
mod request;
mod response;
mod route;

pub(crate) use body::{Fields, ITEMS, MESSAGES, from_json, of_items, string};
pub use event::HttpEvent;
pub use failure::Failure;
pub(crate) use item::Item;
pub(crate) use list::{enveloped, fit, list};
pub use request::ApiRequest;
pub(crate) use request::{called, one_direction};
pub use response::ApiResponse;
pub(crate) use response::LambdaResponse;
pub use route::{AddOperation, DeleteOperation, GetOperation, Operation, ROUTES, RecentOperation, Route};
