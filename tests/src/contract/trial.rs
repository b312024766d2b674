//! `make contract`: requests generated from the contract, and every answer held against it.

use std::process::Command;

use conversation_local::{Wheels, workspace};

use super::{Contract, Mismatch};
use crate::{Stack, report};

/// How much is tried, and from where the choices come.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// How many requests are generated for each operation, and how many sequences of them.
    pub max_examples: u32,
    /// Repeats the choices.
    pub seed: u32,
}

/// Tries an API of its own; whether all answers were as the contract has them.
///
/// # Errors
/// What tries it cannot be installed or run.
pub async fn attempt(trial: Trial) -> Result<bool, Mismatch> {
    let python = tokio::task::spawn_blocking(|| Wheels::TESTS.python()).await??;
    let stack = Stack::start().await;
    let api = stack.api().await;
    report(&format!("MAX_EXAMPLES={} SEED={}", trial.max_examples, trial.seed));
    let folder = workspace().join("tests/contract");
    let mut examples = Command::new(&python);
    examples.arg(folder.join("examples.py")).arg(Contract::file());
    let mut run = Command::new(python.with_file_name("schemathesis"));
    run.arg("--config-file").arg(folder.join("schemathesis.toml")).arg("run").arg(Contract::file());
    run.args(["--url", &api.url()])
        .args(["--max-examples", &trial.max_examples.to_string(), "--seed", &trial.seed.to_string()])
        .env("SCHEMATHESIS_HOOKS", folder.join("hooks.py"));
    let passed = tokio::task::spawn_blocking(move || {
        let passed = [examples.status()?.success(), run.status()?.success()];
        Ok::<_, std::io::Error>(passed == [true, true])
    });
    let passed = passed.await??;
    let errors: Vec<_> = api.log().lines().filter(|line| line.contains("ERROR")).map(str::to_owned).collect();
    for line in errors.iter().take(10) {
        report(line);
    }
    Ok(passed)
}
