//! Runs the conversation store on this machine.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use conversation_local::{Host, Settings, run, supervise, test};

/// Runs the conversation store on this machine.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sets up and serves the API on private servers until Ctrl-C.
    Run(Settings),
    /// Serves the same through `cargo lambda watch`, which rebuilds functions when their code is saved.
    Watch(Settings),
    /// Sets up and runs all tests.
    Test {
        /// Arguments for `cargo test`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Runs a command until standard input ends.
    #[command(hide = true)]
    Supervise {
        #[arg(long)]
        signal: String,
        #[arg(long)]
        remove: Option<PathBuf>,
        #[arg(last = true)]
        command: Vec<OsString>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    execute(Arguments::parse().command).await.unwrap_or_else(|error| {
        complain(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

async fn execute(command: Command) -> Result<ExitCode> {
    match command {
        Command::Run(settings) => run(settings, Host::Processes).await.map(|()| ExitCode::SUCCESS),
        Command::Watch(settings) => run(settings, Host::CargoLambda).await.map(|()| ExitCode::SUCCESS),
        Command::Test { arguments } => {
            let passed = test(&arguments)?;
            Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Supervise { signal, remove, command } => supervise(&signal, remove.as_deref(), &command),
    }
}

#[expect(clippy::print_stderr, reason = "this is a program for the terminal")]
fn complain(line: &str) {
    eprintln!("error: {line}");
}
