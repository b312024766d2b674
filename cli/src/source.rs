//! What an import reads: parts of conversations, one after the other.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use conversation_core::{ConversationRecord, ImportSource, MessageRecord, Record};
use tokio::sync::mpsc;

use crate::{Outcome, Trouble, line};

/// How many messages, and about how many bytes of them, are stored in one transaction. Fixed, so that an import that is
/// repeated makes the same parts.
const MESSAGES: usize = 500;
const BYTES: usize = 1 << 20;
/// More bytes than any line has: a message of the largest size, all of it escaped.
const LINE: u64 = 4 << 20;
/// How much of a file tells it from others.
const HEAD: usize = 1 << 16;

/// A part of a conversation.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) of: Arc<ConversationRecord>,
    pub(crate) messages: Vec<MessageRecord>,
    /// It is the conversation's first.
    pub(crate) first: bool,
    /// It is the conversation's last.
    pub(crate) last: bool,
    /// Where the source was before the conversation, and is after this part.
    pub(crate) began: u64,
    pub(crate) end: u64,
    /// How much of the source it is.
    pub(crate) length: u64,
}

/// Where parts go; false: nobody wants more.
pub(crate) type Parts = mpsc::Sender<Part>;

/// Puts records together to parts.
pub(crate) struct Parter {
    parts: Parts,
    open: Option<Open>,
}

struct Open {
    of: Arc<ConversationRecord>,
    messages: Vec<MessageRecord>,
    bytes: usize,
    seen: i64,
    first: bool,
    began: u64,
    sent: u64,
}

impl Parter {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts, open: None }
    }

    /// The conversation that messages are of now.
    pub(crate) fn of(&self) -> Option<&ConversationRecord> {
        self.open.as_ref().map(|open| open.of.as_ref())
    }

    /// Takes the next record; `began` and `end` are where the source was before it and is after it. False: nobody wants
    /// more.
    ///
    /// # Errors
    /// A conversation has not as many messages as it says.
    pub(crate) async fn take(&mut self, record: Record, began: u64, end: u64) -> Outcome<bool> {
        match record {
            Record::Conversation(of) => {
                if !self.finish(began).await? {
                    return Ok(false);
                }
                let of = Arc::new(of);
                let (messages, bytes, seen, first, sent) = (Vec::new(), 0, 0, true, began);
                self.open = Some(Open { of, messages, bytes, seen, first, began, sent });
                Ok(true)
            }
            Record::Message(message) => {
                let Some(open) = &mut self.open else { return Ok(true) };
                open.seen += 1;
                if open.seen > open.of.message_count {
                    return Err(miscounted(open));
                }
                open.bytes += message.json().len();
                open.messages.push(message);
                let is_full = open.messages.len() == MESSAGES || open.bytes >= BYTES;
                // The last part has to be known for the last, and has as many messages as are left.
                if is_full && open.seen < open.of.message_count {
                    self.send(false, end).await
                } else {
                    Ok(true)
                }
            }
        }
    }

    /// Counts a message that there is and that is not kept.
    pub(crate) fn leave_out(&mut self) {
        if let Some(open) = &mut self.open {
            open.seen += 1;
        }
    }

    /// Ends the conversation that is open.
    ///
    /// # Errors
    /// It has not as many messages as it says.
    pub(crate) async fn finish(&mut self, end: u64) -> Outcome<bool> {
        let Some(open) = &self.open else { return Ok(true) };
        if open.seen != open.of.message_count {
            return Err(miscounted(open));
        }
        let sent = self.send(true, end).await?;
        self.open = None;
        Ok(sent)
    }

    async fn send(&mut self, last: bool, end: u64) -> Outcome<bool> {
        let Some(open) = &mut self.open else { return Ok(true) };
        let part = Part {
            of: Arc::clone(&open.of),
            messages: std::mem::take(&mut open.messages),
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

fn miscounted(open: &Open) -> Trouble {
    let Open { of, seen, .. } = open;
    let id = &of.key.id;
    let why = if *seen < of.message_count { "the export was cut short" } else { "there are more" };
    Trouble::new(format!(
        "conversation {id} has {seen} messages of the {} that it says: {why}",
        of.message_count
    ))
}

/// A file with lines, and what tells it from others.
pub(crate) struct Lines {
    file: File,
    pub(crate) length: u64,
    pub(crate) source: ImportSource,
}

impl Lines {
    pub(crate) fn open(path: &Path) -> Outcome<Self> {
        let cannot = |error: std::io::Error| Trouble::because(path.display(), &error);
        let mut file = File::open(path).map_err(cannot)?;
        let facts = file.metadata().map_err(cannot)?;
        let mut head = Vec::new();
        file.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(cannot)?;
        let name =
            format!("file-{}-{}.{:09}-{:016x}", facts.len(), facts.mtime(), facts.mtime_nsec(), fnv(&head));
        let source = ImportSource::new(name).map_err(|invalid| Trouble::because(path.display(), &invalid))?;
        Ok(Self { file, length: facts.len(), source })
    }

    /// Reads the lines from a position on.
    pub(crate) async fn read(mut self, from: u64, parts: Parts) -> Outcome<()> {
        let sought = self.file.seek(SeekFrom::Start(from));
        sought.map_err(|error| Trouble::because("cannot go to where the last run was", &error))?;
        read(BufReader::with_capacity(1 << 20, self.file), from, parts).await
    }
}

/// Reads lines to their end.
pub(crate) async fn read(mut lines: impl BufRead, mut at: u64, parts: Parts) -> Outcome<()> {
    let mut parter = Parter::new(parts);
    let mut line = String::new();
    loop {
        line.clear();
        let wrong = |error: &dyn std::fmt::Display| Trouble::new(format!("the line at byte {at}: {error}"));
        let length = (&mut lines).take(LINE).read_line(&mut line).map_err(|error| wrong(&error))? as u64;
        if length == LINE {
            return Err(wrong(&"it is longer than any line of an export"));
        }
        if length == 0 {
            return parter.finish(at).await.map(drop);
        }
        if line.trim().is_empty() {
            at += length;
            continue;
        }
        if !line.ends_with('\n') {
            return Err(wrong(&"it does not end: the export was cut short"));
        }
        let record = line::read(&line, parter.of().map(|of| &of.key.id)).map_err(|error| wrong(&error))?;
        if !parter.take(record, at, at + length).await? {
            return Ok(());
        }
        at += length;
    }
}

/// FNV-1a, 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}
