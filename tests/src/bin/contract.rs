//! `make contract`, and what `make check` asks of the contract.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use conversation_tests::contract::{Contract, Mismatch, Trial, attempt};

/// Holds the API and what is written of it against its contract.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compares its routes with the functions', the template's and the local ones, and the reference page with it.
    Check,
    /// Writes the reference page.
    Reference,
    /// Sends generated requests to an API of its own.
    Try {
        /// How many requests are generated for each operation; and how many sequences of them.
        #[arg(long, env = "MAX_EXAMPLES", default_value_t = 30)]
        max_examples: u32,
        /// Repeats the requests of an earlier run.
        #[arg(long, env = "SEED")]
        seed: Option<u32>,
    },
}

#[tokio::main]
#[expect(clippy::print_stderr, reason = "this is a program for the terminal")]
async fn main() -> ExitCode {
    match run(Arguments::parse().command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode, Mismatch> {
    let contract = Contract::load()?;
    match command {
        Command::Check => contract.check()?,
        Command::Reference => contract.write_reference()?,
        Command::Try { max_examples, seed } => {
            let seed = seed.unwrap_or_else(|| fastrand::u32(..1_000_000));
            let passed = attempt(Trial { max_examples, seed }).await?;
            return Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
    }
    Ok(ExitCode::SUCCESS)
}
