//! The command line of the conversation store. Everything that it reads and writes beside the stores is here: files of
//! lines, the tables of other stores, and what a person sees.

mod arguments;
mod check;
mod erase;
mod export;
mod from;
mod import;
mod inspect;
mod progress;
mod source;
mod terminal;

pub use check::{Check, check};
pub use erase::{Erase, Erasures, erase, erasures};
pub use export::{Export, export};
pub use from::Kind;
pub use import::{Import, import};
pub use inspect::{Inspect, inspect};
pub use terminal::describe;
