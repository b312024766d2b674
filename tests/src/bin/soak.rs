//! `make soak`: traffic for a while on the functions as they are deployed, with faults; nothing lost, nothing growing.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use conversation_tests::soak::{Options, run};

/// Sends mixed traffic that waits for nobody while connections and servers fail, then reads everything back.
#[derive(Parser)]
struct Arguments {
    /// For how many minutes.
    #[arg(long, env = "MINUTES", default_value_t = 10.0)]
    minutes: f64,
    /// How many requests a second.
    #[arg(long, env = "RATE", default_value_t = 100.0)]
    rate: f64,
    /// Replays the choices of an earlier run.
    #[arg(long, env = "SEED")]
    seed: Option<u64>,
}

#[tokio::main]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program for the terminal")]
async fn main() -> ExitCode {
    let Arguments { minutes, rate, seed } = Arguments::parse();
    let seed = seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("{minutes} minutes, {rate} requests a second, SEED={seed}");
    let here = std::env::current_exe().ok();
    let Some(binaries) = here.as_deref().and_then(std::path::Path::parent) else { return ExitCode::FAILURE };
    let duration = Duration::from_secs_f64(minutes * 60.0);
    let target = conversation_local::workspace().join("target");
    let metrics = target.join("soak-metrics.ndjson");
    match run(&Options { duration, rate, seed, binaries: binaries.to_owned(), metrics }).await {
        Ok(report) => {
            print!("{report}");
            let file = target.join("soak.json");
            if let Err(error) = std::fs::write(&file, format!("{:#}\n", report.json())) {
                eprintln!("error: {}: {error}", file.display());
                return ExitCode::FAILURE;
            }
            if report.troubles().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
