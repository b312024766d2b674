//! The source of an import: parts of conversations, one after the other.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Error, Result, anyhow};
use conversation_core::{ConversationRecord, ImportSource, MessageRecord, Record};
use tokio::sync::mpsc;

use crate::line;

/// How many messages, and about how many bytes of them, are stored in one transaction. Fixed, so that a repeated import
/// makes the same parts.
const MESSAGES: usize = 500;
const BYTES: usize = 1 << 20;
/// More bytes than any line has: a message of the largest size, all of it escaped.
const LINE: u64 = 4 << 20;
/// How many bytes of a file identify it.
const HEAD: usize = 1 << 16;

/// A part of a conversation.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) of: Arc<ConversationRecord>,
    pub(crate) messages: Vec<MessageRecord>,
    /// Whether this is the conversation's first part.
    pub(crate) first: bool,
    /// Whether this is the conversation's last part.
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

    /// Returns the conversation that is open.
    pub(crate) fn of(&self) -> Option<&ConversationRecord> {
        self.open.as_ref().map(|open| open.of.as_ref())
    }

    /// Takes the next record; `began` and `end` are the source's positions before and after it. Returns false if the receiver
    /// has gone.
    ///
    /// # Errors
    /// A conversation's number of messages is not the one that it states.
    pub(crate) async fn take(&mut self, record: Record, began: u64, end: u64) -> Result<bool> {
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
                // The last part has the messages that are left, and is sent when the conversation ends.
                if is_full && open.seen < open.of.message_count {
                    self.send(false, end).await
                } else {
                    Ok(true)
                }
            }
        }
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
        if open.seen != open.of.message_count {
            return Err(miscounted(open));
        }
        let sent = self.send(true, end).await?;
        self.open = None;
        Ok(sent)
    }

    async fn send(&mut self, last: bool, end: u64) -> Result<bool> {
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

fn miscounted(open: &Open) -> Error {
    let Open { of, seen, .. } = open;
    let id = &of.key.id;
    let why = if *seen < of.message_count { "the export was cut short" } else { "there are more" };
    anyhow!("conversation {id} has {seen} of the {} messages that it states: {why}", of.message_count)
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
        let record = line::read(&line, parter.of().map(|of| &of.key.id)).with_context(here)?;
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
