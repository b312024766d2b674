//! The conversation store tried as a whole, on real servers.
#![allow(missing_docs, reason = "tests say what they show by their names")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is how a test fails")]

mod boundaries;
mod cache;
mod changes;
mod chaos;
mod cluster;
mod contract;
mod crash;
mod crowd;
mod examples;
mod herd;
mod http;
mod input;
mod lambda;
mod long;
mod lossless;
mod lua;
mod openai;
mod openai_items;
mod openai_sdks;
mod outage;
mod plans;
mod redis_servers;
mod run;
mod start;
mod sweep;
mod writes;
