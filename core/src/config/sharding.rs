//! How the tables are spread.

use std::fmt;

use super::{ConfigError, Lookup, environment, of_settings};

/// How the tables are spread: `DATABASE_SHARDING`, which only who migrates reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharding {
    /// `none`, the default: plain tables.
    #[default]
    None,
    /// `partitions:N`: each table is partitioned in so many parts by the hash of the shard, 2 to 1,024.
    Partitions(u16),
    /// `citus`: the database is the coordinator of a Citus cluster, which spreads the tables over its nodes.
    Citus,
}

const NAME: &str = "DATABASE_SHARDING";
const EXPECTED: &str = "none, partitions:N with N from 2 to 1024, or citus";

impl Sharding {
    /// Reads `DATABASE_SHARDING`.
    ///
    /// # Errors
    /// It is malformed.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::read(&environment)
    }

    /// From settings that stand for those of the environment.
    ///
    /// # Errors
    /// As [`Sharding::from_env`].
    pub fn from_settings(settings: &[(&str, &str)]) -> Result<Self, ConfigError> {
        Self::read(&of_settings(settings))
    }

    fn read(lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        let Ok(text) = lookup(NAME) else { return Ok(Self::None) };
        match text.as_str() {
            "none" | "" => Ok(Self::None),
            "citus" => Ok(Self::Citus),
            text => {
                let parts = text.strip_prefix("partitions:").and_then(|parts| parts.parse().ok());
                let parts = parts.filter(|parts| (2..=1_024).contains(parts));
                let reason = "it is something else".to_owned();
                parts.map(Self::Partitions).ok_or(ConfigError::Malformed {
                    name: NAME,
                    expected: EXPECTED,
                    reason,
                })
            }
        }
    }
}

/// As `DATABASE_SHARDING` spells it.
impl fmt::Display for Sharding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Partitions(parts) => write!(f, "partitions:{parts}"),
            Self::Citus => f.write_str("citus"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_none_of_the_three_is_refused() {
        let read = |text| Sharding::from_settings(&[(NAME, text)]);
        assert_eq!(Sharding::from_settings(&[]), Ok(Sharding::None));
        assert_eq!(read("none"), Ok(Sharding::None));
        assert_eq!(read("citus"), Ok(Sharding::Citus));
        assert_eq!(read("partitions:64"), Ok(Sharding::Partitions(64)));
        for sharding in [Sharding::None, Sharding::Partitions(2), Sharding::Citus] {
            let text = sharding.to_string();
            assert_eq!(Sharding::from_settings(&[(NAME, &text)]), Ok(sharding));
        }
        for bad in
            ["partitions", "partitions:", "partitions:1", "partitions:1025", "partitions:-4", "64", "Citus"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
