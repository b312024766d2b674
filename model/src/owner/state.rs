//! One state: the owner's row, the conversations, and whoever is at work.

/// Some of the conversations, of the callers, or of the erasures: a set of bits.
pub type Set = u8;
/// Which erasure, from 0.
pub type ErasureId = u8;

/// How often each fault may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// A caller dies.
    pub crash: u8,
    /// A conversation is not hidden with the others, since its epoch has changed.
    pub refused: u8,
}

/// Whether a conversation can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// There is none yet, or it is not committed.
    #[default]
    Absent,
    /// It can.
    Live,
    /// It was erased.
    Hidden,
}

/// A conversation, and what came before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Conversation {
    /// Whether it can be read.
    pub visibility: Visibility,
    /// Which one it is a copy of.
    pub origin: Option<usize>,
    /// Whether a fork has locked it.
    pub is_locked: bool,
    /// Which callers asked before its creation began.
    pub began_after_callers: Set,
    /// Which of them asked before an erasure that had ended by then.
    pub began_after_end: Set,
    /// Which erasures were registered before it.
    pub began_after_erasures: Set,
    /// Which callers asked after its commit.
    pub was_there_for: Set,
}

/// Somebody who does something.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Process {
    /// Who asks for an erasure.
    Caller {
        /// Which one.
        caller: u8,
        /// What it does next.
        step: CallerStep,
    },
    /// The sweep.
    Sweep(SweepStep),
    /// Who creates a conversation.
    Creator {
        /// Which conversation.
        creates: usize,
        /// What it does next.
        step: CreatorStep,
    },
}

/// What a caller does next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CallerStep {
    /// Begins: looks how many erasures have ended.
    Ask,
    /// Lists what there is.
    List {
        /// How many had.
        ended: u8,
    },
    /// Registers an erasure, or joins one.
    Register {
        /// How many had ended.
        ended: u8,
        /// What it has listed.
        listed: Set,
        /// How many were registered when it began to wait for the owner's row.
        waited: Option<u8>,
    },
    /// Goes on in rounds.
    Round(Round),
    /// Nothing: it has answered.
    Answered,
    /// Nothing: it is dead.
    Dead,
}

/// What the sweep does next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SweepStep {
    /// Looks for an erasure that has not ended.
    Find,
    /// Goes on with it.
    Round(Round),
}

/// Where somebody is in the rounds of an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Round {
    /// Which erasure.
    pub erasure: ErasureId,
    /// What is next.
    pub step: RoundStep,
}

/// What is next in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoundStep {
    /// Hides what was listed.
    Hide(Set),
    /// Lists what is left.
    List,
    /// Looks again, and ends the erasure if there is nothing.
    Look,
    /// Commits that end.
    End,
}

/// What a creator does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CreatorStep {
    /// Looks whether an erasure is under way.
    Look,
    /// Locks what it copies, and copies it.
    Copy,
    /// Commits.
    Commit,
    /// Nothing: it is over.
    Over,
}

/// One step of somebody, or one fault. A number is the place of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The next step.
    Step(usize),
    /// The next step, which hides all but this conversation.
    HideBut(usize, usize),
    /// A caller dies.
    Crash(usize),
}

/// Something that must not happen and that no later state would show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// A conversation was hidden that was created after the erasure.
    HidesLater,
}

/// The whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// The erasure that the owner's row says is hiding what the owner has.
    pub erasing: Option<ErasureId>,
    /// Which callers asked for each of the erasures that were registered.
    pub asked_by: Vec<Set>,
    /// Which process has locked the owner's row.
    pub locked_by: Option<usize>,
    /// The conversations, committed or not.
    pub conversations: Vec<Conversation>,
    /// Which callers have asked.
    pub asked: Set,
    /// Which of them did before an erasure ended.
    pub asked_before_end: Set,
    /// Which callers were answered.
    pub answered: Set,
    /// Who does something.
    pub processes: Vec<Process>,
    /// What may still go wrong.
    pub left: Faults,
    /// What went wrong.
    pub flaw: Option<Flaw>,
}

impl Conversation {
    /// Whether it can be read.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.visibility == Visibility::Live
    }
}

impl State {
    /// How many erasures were registered.
    pub(super) fn registered(&self) -> u8 {
        u8::try_from(self.asked_by.len()).unwrap_or(u8::MAX)
    }

    /// How many of them have ended.
    pub(super) fn ended(&self) -> u8 {
        self.registered() - u8::from(self.erasing.is_some())
    }

    /// What can be read.
    pub(super) fn live(&self) -> Set {
        let all = self.conversations.iter().enumerate();
        all.filter(|(_, c)| c.is_live()).fold(0, |set, (at, _)| set | 1 << at)
    }

    /// Whether something can still be read that was there when an erasure was asked for that is answered.
    pub(super) fn leaves_what_there_was(&self) -> bool {
        self.conversations.iter().any(|c| c.is_live() && c.was_there_for & self.answered != 0)
    }

    /// Whether something can be read that is a copy of what was erased, though no erasure is under way.
    pub(super) fn leaves_a_copy(&self) -> bool {
        self.erasing.is_none() && self.conversations.iter().any(|c| c.is_live() && self.copies_hidden(c))
    }

    fn copies_hidden(&self, c: &Conversation) -> bool {
        let origin = c.origin.map(|origin| &self.conversations[origin]);
        origin.is_some_and(|origin| origin.visibility == Visibility::Hidden || self.copies_hidden(origin))
    }
}
