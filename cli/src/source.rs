//! The source of an import: parts of conversations, one after the other.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Error, Result, anyhow};
use conversation_core::{
    Exported, ExportedConversation, ExportedMessage, ExportedOwner, ExportedRecord, ImportSource,
    RecordScope, read_line,
};
use tokio::sync::mpsc;

/// How many messages or records, and about how many bytes of them, are stored in one transaction. Fixed, so that a repeated import
/// makes the same parts.
const MESSAGES: usize = 500;
const BYTES: usize = 1 << 20;
/// More bytes than any line has: a record of the largest size, all of it escaped.
const LINE: u64 = 32 << 20;
/// How many bytes of a file identify it.
const HEAD: usize = 1 << 16;

/// What messages and records belong to.
#[derive(Debug)]
pub(crate) enum Of {
    /// A conversation.
    Conversation(ExportedConversation),
    /// An owner, of records alone.
    Owner(ExportedOwner),
}

impl Of {
    /// What its records belong to.
    pub(crate) fn scope(&self) -> RecordScope {
        match self {
            Self::Conversation(of) => RecordScope::Conversation(of.key.clone()),
            Self::Owner(of) => RecordScope::Owner(of.owner.clone()),
        }
    }

    /// The last revision that was given to one of its records.
    pub(crate) fn record_revision(&self) -> i64 {
        match self {
            Self::Conversation(of) => of.record_revision,
            Self::Owner(of) => of.record_revision,
        }
    }

    fn record_count(&self) -> i64 {
        match self {
            Self::Conversation(of) => of.record_count,
            Self::Owner(of) => of.record_count,
        }
    }

    fn conversation(&self) -> Option<&ExportedConversation> {
        if let Self::Conversation(of) = self { Some(of) } else { None }
    }

    fn message_count(&self) -> i64 {
        self.conversation().map_or(0, |of| of.message_count)
    }
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conversation(of) => write!(f, "conversation {}", of.key.id),
            Self::Owner(of) => write!(f, "owner {}", of.owner.as_str()),
        }
    }
}

/// What a part consists of.
#[derive(Debug)]
pub(crate) enum Content {
    /// Messages; whether they are the last ones.
    Messages(Vec<ExportedMessage>, bool),
    /// Records, which come after all messages.
    Records(Vec<ExportedRecord>),
}

impl Content {
    /// How many messages or records these are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Messages(messages, _) => messages.len(),
            Self::Records(records) => records.len(),
        }
    }
}

/// A part of a conversation, or of an owner's records.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) of: Arc<Of>,
    pub(crate) content: Content,
    /// Whether this is the first part.
    pub(crate) first: bool,
    /// Whether this is the last part.
    pub(crate) last: bool,
    /// The source's positions before the conversation and after this part.
    pub(crate) began: u64,
    pub(crate) end: u64,
    /// The length of the part in the source.
    pub(crate) length: u64,
}

/// The receiver of parts.
pub(crate) type Parts = mpsc::Sender<Part>;

/// Groups records into parts.
pub(crate) struct Parter {
    parts: Parts,
    open: Option<Open>,
}

struct Open {
    of: Arc<Of>,
    messages: Vec<ExportedMessage>,
    records: Vec<ExportedRecord>,
    /// Whether its messages are sent: it has none, or the last part of them is.
    is_past_messages: bool,
    bytes: usize,
    seen: i64,
    records_seen: i64,
    first: bool,
    began: u64,
    sent: u64,
}

