//! What a person at the terminal sees.

use std::time::Duration;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

/// Prints a line.
#[expect(clippy::print_stdout, reason = "this is a program for the terminal")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// Shows a spinner while something runs, and a line with its duration when it has succeeded.
pub(crate) fn step<T>(what: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    let bar = spinner(what);
    let result = run();
    finish(&bar, what, result.is_ok());
    result
}

/// Shows the same for a future.
pub(crate) async fn step_async<T>(what: &str, run: impl Future<Output = Result<T>>) -> Result<T> {
    let bar = spinner(what);
    let result = run.await;
    finish(&bar, what, result.is_ok());
    result
}

fn spinner(what: &str) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{spinner} {msg} {elapsed}").unwrap_or(ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style).with_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn finish(bar: &ProgressBar, what: &str, succeeded: bool) {
    let seconds = bar.elapsed().as_secs_f64();
    bar.finish_and_clear();
    if succeeded {
        say(&format!("✓ {what} ({seconds:.1} s)"));
    }
}
