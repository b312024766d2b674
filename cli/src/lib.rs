//! The command line of the conversation store. Everything that it reads and writes beside the stores is here: the lines of an
//! export, the tables of other stores, and what a person sees.

mod arguments;
mod check;
mod export;
mod from;
mod import;
mod inspect;
pub mod line;
mod progress;
mod source;
mod terminal;

pub use check::{Check, check};
pub use export::{Export, export};
pub use from::Kind;
pub use import::{Import, import};
pub use inspect::{Inspect, inspect};
pub use terminal::describe;