impl Parter {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts, open: None }
    }

    /// Returns the conversation that is open.
    pub(crate) fn of(&self) -> Option<&ExportedConversation> {
        self.open.as_ref().and_then(|open| open.of.conversation())
    }

    /// Takes the next record; `began` and `end` are the source's positions before and after it. Returns false if the receiver
    /// has gone.
    ///
    /// # Errors
    /// A conversation's number of messages is not the one that it states.
    pub(crate) async fn take(&mut self, record: Exported, began: u64, end: u64) -> Result<bool> {
        match record {
            Exported::Conversation(of) => self.begin(Of::Conversation(of), began).await,
            Exported::Owner(of) => self.begin(Of::Owner(of), began).await,
            Exported::Message(message) => self.take_message(message, end).await,
            Exported::Record(record) => self.take_record(record, began, end).await,
        }
    }

    async fn begin(&mut self, of: Of, began: u64) -> Result<bool> {
        if !self.finish(began).await? {
            return Ok(false);
        }
        self.open = Some(Open {
            is_past_messages: of.conversation().is_none(),
            of: Arc::new(of),
            messages: Vec::new(),
            records: Vec::new(),
            bytes: 0,
            seen: 0,
            records_seen: 0,
            first: true,
            began,
            sent: began,
        });
        Ok(true)
    }

    async fn take_message(&mut self, message: ExportedMessage, end: u64) -> Result<bool> {
        let Some(open) = &mut self.open else { return Ok(true) };
        open.seen += 1;
        if open.seen > open.of.message_count() || open.is_past_messages {
            return Err(miscounted(&open.of, open.seen, open.of.message_count(), "messages"));
        }
        open.bytes += message.json().len();
        open.messages.push(message);
        let is_full = open.messages.len() == MESSAGES || open.bytes >= BYTES;
        // The last part has the messages that are left, and is sent when they end.
        if is_full && open.seen < open.of.message_count() {
            self.send(false, false, end).await
        } else {
            Ok(true)
        }
    }

    async fn take_record(&mut self, record: ExportedRecord, began: u64, end: u64) -> Result<bool> {
        if !self.finish_messages(false, began).await? {
            return Ok(false);
        }
        let Some(open) = &mut self.open else { return Ok(true) };
        open.records_seen += 1;
        open.bytes += record.value.bytes.len();
        open.records.push(record);
        let is_full = open.records.len() == MESSAGES || open.bytes >= BYTES;
        if is_full { self.send(false, false, end).await } else { Ok(true) }
    }

    /// Ends the messages of the open conversation, if they are not ended yet. Returns false if the receiver has gone.
    async fn finish_messages(&mut self, last: bool, end: u64) -> Result<bool> {
        let Some(open) = &self.open else { return Ok(true) };
        if open.is_past_messages {
            return Ok(true);
        }
        if open.seen != open.of.message_count() {
            return Err(miscounted(&open.of, open.seen, open.of.message_count(), "messages"));
        }
        let sent = self.send(true, last, end).await?;
        if let Some(open) = &mut self.open {
            open.is_past_messages = true;
        }
        Ok(sent)
    }

    /// Counts a message that is left out.
    pub(crate) fn leave_out(&mut self) {
        if let Some(open) = &mut self.open {
            open.seen += 1;
        }
    }

    /// Ends the open conversation. Returns false if the receiver has gone.
    ///
    /// # Errors
    /// Its number of messages is not the one that it states.
    pub(crate) async fn finish(&mut self, end: u64) -> Result<bool> {
        let Some(open) = &self.open else { return Ok(true) };
        // The last revision is stored, even if all records were deleted.
        let has_records = open.of.record_revision() > 0;
        let mut sent = self.finish_messages(!has_records, end).await?;
        if let Some(open) = self.open.as_ref().filter(|open| open.records_seen != open.of.record_count()) {
            return Err(miscounted(&open.of, open.records_seen, open.of.record_count(), "records"));
        }
        if has_records && sent {
            sent = self.send(false, true, end).await?;
        }
        self.open = None;
        Ok(sent)
    }

    /// Sends what is there; `messages_end`: these are the last messages, `last`: this is the last part.
    async fn send(&mut self, messages_end: bool, last: bool, end: u64) -> Result<bool> {
        let Some(open) = &mut self.open else { return Ok(true) };
        let content = if open.is_past_messages {
            Content::Records(std::mem::take(&mut open.records))
        } else {
            Content::Messages(std::mem::take(&mut open.messages), messages_end)
        };
        let part = Part {
            of: Arc::clone(&open.of),
            content,
            first: std::mem::take(&mut open.first),
            last,
            began: open.began,
            end,
            length: end - open.sent,
        };
        open.bytes = 0;
        open.sent = end;
        Ok(self.parts.send(part).await.is_ok())
    }
}

fn miscounted(of: &Of, seen: i64, stated: i64, what: &str) -> Error {
    let why = if seen < stated { "the export was cut short" } else { "there are more" };
    anyhow!("{of} has {seen} of the {stated} {what} that it states: {why}")
}

/// A file with lines, and what identifies it.
pub(crate) struct Lines {
    file: File,
    pub(crate) length: u64,
    pub(crate) source: ImportSource,
}

impl Lines {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let name = || path.display().to_string();
        let mut file = File::open(path).with_context(name)?;
        let facts = file.metadata().with_context(name)?;
        let mut head = Vec::new();
        file.by_ref().take(HEAD as u64).read_to_end(&mut head).with_context(name)?;
        let identity =
            format!("file-{}-{}.{:09}-{:016x}", facts.len(), facts.mtime(), facts.mtime_nsec(), fnv(&head));
        let source = ImportSource::new(identity).with_context(name)?;
        Ok(Self { file, length: facts.len(), source })
    }

    /// Reads the lines from a position on.
    pub(crate) async fn read(mut self, from: u64, parts: Parts) -> Result<()> {
        let sought = self.file.seek(SeekFrom::Start(from));
        sought.context("cannot seek to the saved position")?;
        read(BufReader::with_capacity(1 << 20, self.file), from, parts).await
    }
}

/// Reads lines to their end.
pub(crate) async fn read(mut lines: impl BufRead, mut at: u64, parts: Parts) -> Result<()> {
    let mut parter = Parter::new(parts);
    let mut line = String::new();
    loop {
        line.clear();
        let here = || format!("the line at byte {at}");
        let length = (&mut lines).take(LINE).read_line(&mut line).with_context(here)? as u64;
        if length == LINE {
            return Err(anyhow!("it is longer than any line of an export").context(here()));
        }
        if length == 0 {
            return parter.finish(at).await.map(drop);
        }
        if line.trim().is_empty() {
            at += length;
            continue;
        }
        if !line.ends_with('\n') {
            return Err(anyhow!("it has no end: the export was cut short").context(here()));
        }
        let record = read_line(&line, parter.of().map(|of| &of.key.id)).with_context(here)?;
        if !parter.take(record, at, at + length).await? {
            return Ok(());
        }
        at += length;
    }
}

/// Hashes bytes with FNV-1a, 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}
