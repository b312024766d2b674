//! Choices at random, so that those who met do not meet again.

/// A number from 0 to 1; without randomness the middle.
pub(crate) fn random_share() -> f64 {
    let mut byte = [0];
    getrandom::fill(&mut byte).map_or(0.5, |()| f64::from(byte[0]) / 255.0)
}

/// A number below another one, of at most 256, each about equally often; without randomness one in the middle.
pub(crate) fn random_below(count: usize) -> usize {
    let mut bytes = [0; 2];
    let drawn = getrandom::fill(&mut bytes).map_or(0x8000, |()| usize::from(u16::from_be_bytes(bytes)));
    (drawn * count) >> 16
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_number_below_is_drawn() {
        let drawn: BTreeSet<usize> = (0..1_000).map(|_| random_below(3)).collect();
        assert_eq!(drawn, BTreeSet::from([0, 1, 2]));
        assert_eq!(random_below(1), 0);
    }
}
