//! `make chaos`: real servers, real faults, and every read held against the history.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use conversation_tests::Profile;
use conversation_tests::chaos::{Options, Protocol, run};

/// Clients read and write while everything goes wrong that may; then every read is checked.
#[derive(Parser)]
struct Arguments {
    /// For how many seconds things go wrong.
    #[arg(long, env = "DURATION", default_value_t = 60)]
    duration: u64,
    /// Replays the choices of an earlier run.
    #[arg(long, env = "SEED")]
    seed: Option<u64>,
    /// What keeps Redis and Postgres together.
    #[arg(long, env = "PROTOCOL", default_value = "epoch-fencing")]
    protocol: Protocol,
    /// With what kind of cache.
    #[arg(long, env = "PROFILE", default_value = "plain")]
    profile: Profile,
    /// How many clients there are.
    #[arg(long, default_value_t = 8)]
    clients: usize,
}

#[tokio::main]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program for the terminal")]
async fn main() -> ExitCode {
    let Arguments { duration, seed, protocol, profile, clients } = Arguments::parse();
    let seed = seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("{protocol:?}, {profile:?}, {clients} clients, {duration} s, SEED={seed}");
    let options = Options { protocol, profile, duration: Duration::from_secs(duration), seed, clients };
    match run(&options).await {
        Ok(report) => {
            print!("{report}");
            let missing = report.missing();
            for missing in &missing {
                println!("The run proves little: it did not see {missing}.");
            }
            if report.is_right() && missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
