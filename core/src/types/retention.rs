//! How long conversations are kept.

/// After how many days without a change any conversation of a deployment expires. None: it is kept for good, unless it expires by
/// itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention(pub(crate) Option<u16>);

const DAY: i64 = 24 * 60 * 60;

impl Retention {
    /// The same in seconds.
    pub fn seconds(self) -> Option<i64> {
        self.0.map(|days| i64::from(days) * DAY)
    }
}
