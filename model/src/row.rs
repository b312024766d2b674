//! The Postgres side: a conversation's row and its messages, and the calls of `core/sql`.
//! Each is one transaction under the row's lock, hence one step.

use crate::defences::{Defence, Defences};
use crate::entry::{Begun, Epoch, Facts, News, Seq, Version};

/// What a write changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Adds a message, creating the conversation if it is new.
    Add,
    /// Sets the metadata.
    Update,
    /// Adds a message, if the conversation is at that version.
    AddIf(Version),
    /// Replaces all messages but the first by one.
    Replace,
    /// The same, if the conversation is at that version.
    ReplaceIf(Version),
    /// Deletes one message.
    DeleteMessage(Target),
    /// Deletes the conversation.
    Delete,
    /// Erases the conversation: hides it as a deletion does, and what is left of it goes later, its row and its id too.
    Erase,
}

impl Change {
    /// Whether it takes messages away and leaves the conversation.
    #[must_use]
    pub fn removes_messages(self) -> bool {
        matches!(self, Self::DeleteMessage(_) | Self::Replace | Self::ReplaceIf(_))
    }

    /// Whether all that it does is to add a message.
    fn adds(self) -> bool {
        matches!(self, Self::Add | Self::AddIf(_))
    }

    fn replaces(self) -> bool {
        matches!(self, Self::Replace | Self::ReplaceIf(_))
    }

    /// The version that it depends on.
    #[must_use]
    pub fn expects(self) -> Option<Version> {
        match self {
            Self::AddIf(version) | Self::ReplaceIf(version) => Some(version),
            _ => None,
        }
    }
}

/// Which message is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The newest there is.
    Newest,
    /// The one before it.
    BeforeNewest,
}

/// Under what a commit is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntentOutcome {
    /// An intent is set.
    Placed(Begun),
    /// The cache could not be updated: the commit defers the invalidation.
    Deferred,
}

/// What came of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commit {
    /// It is done, or was done before.
    Done(News),
    /// The intent's epoch is not the row's. Nothing was written.
    Refused(Option<Epoch>),
    /// The conversation was deleted.
    Deleted(Version),
    /// There is nothing to change.
    Nothing,
    /// The conversation is at another version than the write depends on. Nothing was written.
    Mismatch,
    /// Another cache than the writer's is the one in use. Nothing was written.
    Moving,
}

/// How far a conversation is erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Erasure {
    /// Nobody can read it any more; its row still stands.
    Hidden,
    /// Its row is gone.
    Complete,
}

/// What can be answered of a conversation at one version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The row.
    pub facts: Facts,
    /// The window.
    pub window: Vec<Seq>,
    /// Whether it was deleted.
    pub deleted: bool,
}

/// A conversation. Version 0: there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Row {
    /// Whoever validates takes the next one.
    pub epoch: Epoch,
    /// Counts the changes.
    pub version: Version,
    /// The highest position ever given out.
    pub last_seq: Seq,
    /// The version that set the metadata.
    pub metadata: Version,
    /// The positions of the messages that are there.
    pub live: Vec<Seq>,
    /// Whether it was deleted.
    pub deleted: bool,
    /// How far it is erased.
    pub erasure: Option<Erasure>,
    /// The operations whose message was stored, or deleted: a set of bits.
    pub stored: u8,
    /// The version up to which the cache may be behind.
    pub pending_invalidation: Option<Version>,
    /// Whether the cache of the code to come is the one in use.
    pub has_moved: bool,
}

impl Row {
    /// One with two messages, under its first epoch.
    #[must_use]
    pub fn with_two_messages() -> Self {
        Self { epoch: 1, version: 1, last_seq: 2, live: vec![1, 2], ..Self::default() }
    }

