//! `conversation-store`: exports and imports conversations, inspects the stores, and checks a deployment.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use conversation_cli::{
    Check, Erase, Erasures, Export, Import, Inspect, check, describe, erase, erasures, export, import,
    inspect,
};
use conversation_core::LogConfig;
use tracing_subscriber::filter::LevelFilter;

/// Exports and imports conversations, inspects the stores, and checks a deployment.
///
/// Uses the same stores and settings as the functions: DATABASE_URL for Postgres; REDIS_URL, and if needed REDIS_CLUSTER,
/// REDIS_CA_FILE and CACHE_KEY_PREFIX, for Redis.
#[derive(Parser)]
#[command(name = "conversation-store", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Export(Export),
    Import(Import),
    Inspect(Inspect),
    Erase(Erase),
    Erasures(Erasures),
    Check(Check),
    /// Prints completions of commands and options for a shell.
    ///
    /// bash: conversation-store completions bash > ~/.local/share/bash-completion/completions/conversation-store
    Completions {
        /// The shell.
        shell: Shell,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match start_logging() {
        Ok(()) => run(Arguments::parse().command).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&describe(&error));
            ExitCode::from(2)
        }
    }
}

/// Runs a command. Returns whether it found no problem.
async fn run(command: Command) -> Result<bool> {
    match command {
        Command::Export(what) => export(what).await.map(|()| true),
        Command::Import(what) => import(&what).await,
        Command::Inspect(what) => inspect(what).await,
        Command::Erase(what) => erase(&what).await.map(|()| true),
        Command::Erasures(what) => erasures(&what).await.map(|()| true),
        Command::Check(what) => check(&what).await,
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Arguments::command(),
                "conversation-store",
                &mut io::stdout(),
            );
            Ok(true)
        }
    }
}

/// Logs to standard error, from the level in `LOG_LEVEL` on.
fn start_logging() -> Result<()> {
    let level = LogConfig::from_env_or("warn")?.level;
    let level: LevelFilter =
        level.parse().with_context(|| format!("LOG_LEVEL is not a level: it is {level:?}"))?;
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
    Ok(())
}

#[expect(clippy::print_stderr, reason = "this is a program for the terminal")]
fn complain(line: &str) {
    eprintln!("error: {line}");
}
