//! What became of a request: what HTTP says of it in `Cache-Status`, and what telemetry records.

use conversation_core::{CacheUpdate, Source, UNIDENTIFIED_VALIDITY};

/// Where a read was answered from, or how far a write has come in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CacheStatus {
    /// A read.
    Read(Source),
    /// A write.
    Written(CacheUpdate),
}

impl CacheStatus {
    /// As RFC 9211 has it.
    pub(crate) fn header(self) -> String {
        match self {
            Self::Read(Source::Hit) => "redis; hit".into(),
            Self::Read(Source::BoundedHit) => {
                format!("redis; hit; detail=failover-{}s", UNIDENTIFIED_VALIDITY.as_secs())
            }
            Self::Read(Source::Miss { reason, stored: true }) => {
                format!("redis; fwd=miss; detail={reason}; stored")
            }
            Self::Read(Source::Miss { reason, stored: false }) => format!("redis; fwd=miss; detail={reason}"),
            Self::Read(Source::Bypass) => "redis; fwd=bypass; detail=postgres-only".into(),
            Self::Written(CacheUpdate::Applied) => "redis; fwd=method; stored".into(),
            Self::Written(CacheUpdate::Pending) => "redis; fwd=method; detail=pending".into(),
            Self::Written(CacheUpdate::Deferred) => "redis; fwd=method; detail=deferred".into(),
        }
    }
}

/// What became of a request, as far as telemetry records it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) status: u16,
    /// Whether it is the service's fault.
    pub(crate) is_error: bool,
    pub(crate) cache_status: Option<CacheStatus>,
    /// Bytes of the answer, if it is messages of the window.
    pub(crate) window_bytes: Option<usize>,
}
