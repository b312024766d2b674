//! What a write may depend on.

/// What must hold of a conversation, or a record, for a write to be done (RFC 9110, section 13.1.1). It is checked under the lock of the
/// conversation's row, and after what was done before: a retry of a write that succeeded is answered as that was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// It was never there.
    Absent,
    /// It is there.
    Exists,
    /// It is there, at that version.
    Version(i64),
}

impl Precondition {
    /// The version that it must be at, 0 where it must not be there; none: any.
    pub(crate) fn version(self) -> Option<i64> {
        match self {
            Self::None | Self::Exists => None,
            Self::Absent => Some(0),
            Self::Version(version) => Some(version),
        }
    }

    /// The same of a record, of which a version is a revision: as SQL takes it, with -1 where it must be there.
    pub(crate) fn of_record(self) -> Option<i64> {
        if self == Self::Exists { Some(-1) } else { self.version() }
    }
}
