//! The commands of the protocol as values, so that they can be lost, come late, or come twice.

use crate::entry::{Begun, Cache, Dead, Epoch, Intent, Leased, News, Replid, Server, Stored, Token, Version};

/// A command on a conversation's keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Command {
    /// [`Cache::begin`].
    Begin {
        /// The intent to set.
        intent: Intent,
        /// The epoch that Postgres answered when it refused the last attempt.
        hint: Option<Epoch>,
        /// The intents of attempts that are over.
        over: Vec<Intent>,
        /// Whether the writer's clock takes any validity marker for due.
        due: bool,
    },
    /// [`Cache::place_intent`].
    PlaceIntent(Intent),
    /// [`Cache::publish`].
    Publish {
        /// The intent to take away.
        intent: Intent,
        /// The replication id that begin answered.
        replid: Replid,
        /// What the commit answered.
        news: News,
    },
    /// [`Cache::lease`].
    Lease {
        /// Names this call.
        token: Token,
        /// What is old enough to be taken for dead.
        dead: Dead,
        /// Whether the reader's clock takes any validity marker for due.
        due: bool,
    },
    /// [`Cache::fill`].
    Fill {
        /// The lease.
        token: Token,
        /// The intents that lease answered.
        seen: Vec<Intent>,
        /// What was read.
        news: News,
    },
    /// [`Cache::write_tombstone`].
    WriteTombstone(Version),
    /// [`Cache::withdraw`].
    Withdraw(Intent),
    /// [`Cache::release`].
    Release,
    /// [`Cache::invalidate`].
    Invalidate,
    /// [`Cache::drop_ahead`].
    DropAhead(Option<Epoch>),
}

/// What a command answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To begin.
    Begun(Begun),
    /// To lease.
    Leased(Leased),
    /// To publish and fill.
    Stored(Stored),
    /// To all others.
    Done,
}

impl Command {
    /// The same command as it is sent again: under another name, if it is one that has a name. A writer that does not
    /// name its attempts cannot do so.
    #[must_use]
    pub fn renamed(&self, names_attempt: bool) -> Self {
        let mut again = self.clone();
        match &mut again {
            Self::Begin { intent, over, .. } if names_attempt => {
                over.push(*intent);
                intent.attempt += 1;
            }
            Self::Lease { token, .. } => *token += 1,
            _ => {}
        }
        again
    }
}

impl Cache {
    /// Executes a command.
    pub fn execute(&mut self, server: &Server, command: &Command) -> Reply {
        match command {
            Command::Begin { intent, hint, over, due } => {
                return Reply::Begun(self.begin(server, *intent, *hint, over, *due));
            }
            Command::PlaceIntent(intent) => self.place_intent(*intent),
            Command::Publish { intent, replid, news } => {
                return Reply::Stored(self.publish(server, *intent, *replid, news));
            }
            Command::Lease { token, dead, due } => {
                return Reply::Leased(self.lease(server, *token, *dead, *due));
            }
            Command::Fill { token, seen, news } => {
                return Reply::Stored(self.fill(server, *token, seen, news));
            }
            Command::WriteTombstone(version) => self.write_tombstone(server, *version),
            Command::Withdraw(intent) => self.withdraw(*intent),
            Command::Release => self.release(),
            Command::Invalidate => self.invalidate(),
            Command::DropAhead(seen) => {
                self.drop_ahead(*seen);
            }
        }
        Reply::Done
    }
}