    /// Whether there is a conversation to read.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.version > 0 && !self.deleted
    }

    /// What a read answers.
    #[must_use]
    pub fn view(&self, capacity: u16) -> View {
        let window = self.live[self.live.len().saturating_sub(capacity.into())..].to_vec();
        let facts = Facts {
            version: self.version,
            first: window.first().copied().unwrap_or(0),
            count: u16::try_from(self.live.len()).unwrap_or(u16::MAX),
            metadata: self.metadata,
        };
        View { facts, window, deleted: self.deleted || self.is_gone() }
    }

    fn news(&self, capacity: u16, took_epoch: bool) -> News {
        let View { facts, window, .. } = self.view(capacity);
        News { epoch: self.epoch, took_epoch, facts, elements: window }
    }

    /// `read_window` and `read_window_taking_epoch`.
    pub fn read(&mut self, capacity: u16, takes_epoch: bool, defences: Defences) -> News {
        if takes_epoch && defences.has(Defence::ReaderEpoch) {
            self.epoch += 1;
        }
        self.news(capacity, takes_epoch)
    }

    /// `add_messages`, `delete_conversation`, and the like of them for the other changes. A message stored before is
    /// looked for before the epoch is compared, and its answer never validates.
    pub fn commit(
        &mut self,
        capacity: u16,
        change: Change,
        operation: u8,
        intent: IntentOutcome,
        defences: Defences,
    ) -> Commit {
        if self.deleted {
            return self.commit_to_deleted(change, defences);
        }
        let is_new = self.version == 0;
        let is_done = self.has_done(operation);
        let mismatch = change.expects().is_some_and(|expected| expected != self.version)
            && defences.has(Defence::VersionInCommit);
        if mismatch && (!is_done || !defences.has(Defence::DuplicateBeforeVersion)) {
            return Commit::Mismatch;
        }
        if change.adds() && is_done {
            return Commit::Done(self.news(capacity, false));
        }
        if is_new && !change.adds() {
            return Commit::Nothing;
        }
        if change.removes_messages() && is_done {
            return Commit::Done(self.news(capacity, false));
        }
        if self.refuses(intent, defences) {
            return Commit::Refused((!is_new).then_some(self.epoch));
        }
        if self.is_gone() && defences.has(Defence::ErasedIds) {
            return Commit::Deleted(self.version);
        }
        let Some(added) = self.change(change, operation) else { return Commit::Nothing };
        let (valid, complete) = match intent {
            IntentOutcome::Placed(begun) => (begun.valid, begun.complete),
            IntentOutcome::Deferred => (false, true),
        };
        let must = matches!(change, Change::Delete | Change::Erase)
            || matches!(change, Change::DeleteMessage(_)) && defences.has(Defence::DeletionEpoch)
            || change.replaces() && defences.has(Defence::ReplacementEpoch);
        let took_epoch = is_new || !valid || must;
        if took_epoch && (is_new || must || defences.has(Defence::WriterEpoch)) {
            self.epoch += 1;
        }
        let mut news = self.news(capacity, took_epoch);
        let whole =
            change.removes_messages() && (!change.replaces() || defences.has(Defence::ReplacementWindow));
        if !whole && (!took_epoch && complete || change.replaces()) {
            news.elements = added.into_iter().collect();
        }
        Commit::Done(news)
    }

    /// Whether it was erased, and its row is gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.erasure == Some(Erasure::Complete)
    }

    /// Whoever erases it only has that noted.
    fn commit_to_deleted(&mut self, change: Change, defences: Defences) -> Commit {
        if change == Change::Erase {
            self.erasure = Some(Erasure::Hidden);
            return Commit::Nothing;
        }
        if change == Change::Delete && self.is_absent(defences) {
            Commit::Nothing
        } else {
            Commit::Deleted(self.version)
        }
    }

    /// Whether whoever reads or deletes it finds no conversation, not even one that was deleted.
    #[must_use]
    pub fn is_absent(&self, defences: Defences) -> bool {
        self.version == 0 || self.erasure.is_some() && defences.has(Defence::ErasedIsAbsent)
    }

    /// Whether a message of this operation was stored, or deleted.
    #[must_use]
    pub fn has_done(&self, operation: u8) -> bool {
        self.stored & (1 << operation) != 0
    }

    /// Without a row, an intent must know no epoch.
    fn refuses(&self, intent: IntentOutcome, defences: Defences) -> bool {
        let IntentOutcome::Placed(begun) = intent else { return false };
        let epoch = (self.version > 0).then_some(self.epoch);
        begun.epoch != epoch && defences.has(Defence::EpochCheck)
    }

    /// Makes the change; none if there is nothing to change. Answers the position added, if one was.
    fn change(&mut self, change: Change, operation: u8) -> Option<Option<Seq>> {
        let mut added = None;
        match change {
            Change::Add | Change::AddIf(_) | Change::Replace | Change::ReplaceIf(_) => {
                if change.replaces() {
                    self.live.truncate(1);
                }
                self.last_seq += 1;
                self.live.push(self.last_seq);
                self.stored |= 1 << operation;
                added = Some(self.last_seq);
            }
            Change::Update => self.metadata = self.version + 1,
            Change::DeleteMessage(target) => {
                let at = self.live.len().checked_sub(1 + usize::from(target == Target::BeforeNewest))?;
                self.live.remove(at);
                self.stored |= 1 << operation;
            }
            Change::Delete | Change::Erase => {
                self.deleted = true;
                self.live.clear();
                self.erasure = (change == Change::Erase).then_some(Erasure::Hidden);
            }
        }
        self.version += 1;
        Some(added)
    }
}
