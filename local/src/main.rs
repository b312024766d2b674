//! Runs the conversation store on this machine.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use conversation_local::{Settings, guard, run, test};

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
    Run {
        /// The port of 127.0.0.1 to listen on.
        #[arg(long, env = "PORT", default_value_t = 9000)]
        port: u16,
        /// Where data and logs are kept.
        #[arg(long, env = "LOCAL_DIR", default_value = ".local")]
        folder: PathBuf,
        /// A Postgres of your own instead of a private one.
        #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
        database_url: Option<String>,
        /// A Redis of your own instead of a private one.
        #[arg(long, env = "REDIS_URL", hide_env_values = true)]
        redis_url: Option<String>,
    },
    /// Sets up and runs all tests.
    Test {
        /// Passed on to `cargo test`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Runs a command until standard input ends.
    #[command(hide = true)]
    Guard {
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
    let outcome = match Arguments::parse().command {
        Command::Run { port, folder, database_url, redis_url } => {
            let given = |url: Option<String>| url.filter(|url| !url.is_empty());
            let settings =
                Settings { port, folder, database_url: given(database_url), redis_url: given(redis_url) };
            run(settings).await.map(|()| ExitCode::SUCCESS)
        }
        Command::Test { arguments } => {
            test(&arguments).map(|passed| if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Guard { signal, remove, command } => guard(&signal, remove.as_deref(), &command),
    };
    outcome.unwrap_or_else(|trouble| {
        complain(&trouble.to_string());
        ExitCode::FAILURE
    })
}

#[expect(clippy::print_stderr, reason = "this is a program for the terminal")]
fn complain(line: &str) {
    eprintln!("error: {line}");
}
