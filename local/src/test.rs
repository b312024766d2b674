//! `make test`: every test of the workspace, and at the end how many ran, against which servers.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::cargo::without_cargo_variables;
use crate::folders::workspace;
use crate::terminal::say;
use crate::tools::Tools;

/// How many tests passed, failed and were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u32,
    failed: u32,
    skipped: u32,
    /// How many of the skipped ones libtest is yet to report as passed.
    skipped_as_passed: u32,
}

/// Runs `cargo test` for the whole workspace, with further arguments. Returns whether all tests passed.
///
/// # Errors
/// The tools cannot be set up, or cargo cannot be run.
pub fn test(arguments: &[String]) -> Result<bool> {
    let tools = Tools::ready()?;
    let mut cargo = Command::new(env!("CARGO"));
    without_cargo_variables(&mut cargo);
    // The binaries and the examples in documentation have no tests of their own.
    cargo
        .args(["test", "--workspace", "--lib", "--test", "it", "--no-fail-fast"])
        .args(arguments)
        .current_dir(workspace());
    let mut cargo = cargo.stdout(Stdio::piped()).spawn().context("cannot run cargo test")?;
    let mut count = Count::default();
    if let Some(output) = cargo.stdout.take() {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            count.add(&line);
            say(&line);
        }
    }
    let status = cargo.wait().context("cannot run cargo test")?;
    let (postgres, valkey) = tools.versions();
    say(&format!("\nTests ran against PostgreSQL {postgres} and Valkey {valkey}."));
    say(&format!("{} passed, {} failed, {} skipped", count.passed, count.failed, count.skipped));
    Ok(status.success() && count.passed > 0)
}

impl Count {
    /// Adds the numbers in a line: libtest's `test result: ok. 3 passed; 0 failed; 1 ignored; ...`, or a test's own `skipped: ...`,
    /// which libtest counts as passed.
    fn add(&mut self, line: &str) {
        if line.starts_with("skipped: ") {
            self.skipped += 1;
            self.skipped_as_passed += 1;
        }
        let Some(result) = line.strip_prefix("test result: ") else { return };
        let number = |what: &str| {
            let part = result.split(['.', ';']).find(|part| part.ends_with(what));
            part.and_then(|part| part.trim().split(' ').next()?.parse::<u32>().ok()).unwrap_or(0)
        };
        self.passed += number(" passed");
        self.failed += number(" failed");
        self.skipped += number(" ignored");
        self.passed -= std::mem::take(&mut self.skipped_as_passed).min(self.passed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_up() {
        let mut count = Count::default();
        for line in [
            "running 4 tests",
            "skipped: a_test: there is no redis-server",
            "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s",
            "test result: ok. 10 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.1s",
        ] {
            count.add(line);
        }
        assert_eq!((count.passed, count.failed, count.skipped), (12, 1, 3));
    }
}
