//! What is searched: who takes part, from where it starts, and what may go wrong.

use std::fmt;

use crate::defences::{Defence, Defences};
use crate::entry::{Cache, Entry, Server, Validity};
use crate::faults::{Faults, several};
use crate::row::{Change, Row, Target};
use crate::state::{Node, Process, Reader, ReaderStep, Removal, Side, State, Sweep, Writer, WriterStep};

/// How many messages a window holds, unless a configuration says otherwise.
const CAPACITY: u16 = 2;

/// How things stand at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// There is no such conversation.
    New,
    /// Two messages, nothing cached.
    Cold,
    /// Two messages, valid.
    Warm,
}

/// One who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A write of its own.
    Writer(Change),
    /// The same operation as the write before it: a client that asked again without waiting.
    Again(Change),
    /// A reader, and how often it reads past the cache.
    Reader(u8),
    /// One run of the sweep.
    Sweep,
    /// Its end, which removes the last of what was erased.
    Removal,
    /// A write by code that is being rolled out, and has another cache.
    NextWriter(Change),
    /// A reader of that code.
    NextReader(u8),
}

/// What is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How many messages a window holds.
    pub capacity: u16,
    /// How things stand at first.
    pub start: Start,
    /// Who takes part.
    pub roles: Vec<Role>,
    /// What may go wrong.
    pub faults: Faults,
    /// Whether a write that can set no intent is done all the same; otherwise it is not.
    pub defers: bool,
    /// Whether servers do not say who they are, so that a failover goes unnoticed.
    pub hidden: bool,
    /// What stands against it.
    pub defences: Defences,
}

impl Config {
    /// A warm conversation, windows of two messages, no faults.
    #[must_use]
    pub fn new(roles: &[Role]) -> Self {
        Self {
            capacity: CAPACITY,
            start: Start::Warm,
            roles: roles.to_vec(),
            faults: Faults::NONE,
            defers: false,
            hidden: false,
            defences: Defences::ALL,
        }
    }

    /// Whether some readers may be answered what is older, and must be judged by all that ever was.
    #[must_use]
    pub fn keeps_all(&self) -> bool {
        self.faults.isolated > 0 || self.hidden
    }

    /// Whether the conversation is erased.
    #[must_use]
    pub fn erases(&self) -> bool {
        self.roles.contains(&Role::Writer(Change::Erase))
    }

    /// Whether a reader may find no row.
    #[must_use]
    pub fn may_be_absent(&self) -> bool {
        self.start == Start::New || self.erases()
    }

    /// Whether code with another cache is being rolled out.
    fn has_next(&self) -> bool {
        self.roles.iter().any(|role| matches!(role, Role::NextWriter(_) | Role::NextReader(_)))
    }

    /// What a command finds on a server.
    #[must_use]
    pub fn server(&self, node: &Node) -> Server {
        Server { replid: node.replid, capacity: self.capacity, defences: self.defences }
    }

    /// The state it starts from.
    #[must_use]
    pub fn first_state(&self) -> State {
        let row = if self.start == Start::New { Row::default() } else { Row::with_two_messages() };
        let view = row.view(self.capacity);
        let entry = (self.start == Start::Warm).then_some(Entry {
            replid: 0,
            epoch: Some(row.epoch),
            validity: Some(Validity::Current),
            facts: Some(view.facts),
            tombstone: None,
            lease: None,
            intents: Vec::new(),
            is_brief: false,
        });
        let window = if entry.is_some() { view.window } else { Vec::new() };
        let cache = Cache { entry, window };
        State {
            floor: row.version,
            row,
            past: Vec::new(),
            replica: (self.faults.failover > 0).then(|| cache.clone()),
            redis: Node { replid: 0, cache },
            isolated: None,
            next: self.has_next().then(|| Node { replid: 0, cache: Cache::default() }),
            is_blind: false,
            processes: self.processes(),
            unsettled: 0,
            late: Vec::new(),
            left: self.faults,
            flaw: None,
        }
    }

    fn processes(&self) -> Vec<Process> {
        let (mut operation, mut readers) = (0, 0);
        let begin = |change, operation, attempt, side| {
            Process::Writer(Writer { change, operation, side, attempt, step: WriterStep::first(change) })
        };
        let process = |role: &Role| match *role {
            Role::Writer(change) | Role::NextWriter(change) => {
                operation += 1;
                let is_next = matches!(role, Role::NextWriter(_));
                begin(change, operation, 0, if is_next { Side::Next } else { Side::Primary })
            }
            // Its intents are its own, whatever the attempt.
            Role::Again(change) => begin(change, operation, 8, Side::Primary),
            Role::Reader(turns) | Role::NextReader(turns) => {
                readers += 1;
                let is_next = matches!(role, Role::NextReader(_));
                Process::Reader(Reader { id: readers, is_next, turns, asked: 0, step: ReaderStep::Lease })
            }
            Role::Sweep => Process::Sweep(Sweep::Lookup),
            Role::Removal if self.defences.has(Defence::UnlinksErased) => Process::Removal(Removal::Unlink),
            Role::Removal => Process::Removal(Removal::Row),
        };
        self.roles.iter().map(process).collect()
    }
}

/// Says who takes part and what may go wrong: `add, 2 reads; crash, expiry, 2 evictions`.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = self.roles.chunk_by(|role, next| role == next).map(|alike| {
            let (one, many) = alike[0].title();
            several(u8::try_from(alike.len()).unwrap_or(u8::MAX), one, many)
        });
        let mut parts = vec![who.collect::<Vec<_>>().join(", ")];
        match self.start {
            Start::New => parts.push("new".into()),
            Start::Cold => parts.push("cold".into()),
            Start::Warm => {}
        }
        if self.capacity != CAPACITY {
            parts.push(format!("windows of {}", self.capacity));
        }
        if self.faults != Faults::NONE {
            parts.push(self.faults.to_string());
        }
        let deferring = if self.defers { "deferring: " } else { "" };
        let hidden = if self.hidden { "hidden identity: " } else { "" };
        f.pad(&format!("{deferring}{hidden}{}", parts.join("; ")))
    }
}

impl Role {
    /// What one and what several are called.
    fn title(self) -> (&'static str, &'static str) {
        match self {
            Self::Writer(change) => change.title(),
            Self::Again(_) => ("the same again", "the same again"),
            Self::Reader(1) => ("read", "reads"),
            Self::Reader(2) => ("read twice", "read twice"),
            Self::Reader(_) => ("read often", "read often"),
            Self::Sweep => ("sweep", "sweeps"),
            Self::Removal => ("removal", "removals"),
            Self::NextWriter(_) => ("write to the next cache", "writes to the next cache"),
            Self::NextReader(_) => ("read of the next cache", "reads of the next cache"),
        }
    }
}

impl Change {
    fn title(self) -> (&'static str, &'static str) {
        match self {
            Self::Add => ("add", "adds"),
            Self::AddIf(_) => ("conditional add", "conditional adds"),
            Self::Replace => ("replacement", "replacements"),
            Self::ReplaceIf(_) => ("conditional replacement", "conditional replacements"),
            Self::Update => ("update", "updates"),
            Self::Delete => ("delete", "deletes"),
            Self::Erase => ("erase", "erases"),
            Self::DeleteMessage(Target::Newest) => ("delete newest", "delete newest"),
            Self::DeleteMessage(Target::BeforeNewest) => ("delete earlier", "delete earlier"),
        }
    }
}
