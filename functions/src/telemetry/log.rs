//! Log lines.

use std::io::IsTerminal as _;

use conversation_core::LogConfig;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::startup::StartupError;

/// Something else that listens to spans, on the same ground.
pub(crate) type Listener = Box<dyn Layer<Registry> + Send + Sync>;

/// Log lines go to standard output: JSON for machines, or text for people. Spans go to whoever else listens.
///
/// The libraries beneath say no more than what `info` says: further down they print whole requests.
///
/// # Errors
/// `LOG_FORMAT` or `LOG_LEVEL` is malformed.
pub(crate) fn start(listener: Option<Listener>) -> Result<(), StartupError> {
    let LogConfig { json, level } = LogConfig::from_env()?;
    let level: LevelFilter =
        level.parse().map_err(|_| format!("LOG_LEVEL is not a level: it is {level:?}"))?;
    let mut filter =
        Targets::new().with_default(level.min(LevelFilter::INFO)).with_target("conversation_", level);
    if !json {
        // People read one line after the other; machines need to know which request a line is of.
        let quiet = level.min(LevelFilter::WARN);
        filter = filter
            .with_target("lambda_runtime", quiet)
            .with_target("conversation_functions::telemetry", quiet);
    }
    let lines = tracing_subscriber::fmt::layer().with_target(false);
    let lines = if json {
        lines.json().flatten_event(true).with_span_list(false).with_filter(filter).boxed()
    } else {
        lines.with_ansi(std::io::stdout().is_terminal()).with_filter(filter).boxed()
    };
    tracing_subscriber::registry().with(listener).with(lines).init();
    Ok(())
}
