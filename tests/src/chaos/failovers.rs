//! Failovers that nobody could see: where the server does not say who it is, what it forgot goes unnoticed for a while.

use std::time::Duration;

use conversation_core::UNIDENTIFIED_VALIDITY;

use crate::Profile;

use super::record::{Read, Record};

/// How long a validity marker of a server that does not say who it is stands: the bound that the store promises there.
pub(super) const BOUND: Duration = UNIDENTIFIED_VALIDITY;

/// The failovers of a run that readers may not have noticed: from when to when each was.
#[derive(Debug, Default)]
pub(super) struct Failovers(Vec<(u64, u64)>);

impl Failovers {
    /// None where servers say who they are.
    pub(super) fn of(records: &[Record], profile: Profile) -> Self {
        let span = |record: &Record| match *record {
            Record::FailedOver { began, ended } => Some((began, ended)),
            _ => None,
        };
        Self(if profile.hides_servers() { records.iter().filter_map(span).collect() } else { Vec::new() })
    }

    /// Whether a read may have missed a write that began at that time: it was answered by the cache, the write was made or
    /// begun when some server was replaced by one that had fallen behind, and that was not longer ago than the bound.
    pub(super) fn excuse(&self, read: &Read, write_began: u64) -> bool {
        let bound = u64::try_from(BOUND.as_nanos()).unwrap_or(u64::MAX);
        read.source.is_hit()
            && self.0.iter().any(|(began, ended)| {
                *began <= read.ended && read.began <= ended + bound && write_began <= *ended
            })
    }
}

#[cfg(test)]
mod tests {
    use conversation_core::Source;

    use super::*;
    use crate::chaos::record::{Conversation, Sight};

    #[test]
    fn a_failover_excuses_hits_for_a_while_and_nothing_that_was_written_after_it() {
        let records = [Record::FailedOver { began: 100, ended: 200 }];
        let conversation = Conversation { place: 0, generation: 0 };
        let read = |began: u64, source| Read {
            conversation,
            began,
            ended: began + 1,
            sight: Sight::Nothing,
            min_version: None,
            source,
            unchanged: false,
        };
        let bound = u64::try_from(BOUND.as_nanos()).unwrap();
        let failovers = Failovers::of(&records, Profile::Serverless);
        assert!(failovers.excuse(&read(150, Source::Hit), 50));
        assert!(failovers.excuse(&read(200 + bound, Source::Hit), 200));
        assert!(!failovers.excuse(&read(201 + bound, Source::Hit), 50), "for too long");
        assert!(!failovers.excuse(&read(50, Source::Hit), 50), "before it");
        assert!(!failovers.excuse(&read(300, Source::Hit), 201), "written after it");
        assert!(!failovers.excuse(&read(150, Source::Bypass), 50), "not from the cache");
        assert!(!Failovers::of(&records, Profile::Nodes).excuse(&read(150, Source::Hit), 50));
    }
}
