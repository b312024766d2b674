//! The Redis side: one conversation's two keys and the commands of the protocol, step by step as the scripts in
//! `core/src/cache` do them.
//!
//! Nothing here knows that it is searched: capacities and numbers are real ones, so that the same functions can be held
//! against a real server. Times are left out: a validity marker is in date or due; and since the clock is the caller's, who
//! calls says whether by that one it is due all the same, and whether intents and leases are taken for dead.

use crate::defences::{Defence, Defences};

/// The position of a message.
pub type Seq = u16;
/// A conversation's version.
pub type Version = u16;
/// A conversation's epoch.
pub type Epoch = u16;
/// A server's replication id.
pub type Replid = u8;
/// Of an entry that was made without asking who the server is.
pub const NO_SERVER: Replid = Replid::MAX;
/// Names one call for a lease.
pub type Token = u16;

/// The field that marks one attempt of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Intent {
    /// Which write.
    pub operation: u8,
    /// Which attempt of it.
    pub attempt: u8,
}

/// A validity marker: the claim that nothing newer exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Validity {
    /// It may be relied on.
    Current,
    /// Its validity period has passed.
    Expired,
}

/// A conversation's row at one version: what bounds its window, and what is answered beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Facts {
    /// The version.
    pub version: Version,
    /// The window's first position, 0 when it is empty.
    pub first: Seq,
    /// How many messages there are in all.
    pub count: u16,
    /// The metadata: the version that set it.
    pub metadata: Version,
}

/// The hash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The server that holds it.
    pub replid: Replid,
    /// The highest epoch known.
    pub epoch: Option<Epoch>,
    /// The validity marker.
    pub validity: Option<Validity>,
    /// The row at the highest version known.
    pub facts: Option<Facts>,
    /// The version at which the conversation was deleted.
    pub tombstone: Option<Version>,
    /// Who is filling it.
    pub lease: Option<Token>,
    /// The writes in flight, in order.
    pub intents: Vec<Intent>,
    /// Whether it lives for seconds only: a lease made it, and nothing else came.
    pub is_brief: bool,
}

/// Both keys. The window is empty exactly when its key is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cache {
    /// The hash.
    pub entry: Option<Entry>,
    /// The list: the positions of its elements, oldest first.
    pub window: Vec<Seq>,
}

/// What a command finds beside the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its replication id.
    pub replid: Replid,
    /// How many messages a window holds.
    pub capacity: u16,
    /// The rules it plays by.
    pub defences: Defences,
}

impl Server {
    fn has(&self, defence: Defence) -> bool {
        self.defences.has(defence)
    }

    fn is(&self, replid: Replid) -> bool {
        replid == self.replid || !self.has(Defence::ReplicationId)
    }
}

/// What publish and fill say of the row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct News {
    /// The row's epoch.
    pub epoch: Epoch,
    /// Whether the same transaction took that epoch: then the elements are the whole window.
    pub took_epoch: bool,
    /// The row.
    pub facts: Facts,
    /// Messages of its window, in order.
    pub elements: Vec<Seq>,
}

/// What begin answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Begun {
    /// The intent that was set.
    pub intent: Intent,
    /// The entry's epoch.
    pub epoch: Option<Epoch>,
    /// Whether a current validity marker stands.
    pub valid: bool,
    /// Whether the window is whole.
    pub complete: bool,
    /// The server's replication id.
    pub replid: Replid,
}

/// What lease answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Leased {
    /// Whether the lease was given.
    pub granted: bool,
    /// The entry's epoch.
    pub epoch: Option<Epoch>,
    /// The version known.
    pub version: Option<Version>,
    /// Whether a current validity marker stands.
    pub valid: bool,
    /// All intents, live or dead.
    pub intents: Vec<Intent>,
}

/// What is old enough, by the caller's clock, to have nobody behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dead {
    /// The intents.
    pub intents: bool,
    /// The lease.
    pub lease: bool,
}

/// What became of a publish or a fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stored {
    /// The window was put in place and validated.
    Validated,
    /// The elements were added.
    Merged,
    /// The entry knows a newer epoch.
    Outdated,
    /// The conversation was deleted.
    Deleted,
}

