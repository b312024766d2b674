//! One state of the whole: both stores, every process, what is under way, and what may still go wrong.

use crate::command::Command;
use crate::entry::{Begun, Cache, Epoch, Intent, News, Replid, Version};
use crate::faults::Faults;
use crate::row::{Change, Row, View};

/// A Redis server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// Its replication id.
    pub replid: Replid,
    /// What it holds.
    pub cache: Cache,
}

/// Somebody who does something.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Process {
    /// Intents, commits, publishes.
    Writer(Writer),
    /// Leases, reads, fills.
    Reader(Reader),
    /// Drains pending invalidations.
    Sweep(Sweep),
    /// Removes the last of what was erased.
    Removal(Removal),
}

/// A write on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Writer {
    /// What it changes.
    pub change: Change,
    /// Names it, in its intent and to Postgres.
    pub operation: u8,
    /// Which cache its intent stands in: [`Side::Next`] if it is of the code to come.
    pub side: Side,
    /// How often it began.
    pub attempt: u8,
    /// What it does next.
    pub step: WriterStep,
}

/// What a writer does next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WriterStep {
    /// Looks whether there is a conversation to erase.
    List,
    /// Sets its intent.
    Begin {
        /// The epoch that Postgres answered when it refused the last attempt.
        hint: Option<Epoch>,
        /// The last attempt's intent.
        over: Option<Intent>,
    },
    /// Commits under it.
    Commit(Begun),
    /// Drops an entry that is ahead of Postgres; none: there is no row.
    DropAhead(Begun, Option<Epoch>),
    /// Clears the cache, since it can set no intent.
    ClearIntent,
    /// Commits without one.
    CommitWithoutIntent,
    /// Publishes.
    Publish(Command),
    /// Marks the conversation deleted.
    WriteTombstone(Version),
    /// Clears the cache of what its commit made stale.
    Invalidate(Version),
    /// Clears the pending invalidation that is drained.
    Forget(Version),
    /// Takes its intent away, with nothing written.
    Withdraw(Intent),
    /// Nothing: it is dead, or gave up; its client may ask again.
    Unanswered,
    /// Nothing: it has answered.
    Answered,
}

/// Somebody whose look at the cache was a miss. Looks that hit need no process: they change nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reader {
    /// Names it.
    pub id: u8,
    /// Whether it is of the code to come, and reads through the cache of that.
    pub is_next: bool,
    /// How often it still reads.
    pub turns: u8,
    /// How often it asked for a lease.
    pub asked: u8,
    /// What it does next.
    pub step: ReaderStep,
}

/// What a reader does next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReaderStep {
    /// Asks for the lease.
    Lease,
    /// Reads Postgres.
    Read(Grant),
    /// Fills, or does what stands in its place.
    Fill(Command, Side),
}

/// A lease that was given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grant {
    /// Names the call for it.
    pub token: u16,
    /// The intents there were.
    pub seen: Vec<Intent>,
    /// Whether to read under a new epoch.
    pub takes_epoch: bool,
    /// Which server gave it.
    pub side: Side,
    /// The entry's epoch, where there may be no row.
    pub epoch: Option<Epoch>,
}

/// Which server somebody speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The primary.
    Primary,
    /// An old primary that does not know of the failover.
    Isolated,
    /// The cache of the code to come, while that is being rolled out.
    Next,
}

/// The scheduled sweep.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sweep {
    /// Looks for a pending invalidation.
    Lookup,
    /// Clears the cache.
    Clear(Version),
    /// Forgets the pending invalidation.
    Forget(Version),
    /// Is over.
    Over,
}

/// The end of the scheduled sweep: what it does about a conversation that was erased, when that has settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Removal {
    /// Removes the entry.
    Unlink,
    /// Removes the row, and remembers the id.
    Row,
    /// Is over.
    Over,
}

/// Something that must not happen and that no later state would show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// A call validated, and the window it left is not whole.
    ValidWithGap,
    /// A write was done at another version than it depends on: what was written between was not seen by its caller.
    LostUpdate,
    /// The caller of a write that was done was answered that it was not.
    DeniedSuccess,
}

/// The whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// Postgres.
    pub row: Row,
    /// What reads may also answer beside the row as it is: its views from version `floor` on; from the first on if an
    /// isolated primary is to be judged.
    pub past: Vec<View>,
    /// The oldest version that a read may answer.
    pub floor: Version,
    /// The primary.
    pub redis: Node,
    /// What its replica has, while one may still take over.
    pub replica: Option<Cache>,
    /// An old primary that still serves readers.
    pub isolated: Option<Node>,
    /// The cache of the code to come, while that is being rolled out.
    pub next: Option<Node>,
    /// A failover went unnoticed, and the time for which a validity marker stands has not passed since.
    pub is_blind: bool,
    /// Who does something.
    pub processes: Vec<Process>,
    /// Which processes are still under way of those that were when the conversation was erased: a set of bits.
    pub unsettled: u8,
    /// Commands that are still under way, in no order.
    pub late: Vec<Command>,
    /// What may still go wrong.
    pub left: Faults,
    /// What went wrong.
    pub flaw: Option<Flaw>,
}

impl State {
    /// Puts a command on its way.
    pub fn send_late(&mut self, command: Command) {
        let at = self.late.partition_point(|other| *other < command);
        self.late.insert(at, command);
    }

    /// Notes what the row was before a commit that is about to change it. Once a commit was made under a write intent, nobody may read
    /// what was before it; one that was not leaves a pending invalidation, and until that is drained they may.
    pub fn remember(&mut self, before: View, had_intent: bool, keeps_all: bool) {
        self.past.push(before);
        if had_intent {
            self.catch_up(keeps_all);
        }
    }

    /// From now on every read answers the row as it is.
    pub fn catch_up(&mut self, keeps_all: bool) {
        self.floor = self.row.version;
        if !keeps_all {
            self.past.clear();
        }
    }
}

impl Process {
    /// Whether it is not in the midst of something.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        match self {
            Self::Writer(writer) => {
                matches!(
                    writer.step,
                    WriterStep::List | WriterStep::BEGIN | WriterStep::Answered | WriterStep::Unanswered
                )
            }
            Self::Reader(reader) => reader.turns == 0 || reader.step == ReaderStep::Lease,
            Self::Sweep(sweep) => matches!(sweep, Sweep::Lookup | Sweep::Over),
            Self::Removal(_) => true,
        }
    }

    /// Whether it is of the code to come.
    #[must_use]
    pub fn is_next(&self) -> bool {
        match self {
            Self::Writer(writer) => writer.side == Side::Next,
            Self::Reader(reader) => reader.is_next,
            Self::Sweep(_) | Self::Removal(_) => false,
        }
    }
}

impl WriterStep {
    /// The beginning.
    pub const BEGIN: Self = Self::Begin { hint: None, over: None };

    /// What a write begins with.
    #[must_use]
    pub fn first(change: Change) -> Self {
        if change == Change::Erase { Self::List } else { Self::BEGIN }
    }
}

impl Writer {
    /// The intent of its present attempt.
    #[must_use]
    pub fn intent(&self, names_attempt: bool) -> Intent {
        Intent { operation: self.operation, attempt: if names_attempt { self.attempt } else { 0 } }
    }
}

impl Grant {
    /// The fill of what was read.
    #[must_use]
    pub fn fill(self, news: News) -> Command {
        Command::Fill { token: self.token, seen: self.seen, news }
    }
}
