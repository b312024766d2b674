//! The conversation store tried as a whole, on real servers.
#![allow(missing_docs, reason = "tests say what they show by their names")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "this is how a test fails")]

mod boundaries;
mod cache;
mod changes;
mod chaos;
mod cli;
mod cluster;
mod console;
mod contract;
mod crash;
mod crowd;
mod decoders;
mod duplicates;
mod emulator;
mod examples;
mod herd;
mod http;
mod iam;
mod idempotency;
mod input;
mod lambda;
mod listing;
mod long;
mod lossless;
mod lua;
mod migrate;
mod openai;
mod openai_items;
mod openai_sdks;
mod outage;
mod owners;
mod plans;
mod pooler;
mod postgres_tls;
mod rds_roots;
mod recording;
mod redis_servers;
mod run;
mod sizes;
mod start;
mod sweep;
mod telemetry;
mod writes;
