//! The Lambda functions of the conversation store. Each binary is one function, which answers a few operations; what they
//! share is here.

mod http;
mod operations;
mod outcome;
mod serve;
mod startup;
mod telemetry;

pub use http::{
    AddOperation, ApiRequest, ApiResponse, DeleteOperation, Failure, GetOperation, HttpEvent, ItemId,
    ListOperation, Operation, ROUTES, RecentOperation, RecordsOperation, Route, UpdateOperation,
};
pub use operations::{Health, add, delete, get, list, recent, records, update};
pub use serve::{on_event, serve, start_logging};
pub use startup::{StartupError, exit, open_index, open_store};
pub use telemetry::SweepMetrics;