impl Entry {
    fn new(replid: Replid) -> Self {
        Self {
            replid,
            epoch: None,
            validity: None,
            facts: None,
            tombstone: None,
            lease: None,
            intents: Vec::new(),
            is_brief: false,
        }
    }

    /// Whether there is nothing in it but intents.
    pub(crate) fn knows_nothing(&self) -> bool {
        let known = (self.epoch, self.validity, self.facts, self.tombstone, self.lease);
        known == (None, None, None, None, None)
    }

    fn valid(&self) -> bool {
        self.validity == Some(Validity::Current)
    }

    fn remove_intent(&mut self, intent: Intent) -> bool {
        let stood = self.intents.binary_search(&intent);
        stood.is_ok_and(|at| self.intents.remove(at) == intent)
    }

    fn set_intent(&mut self, intent: Intent) {
        if let Err(at) = self.intents.binary_search(&intent) {
            self.intents.insert(at, intent);
        }
    }
}

impl Cache {
    /// Facts outlive a failover, the claim that they are all of them does not.
    fn touch(&mut self, server: &Server) -> &mut Entry {
        let entry = self.entry.get_or_insert_with(|| Entry::new(server.replid));
        if !server.is(entry.replid) {
            entry.validity = None;
            entry.lease = None;
            entry.replid = server.replid;
        }
        entry
    }

    /// Whether the window is whole: as long as it must be.
    #[must_use]
    pub fn complete(&self, server: &Server) -> bool {
        let Some(facts) = self.entry.as_ref().and_then(|entry| entry.facts) else { return false };
        let whole = usize::from(facts.count.min(server.capacity));
        self.window.len() == whole || !server.has(Defence::HasCount)
    }

    /// `begin.lua`: sets a write's intent and takes away those of its attempts that are over.
    /// `due`: by the caller's clock any validity marker is due.
    pub fn begin(
        &mut self,
        server: &Server,
        intent: Intent,
        hint: Option<Epoch>,
        over: &[Intent],
        due: bool,
    ) -> Begun {
        let entry = self.touch(server);
        if hint > entry.epoch {
            entry.epoch = hint;
            entry.validity = None;
        }
        for &over in over {
            entry.remove_intent(over);
        }
        entry.set_intent(intent);
        entry.is_brief = false;
        let (epoch, valid) = (entry.epoch, entry.valid() && !due);
        Begun { intent, epoch, valid, complete: self.complete(server), replid: server.replid }
    }

    /// `HSET`: sets a write's intent, and nothing is asked or learned of the entry.
    pub fn place_intent(&mut self, intent: Intent) {
        let entry = self.entry.get_or_insert_with(|| Entry::new(NO_SERVER));
        entry.set_intent(intent);
        entry.is_brief = false;
    }

    /// `publish.lua`: brings a commit in and takes its intent away. `replid` is what begin answered.
    pub fn publish(&mut self, server: &Server, intent: Intent, replid: Replid, news: &News) -> Stored {
        let entry = self.touch(server);
        let stood = entry.remove_intent(intent) || !server.has(Defence::OwnIntent);
        if entry.tombstone.is_some() {
            return Stored::Deleted;
        }
        if entry.epoch > Some(news.epoch) && server.has(Defence::NewerEpochWins) {
            self.learn(server, news.facts);
            return Stored::Outdated;
        }
        let validates = news.took_epoch && stood && server.is(replid);
        let stored = self.keep(server, news, validates);
        let wrongly =
            !server.has(Defence::WarmDoesNotValidate) && !news.took_epoch && stood && server.is(replid);
        if wrongly && let Some(entry) = &mut self.entry {
            entry.validity = Some(Validity::Current);
        }
        stored
    }

    /// `lease.lua`: asks to be the one that fills. `dead`, `due`: what the caller's clock makes of intents, of the lease and
    /// of the validity marker.
    pub fn lease(&mut self, server: &Server, token: Token, dead: Dead, due: bool) -> Leased {
        let is_new = self.entry.is_none();
        let entry = self.touch(server);
        entry.is_brief |= is_new;
        let behind_live_intent = !entry.intents.is_empty() && !dead.intents;
        let granted = (entry.lease.is_none() || dead.lease) && !behind_live_intent;
        if granted {
            entry.lease = Some(token);
        }
        Leased {
            granted,
            epoch: entry.epoch,
            version: entry.facts.map(|facts| facts.version),
            valid: entry.valid() && !due,
            intents: entry.intents.clone(),
        }
    }

