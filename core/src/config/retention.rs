//! How long conversations are kept: `RETENTION_DAYS`, which only who migrates reads.

use super::{ConfigError, Lookup, environment, of_settings};
use crate::types::retention::Retention;

const NAME: &str = "RETENTION_DAYS";
const EXPECTED: &str = "a number of days from 1 to 3650, or nothing";
const MAX: u16 = 3_650;

impl Retention {
    /// Reads `RETENTION_DAYS`.
    ///
    /// # Errors
    /// It is malformed.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(&environment)
    }

    /// From settings that stand for those of the environment.
    ///
    /// # Errors
    /// As [`Retention::from_env`].
    pub fn from_settings(settings: &[(&str, &str)]) -> Result<Self, ConfigError> {
        Self::read(&of_settings(settings))
    }

    fn read(lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        let Ok(text) = lookup(NAME) else { return Ok(Self(None)) };
        if text.is_empty() {
            return Ok(Self(None));
        }
        let days = text.parse().ok().filter(|days| (1..=MAX).contains(days));
        let malformed =
            ConfigError::Malformed { name: NAME, expected: EXPECTED, reason: "it is something else".into() };
        days.map(|days| Self(Some(days))).ok_or(malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_whole_and_at_most_ten_years() {
        let read = |text: &str| Retention::from_settings(&[(NAME, text)]);
        assert_eq!(Retention::from_settings(&[]).unwrap().seconds(), None);
        assert_eq!(read("").unwrap().seconds(), None);
        assert_eq!(read("30").unwrap().seconds(), Some(2_592_000));
        for wrong in ["0", "3651", "1.5", "-1", "30d", "none"] {
            assert!(read(wrong).unwrap_err().to_string().contains("RETENTION_DAYS"), "{wrong}");
        }
    }
}
