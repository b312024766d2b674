//! `conversation-store`: moves conversations in and out, and shows what the stores hold of one.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use conversation_cli::{Check, Export, Import, Inspect, Outcome, check, export, import, inspect};
use conversation_core::LogConfig;
use tracing_subscriber::filter::LevelFilter;

/// Moves conversations in and out of a conversation store, and shows what it holds.
///
/// The stores are those that the functions use: DATABASE_URL names Postgres; REDIS_URL, and where they are needed
/// REDIS_CLUSTER, REDIS_CA_FILE and CACHE_KEY_PREFIX, name Redis.
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
    Check(Check),
    /// Prints what a shell needs to complete commands and options.
    ///
    /// bash: conversation-store completions bash > ~/.local/share/bash-completion/completions/conversation-store
    Completions {
        /// The shell.
        shell: Shell,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match start_logging() {
        Ok(()) => run(Arguments::parse().command).await,
        Err(trouble) => Err(trouble),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(trouble) => {
            complain(&trouble.to_string());
            ExitCode::from(2)
        }
    }
}

/// Does what was asked; whether all was as it should be.
async fn run(command: Command) -> Outcome<bool> {
    match command {
        Command::Export(what) => export(what).await.map(|()| true),
        Command::Import(what) => import(&what).await,
        Command::Inspect(what) => inspect(what).await,
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

/// Warnings go to standard error; `LOG_LEVEL` says from which level on.
fn start_logging() -> Outcome<()> {
    let level = LogConfig::from_env_or("warn")?.level;
    let level: LevelFilter = level
        .parse()
        .map_err(|_| conversation_cli::Trouble::new(format!("LOG_LEVEL is not a level: it is {level:?}")))?;
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
