//! Private Postgres and Valkey servers, and a front that behaves as API Gateway and Lambda do: what a developer's machine
//! needs to run and test the conversation store.
//!
//! Everything started here stops with the program that started it, also when that is killed.

mod authorizer;
mod cargo;
mod certificates;
mod console;
mod cors;
mod endpoint;
mod folders;
mod gateway;
mod invocations;
mod lambda;
mod postgres;
mod routes;
mod run;
mod stores;
mod supervisor;
mod terminal;
mod test;
mod tools;
mod valkey;
mod visitors;
mod watch;
mod wheels;

pub use authorizer::Authorizer;
pub use cargo::{build, without_cargo_variables};
pub use certificates::Certificates;
pub use console::console;
pub use folders::{function_names, workspace};
pub use gateway::Gateway;
pub use lambda::{Functions, InvokeError, Lambda, LambdaSettings, Start};
pub use postgres::Postgres;
pub use routes::{DEFAULT_FUNCTION, Routes};
pub use run::{Host, Settings, run};
pub use supervisor::{Supervised, supervise};
pub use test::test;
pub use tools::Tools;
pub use valkey::Valkey;
pub use wheels::{Wheels, lambda_emulator};
