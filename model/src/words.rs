//! How what takes part is put into words.

use std::fmt::{Display, Formatter, Result};

use crate::command::Command;
use crate::entry::{Begun, Cache, Dead, Entry, Facts, Intent, Leased, News, Seq, Stored, Token, Validity};
use crate::reader::LEASES;
use crate::row::{Change, Row, Target};
use crate::state::{Node, Writer};

/// Positions, or intents: `1 2 3`, or `none`.
pub(crate) struct List<'a, T>(pub(crate) &'a [T]);

impl<T: Display> Display for List<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (at, item) in self.0.iter().enumerate() {
            write!(f, "{}{item}", if at == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// `A`, `B`.
fn letter(operation: u8) -> char {
    char::from(b'A' + (operation.saturating_sub(1)) % 26)
}

/// `1.0`: the first lease of the first reader.
fn lease_name(token: Token) -> String {
    format!("{}.{}", token / LEASES, token % LEASES)
}

/// `A.0`: the first attempt of the first write.
impl Display for Intent {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}.{}", letter(self.operation), self.attempt)
    }
}

impl Display for Writer {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let what = match self.change {
            Change::Add => "Add",
            Change::AddIf(_) => "Conditional-add",
            Change::Replace => "Replace",
            Change::ReplaceIf(_) => "Conditional-replace",
            Change::Update => "Update",
            Change::Delete => "Delete",
            Change::Erase => "Erase",
            Change::DeleteMessage(Target::Newest) => "Delete-newest",
            Change::DeleteMessage(Target::BeforeNewest) => "Delete-earlier",
        };
        write!(f, "{what} {}", letter(self.operation))
    }
}

impl Display for Facts {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let messages = if self.count == 1 { "message" } else { "messages" };
        write!(f, "version {}, {} {messages} from {}", self.version, self.count, self.first)
    }
}

impl Display for News {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(
            f,
            "version {}, epoch {}, messages {}",
            self.facts.version,
            self.epoch,
            List::<Seq>(&self.elements)
        )
    }
}

impl Display for Row {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if self.version == 0 {
            let end = if self.erasure.is_some() { "; its id is remembered as erased" } else { "" };
            return write!(f, "no such conversation{end}");
        }
        write!(f, "epoch {}; version {}, ", self.epoch, self.version)?;
        if self.deleted {
            f.write_str(if self.erasure.is_some() { "erased" } else { "deleted" })?;
        } else {
            write!(f, "messages {}", List(&self.live))?;
        }
        if self.has_moved {
            f.write_str("; of the next cache")?;
        }
        self.pending_invalidation
            .map_or(Ok(()), |version| write!(f, "; pending invalidation up to version {version}"))
    }
}

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.cache.fmt(f)?;
        match &self.cache.entry {
            Some(entry) if entry.replid != self.replid => write!(f, "; written by another server"),
            _ => Ok(()),
        }
    }
}

impl Display for Cache {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.entry {
            None if self.window.is_empty() => return f.write_str("empty"),
            None => f.write_str("no entry")?,
            Some(entry) => entry.fmt(f)?,
        }
        write!(f, "; window {}", List(&self.window))?;
        let Some(entry) = &self.entry else { return Ok(()) };
        if let Some(lease) = entry.lease {
            write!(f, "; lease {}", lease_name(lease))?;
        }
        if entry.intents.is_empty() { Ok(()) } else { write!(f, "; intent {}", List(&entry.intents)) }
    }
}

/// What is known; who is at work stands after the window.
impl Display for Entry {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.epoch {
            Some(epoch) => write!(f, "epoch {epoch}")?,
            None => f.write_str("no epoch")?,
        }
        f.write_str(match self.validity {
            Some(Validity::Current) => ", valid",
            Some(Validity::Expired) => ", expired",
            None => "",
        })?;
        if let Some(version) = self.tombstone {
            write!(f, "; deleted at version {version}")?;
        }
        if let Some(facts) = self.facts {
            write!(f, "; {facts}")?;
        }
        Ok(())
    }
}

impl Display for Begun {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.epoch {
            Some(epoch) => write!(f, "epoch {epoch}")?,
            None => f.write_str("no epoch")?,
        }
        f.write_str(if self.valid { ", valid" } else { ", not valid" })?;
        f.write_str(if self.complete { "" } else { ", window not whole" })
    }
}

impl Display for Leased {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(if self.granted { "granted" } else { "refused" })?;
        f.write_str(if self.valid { ", valid" } else { ", not valid" })?;
        if self.intents.is_empty() { Ok(()) } else { write!(f, ", intent {}", List(&self.intents)) }
    }
}

impl Display for Stored {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Validated => "validated",
            Self::Merged => "merged",
            Self::Outdated => "outdated",
            Self::Deleted => "deleted",
        })
    }
}

/// What its sender does.
impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Begin { intent, hint: Some(epoch), .. } => {
                write!(f, "sets intent {intent} under epoch {epoch}")
            }
            Self::Begin { intent, .. } => write!(f, "sets intent {intent}"),
            Self::PlaceIntent(intent) => write!(f, "sets intent {intent} without a look at the entry"),
            Self::Publish { intent, news, .. } => write!(f, "publishes {news} under intent {intent}"),
            Self::Lease { token, dead: Dead { intents: true, .. }, .. } => {
                write!(f, "asks for lease {}, taking the intents for dead", lease_name(*token))
            }
            Self::Lease { token, .. } => write!(f, "asks for lease {}", lease_name(*token)),
            Self::Fill { token, news, .. } => write!(f, "fills {news} under lease {}", lease_name(*token)),
            Self::WriteTombstone(version) => write!(f, "marks it deleted at version {version}"),
            Self::Withdraw(intent) => write!(f, "withdraws intent {intent}"),
            Self::Release => f.write_str("gives the lease back"),
            Self::Invalidate => f.write_str("drops both keys"),
            Self::DropAhead(_) => f.write_str("drops both keys if no newer epoch is known"),
        }
    }
}
