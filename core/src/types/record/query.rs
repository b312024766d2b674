//! Which records are listed, and which are deleted together.

use super::RecordKey;
use crate::types::error::{Invalid, Problem};
use crate::types::idempotency::{IdempotencyKey, RequestFingerprint};
use crate::types::page::Order;

/// How many records a page may hold: 1 to 1,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLimit(i32);

impl RecordLimit {
    /// The usual page.
    pub const USUAL: Self = Self(100);
    const MAX: i64 = 1_000;

    /// Checks a limit.
    ///
    /// # Errors
    /// [`Problem::OutOfRange`].
    pub fn new(limit: i64) -> Result<Self, Invalid> {
        let limit = i32::try_from(limit).ok().filter(|limit| (1..=Self::MAX).contains(&i64::from(*limit)));
        limit.map(Self).ok_or_else(|| Problem::OutOfRange { min: 1, max: Self::MAX }.of("limit"))
    }

    /// The limit as SQL counts.
    pub(crate) fn rows(self) -> i32 {
        self.0
    }
}

/// Which records a page is of, in the order of their keys.
#[derive(Clone, Debug)]
pub struct RecordQuery {
    /// Records of these keys.
    pub keys: Vec<RecordKey>,
    /// Records whose keys begin with one of these texts. An empty one stands for all.
    pub prefixes: Vec<String>,
    /// Where the page begins: behind this key, in the order of the page.
    pub after: Option<String>,
    /// Whether the first or the last key comes first.
    pub order: Order,
    /// The most records.
    pub limit: RecordLimit,
    /// With about so many bytes of values at the most, but at least one; none: without values.
    pub value_bytes: Option<usize>,
}

impl RecordQuery {
    /// The first page of all records, without their values.
    pub fn all() -> Self {
        Self {
            keys: Vec::new(),
            prefixes: vec![String::new()],
            after: None,
            order: Order::Ascending,
            limit: RecordLimit::USUAL,
            value_bytes: None,
        }
    }
}

/// The deletion of records by the beginning of their keys.
#[derive(Clone, Debug)]
pub struct RecordDeletion {
    /// With what the keys begin.
    pub prefix: String,
    /// With it, it is done once: a late retry deletes nothing that was written since.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl RecordDeletion {
    pub(crate) fn fingerprint(&self) -> RequestFingerprint {
        RequestFingerprint::of_kind(&format!("delete records {}", self.prefix))
    }
}

/// What a deletion by prefix did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletedRecords {
    /// How many records were deleted.
    pub deleted: i64,
    /// Whether there are more of them: no more than [`RECORD_DELETION`](crate::RECORD_DELETION) are deleted at a time, or 32 MiB of them as they are stored.
    pub has_more: bool,
}
