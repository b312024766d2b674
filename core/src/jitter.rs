//! Waits of different length, so that those who met do not meet again.

/// A number from 0 to 1; without randomness the middle.
pub(crate) fn random_share() -> f64 {
    let mut byte = [0];
    getrandom::fill(&mut byte).map_or(0.5, |()| f64::from(byte[0]) / 255.0)
}
