//! Progress: a bar on a terminal, a line every few seconds elsewhere, always on standard error.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use crate::terminal::note;

/// How often a line is written where there is no terminal.
const LINES: Duration = Duration::from_secs(5);
/// How often the bar is drawn.
const DRAWS: Duration = Duration::from_millis(200);

/// Counters, and the task that shows them until this is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    counts: Arc<Counts>,
    shows: JoinHandle<()>,
    bar: ProgressBar,
}

/// The counters.
#[derive(Debug)]
pub(crate) struct Counts {
    what: &'static str,
    /// The size of the work, in units of `done`; 0 if it is not known.
    total: u64,
    began: Instant,
    /// The work done before this run, in units of `done`.
    skipped: u64,
    pub(crate) done: AtomicU64,
    pub(crate) messages: AtomicU64,
    pub(crate) records: AtomicU64,
    pub(crate) conversations: AtomicU64,
}

impl Progress {
    pub(crate) fn start(what: &'static str, total: Option<u64>, skipped: u64) -> Self {
        let counts = Arc::new(Counts {
            what,
            total: total.unwrap_or(0),
            began: Instant::now(),
            skipped,
            done: AtomicU64::new(skipped),
            messages: AtomicU64::new(0),
            records: AtomicU64::new(0),
            conversations: AtomicU64::new(0),
        });
        let is_terminal = std::io::stderr().is_terminal();
        let bar = if is_terminal { bar(&counts) } else { ProgressBar::hidden() };
        let (shown, drawn) = (Arc::clone(&counts), bar.clone());
        let shows = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(if is_terminal { DRAWS } else { LINES });
            ticks.tick().await;
            loop {
                ticks.tick().await;
                if is_terminal {
                    drawn.set_position(shown.done.load(Ordering::Relaxed));
                    drawn.set_message(shown.text());
                } else {
                    note(&shown.line());
                }
            }
        });
        Self { counts, shows, bar }
    }

    pub(crate) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.shows.abort();
        self.bar.finish_and_clear();
    }
}

impl Counts {
    /// Spells the counters: `1,200 conversations, 120,000 messages, 20,134/s`.
    pub(crate) fn text(&self) -> String {
        let count = |of: &AtomicU64| grouped(of.load(Ordering::Relaxed));
        let (conversations, messages) = (count(&self.conversations), count(&self.messages));
        let records = match self.records.load(Ordering::Relaxed) {
            0 => String::new(),
            records => format!("{} records, ", grouped(records)),
        };
        format!("{conversations} conversations, {messages} messages, {records}{}/s", grouped(self.rate()))
    }

    /// Returns the time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn rate(&self) -> u64 {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let done = self.messages.load(Ordering::Relaxed) + self.records.load(Ordering::Relaxed);
        done.saturating_mul(1_000) / millis
    }

    fn line(&self) -> String {
        let (done, total) = (self.done.load(Ordering::Relaxed), self.total);
        let percent = (done.min(total) * 100).checked_div(total);
        let part = percent.map(|percent| format!(", {percent} %")).unwrap_or_default();
        let left =
            self.left().map(|left| format!(", about {} left", HumanDuration(left))).unwrap_or_default();
        format!("{}: {}{part}{left}", self.what, self.text())
    }

    /// Estimates the time left at the speed so far.
    fn left(&self) -> Option<Duration> {
        let done = self.done.load(Ordering::Relaxed);
        let (new, rest) = (done.checked_sub(self.skipped)?, self.total.checked_sub(done)?);
        let factor = (new > 0 && self.total > 0).then_some(rest)? as f64 / new as f64;
        Duration::try_from_secs_f64((self.began.elapsed().as_secs_f64() * factor).round()).ok()
    }
}

fn bar(counts: &Counts) -> ProgressBar {
    let (bar, template) = match counts.total {
        0 => (ProgressBar::new_spinner(), "{spinner} {prefix} {msg} {elapsed}"),
        total => (ProgressBar::new(total), "{prefix} {bar:28} {percent:>3} %  {msg}, {eta} left"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or(ProgressStyle::default_bar());
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar.with_style(style.progress_chars("━╸ ")).with_prefix(counts.what).with_position(counts.skipped)
}

/// Groups digits: `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(grouped(number), text);
        }
    }
}