    /// `fill.lua`: brings in what the holder of a lease read. `seen` is what lease answered.
    pub fn fill(&mut self, server: &Server, token: Token, seen: &[Intent], news: &News) -> Stored {
        let entry = self.touch(server);
        if entry.tombstone.is_some() {
            return Stored::Deleted;
        }
        let leased = entry.lease == Some(token);
        if leased {
            entry.lease = None;
        }
        if entry.epoch > Some(news.epoch) && server.has(Defence::NewerEpochWins) {
            return Stored::Outdated;
        }
        let validates = news.took_epoch && (leased || !server.has(Defence::OwnLease));
        if validates {
            entry.intents.retain(|intent| server.has(Defence::ClearsOnlySeen) && !seen.contains(intent));
        }
        self.keep(server, news, validates)
    }

    /// What publish and fill have in common: the elements, the epoch, the validity marker, the facts.
    fn keep(&mut self, server: &Server, news: &News, validates: bool) -> Stored {
        if validates && server.has(Defence::Replaces) {
            self.window.clone_from(&news.elements);
        } else {
            self.merge(&news.elements);
        }
        let entry = self.touch(server);
        if validates {
            entry.validity = Some(Validity::Current);
        } else if entry.epoch < Some(news.epoch) && server.has(Defence::NewerEpochInvalidates) {
            entry.validity = None;
        }
        // An older epoch gets here only when newer ones do not win; it must not be what undoes them.
        entry.epoch = entry.epoch.max(Some(news.epoch));
        entry.is_brief = false;
        self.learn(server, news.facts);
        if validates { Stored::Validated } else { Stored::Merged }
    }

    fn merge(&mut self, elements: &[Seq]) {
        for seq in elements {
            if let Err(at) = self.window.binary_search(seq) {
                self.window.insert(at, *seq);
            }
        }
    }

    /// Takes over newer facts, then drops what lies before the window.
    fn learn(&mut self, server: &Server, facts: Facts) {
        let Some(entry) = &mut self.entry else { return };
        let is_newer = entry.facts.is_none_or(|known| facts.version > known.version);
        if is_newer || !server.has(Defence::NewestFacts) {
            entry.facts = Some(facts);
        }
        let first = entry.facts.map_or(0, |facts| facts.first);
        if server.has(Defence::DropsBeforeFirst) {
            self.window.retain(|&seq| seq >= first);
        }
    }

    /// `write_tombstone.lua`: marks the conversation deleted.
    pub fn write_tombstone(&mut self, server: &Server, version: Version) {
        let entry = self.touch(server);
        entry.tombstone = Some(version);
        entry.is_brief = false;
        entry.validity = None;
        entry.lease = None;
        entry.intents.clear();
        self.window.clear();
    }

    /// `drop.lua`: drops an entry that is ahead of Postgres, if it still has the epoch seen.
    pub fn drop_ahead(&mut self, seen: Option<Epoch>) -> bool {
        let as_seen = self.entry.as_ref().and_then(|entry| entry.epoch) == seen;
        if as_seen {
            self.invalidate();
        }
        as_seen
    }

    /// `withdraw.lua`: takes away the intent of a write that was certainly not committed, and the entry with it if it
    /// knows nothing else.
    pub fn withdraw(&mut self, intent: Intent) {
        let Some(entry) = &mut self.entry else { return };
        entry.remove_intent(intent);
        if entry.intents.is_empty() && entry.knows_nothing() {
            self.entry = None;
        }
    }

    /// `HDEL` of a lease that has nothing to fill. Whose it is nobody asks.
    pub fn release(&mut self) {
        if let Some(entry) = &mut self.entry {
            entry.lease = None;
        }
    }

    /// `DEL` of both keys.
    pub fn invalidate(&mut self) {
        *self = Self::default();
    }
}
