//! What the two stores say to each other through [`ConversationStore`](crate::ConversationStore): facts about a
//! conversation at one version.

use super::conversation::Conversation;
use super::message::Message;
use super::page::Limit;

/// How many messages the cache keeps of a conversation.
pub const WINDOW: usize = 100;

/// How many bytes of JSON it keeps of a conversation: the newest messages, as far as they fit.
pub(crate) const WINDOW_BYTES: usize = 512 * 1024;

/// The newest messages of a conversation, [`WINDOW`] at most, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// The positions of those that together with the newer ones are longer than [`WINDOW_BYTES`].
    pub(crate) bare: Vec<i64>,
    /// The others.
    pub(crate) messages: Vec<Message>,
}

impl Window {
    /// How many of the messages fit into a window, counted from the newest.
    pub(crate) fn fitting(messages: &[Message]) -> usize {
        let mut bytes = 0;
        let fits = |message: &&Message| {
            bytes += message.element().len();
            bytes <= WINDOW_BYTES
        };
        messages.iter().rev().take_while(fits).count()
    }

    /// The positions of all of them, in order.
    pub(crate) fn seqs(&self) -> impl Iterator<Item = i64> {
        self.bare.iter().copied().chain(self.messages.iter().map(Message::seq))
    }

    /// The newest `limit` messages in order; none if they do not all have their JSON here.
    pub(crate) fn newest(self, limit: Limit) -> Option<Vec<Message>> {
        let Self { bare, mut messages } = self;
        let wanted = limit.get().min(bare.len() + messages.len());
        let surplus = messages.len().checked_sub(wanted)?;
        Some(messages.split_off(surplus))
    }
}

/// A conversation's row at one version. Facts of a higher version replace those of a lower one as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) conversation: Conversation,
    /// The row's epoch when it was read or written.
    pub(crate) epoch: i64,
    /// Whether the same transaction took that epoch: what was read with it may validate the entry.
    pub(crate) took_epoch: bool,
    /// The position of the window's first message, 0 when there is none. With the number of messages it says what a
    /// complete window is.
    pub(crate) first_seq: i64,
    /// The window itself; none when it was not asked for.
    pub(crate) window: Option<Window>,
}

/// What became of a write's intent, and what its commit must do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntentOutcome {
    /// It is placed.
    Placed {
        /// The cache's epoch; none: it knows none, so the conversation must be new.
        epoch: Option<i64>,
        /// A validity marker stands and the commit leaves it so. Without one, the commit takes an epoch.
        valid: bool,
        /// The cached window is whole, so that the new messages alone keep it so.
        complete: bool,
    },
    /// None could be placed. The commit takes an epoch and defers the invalidation.
    Deferred,
}

impl IntentOutcome {
    pub(crate) fn epoch(self) -> Option<i64> {
        match self {
            Self::Placed { epoch, .. } => epoch,
            Self::Deferred => None,
        }
    }

    pub(crate) fn has_intent(self) -> bool {
        self != Self::Deferred
    }

    pub(crate) fn valid(self) -> bool {
        matches!(self, Self::Placed { valid: true, .. })
    }

    pub(crate) fn wants_window(self) -> bool {
        matches!(self, Self::Placed { complete: false, .. })
    }
}
