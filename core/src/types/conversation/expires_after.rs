//! After how long a conversation expires.

use serde::Serialize;
use serde_json::Value;

use crate::types::error::{Invalid, Problem};
use crate::types::json::whole_number;

/// After how long without a change a conversation expires: 60 seconds to ten years of 365 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ExpiresAfter(i64);

impl ExpiresAfter {
    /// The shortest, in seconds.
    pub const MIN: i64 = 60;
    /// The longest, in seconds.
    pub const MAX: i64 = 10 * 365 * 24 * 60 * 60;

    /// Checks a number of seconds.
    ///
    /// # Errors
    /// [`Problem::OutOfRange`].
    pub fn new(seconds: i64) -> Result<Self, Invalid> {
        let fits = (Self::MIN..=Self::MAX).contains(&seconds);
        let out_of_range = || Problem::OutOfRange { min: Self::MIN, max: Self::MAX }.of("expires_after");
        fits.then_some(Self(seconds)).ok_or_else(out_of_range)
    }

    /// Reads it as callers and exports write it; null: none.
    pub(super) fn of_json(value: &Value) -> Result<Option<Self>, Invalid> {
        match value {
            Value::Null => Ok(None),
            // What has a fraction is out of range.
            Value::Number(seconds) => {
                ExpiresAfter::new(whole_number(&seconds.to_string()).unwrap_or(0)).map(Some)
            }
            _ => Err(Problem::Type { expected: "a number of seconds" }.of("expires_after")),
        }
    }

    /// As it was stored.
    pub(super) fn stored(seconds: i64) -> Self {
        Self(seconds)
    }

    /// How many seconds.
    pub fn seconds(self) -> i64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_expires_does_so_in_a_minute_or_in_ten_years() {
        let read = |json: &str| {
            let value = serde_json::from_str(json).unwrap();
            ExpiresAfter::of_json(&value).map(|read| read.map(ExpiresAfter::seconds))
        };
        for (json, seconds) in [("60", 60), ("315360000", 315_360_000), ("60.0", 60)] {
            assert_eq!(read(json), Ok(Some(seconds)), "{json}");
        }
        assert_eq!(read("null"), Ok(None));
        for json in ["59", "315360001", "-60", "60.5", "1e30"] {
            let invalid = read(json).unwrap_err();
            assert_eq!(invalid.problem, Problem::OutOfRange { min: 60, max: 315_360_000 }, "{json}");
        }
        for json in ["\"60\"", "true", "[]"] {
            assert_eq!(read(json).unwrap_err().problem, Problem::Type { expected: "a number of seconds" });
        }
    }
}
