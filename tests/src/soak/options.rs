//! What a run is like.

use std::path::PathBuf;
use std::time::Duration;

/// What a run is like.
#[derive(Clone, Debug)]
pub struct Options {
    /// For how long requests are sent.
    pub duration: Duration,
    /// How many of them a second, on average.
    pub rate: f64,
    /// From which all choices follow.
    pub seed: u64,
    /// Where the functions' binaries are.
    pub binaries: PathBuf,
    /// Where the metrics go that the functions tell, a line each.
    pub metrics: PathBuf,
}
