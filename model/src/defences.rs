//! The protocol's defences, each of which can be taken away to see what it is for.

use std::fmt;

use clap::ValueEnum;

macro_rules! defences {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// One rule of the protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
        pub enum Defence {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Defence {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// What it says.
            #[must_use]
            pub fn rule(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_start(),)+ }
            }
        }
    };
}

defences! {
    /// Postgres refuses a commit that was committed under another epoch than the row's.
    EpochCheck,
    /// A reader that validates takes an epoch first.
    ReaderEpoch,
    /// A commit that validates takes an epoch.
    WriterEpoch,
    /// The deletion of a message takes an epoch even under a validity marker.
    DeletionEpoch,
    /// The replacement of messages takes an epoch even under a validity marker.
    ReplacementEpoch,
    /// A replacement answers its window, not only the messages that it adds.
    ReplacementWindow,
    /// The version that a write depends on is compared by the commit, and not before it.
    VersionInCommit,
    /// What was done before is answered before the version is compared.
    DuplicateBeforeVersion,
    /// An entry bears the replication id of the server that may vouch for it.
    ReplicationId,
    /// A fill validates only if the lease is still its reader's.
    OwnLease,
    /// An intent names the attempt, not only the operation: one that is set late is not taken for a later one's.
    IntentNamesAttempt,
    /// A step that is sent again, because the connection was lost, sets another intent or takes another lease.
    FreshOnResend,
    /// A publish validates only if its intent stood all the while.
    OwnIntent,
    /// A validating fill clears the intents seen before its epoch was taken, not those that came after.
    ClearsOnlySeen,
    /// A publish whose commit took no epoch makes no validity marker.
    WarmDoesNotValidate,
    /// What was read under an older epoch than the entry's neither validates nor is merged.
    NewerEpochWins,
    /// A call that brings a newer epoch without validating takes the older validity marker away.
    NewerEpochInvalidates,
    /// The row's facts are taken as a whole, from the highest version known.
    NewestFacts,
    /// A whole window has as many elements as the row says.
    HasCount,
    /// A validating call puts its window in place of the list.
    Replaces,
    /// What lies before the row's window is dropped.
    DropsBeforeFirst,
    /// A pending invalidation is forgotten only if no newer one has come meanwhile.
    InvalidationByVersion,
    /// Where servers do not say who they are, a validity marker stands for seconds.
    ShortValidity,
    /// Postgres refuses a commit whose write intent stands in another cache than the one in use.
    GenerationOfCommit,
    /// A reader of another cache than that validates nothing.
    GenerationOfReader,
    /// A conversation is erased under a write intent.
    IntentBeforeErasure,
    /// An id that was erased is remembered, and no conversation is created under it again.
    ErasedIds,
    /// The entry of an erased conversation is removed before its row is.
    UnlinksErased,
    /// The entry of an erased conversation is removed only when nobody is under way who began before the erasure.
    SettlesFirst,
    /// Whoever reads or deletes what is erased finds nothing, not something deleted, and marks nothing in the cache.
    ErasedIsAbsent,
    /// A reader that finds no conversation drops what the cache has of it.
    DropsAbsent,
    /// While an erasure hides what the owner has, nothing is created.
    CreationWaits,
    /// A fork locks what it copies until it commits.
    ForkLocksOrigin,
    /// An erasure ends only when a later look finds nothing to hide.
    LooksAgain,
    /// From its last look to its end an erasure locks the owner's row: nobody joins it in between.
    EndsUnderLock,
    /// Whoever asks for an erasure waits while one ends, and knows whether that one looked before.
    AsksUnderLock,
    /// An erasure that has ended hides nothing: each commit looks, under a lock of the owner's row, which an end waits for.
    EndedHidesNothing,
    /// Whoever finds that an erasure has ended since it asked for one registers no other.
    RegistersOnce,
    /// An erasure leaves the owner's row in its place, so that whoever waits for it finds what became of it.
    OwnerRowStays,
}

/// Its name, as [`clap`] takes it.
impl fmt::Display for Defence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// The defences that stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Defences(u64);

impl Defences {
    /// Every one.
    pub const ALL: Self = Self((1_u64 << Defence::ALL.len()) - 1);

    /// These but for one.
    #[must_use]
    pub const fn without(self, defence: Defence) -> Self {
        Self(self.0 & !(1_u64 << defence as u32))
    }

    /// Whether one stands.
    #[must_use]
    pub const fn has(self, defence: Defence) -> bool {
        self.0 & (1_u64 << defence as u32) != 0
    }
}
