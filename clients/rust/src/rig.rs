//! Sessions of the Rig framework, kept in the conversation store: `AgentBuilder::memory` of `rig-agent` takes a [`SessionStore`].
//!
//! Rig keeps a session as logs and files of bytes. A write to a log names the length that its writer has read, and is to be
//! done only if the log is still that long, in one step. Here a log is a conversation, and each of its messages says how long
//! the log is with it. So the newest message answers the length, its page the version at which the log is that long, and
//! `if_match` makes the write depend on that.

use std::io::{Error, ErrorKind, Result};

use rig_memory::{AsyncStore, LogWriteError, check_log_name, check_name};
use serde_json::{Value, json};

use crate::{Call, Client, Error as StoreError, ListMessages, Match, MessagePage};

/// How many bytes of a log or a file a message holds. As JSON they are at most six times as many, and a message may have
/// 256 KiB.
pub const CHUNK: usize = 32 * 1024;

type LogWrite = std::result::Result<(), LogWriteError>;

/// Logs and files of agents of Rig. Its clones share the connections of their [`Client`].
///
/// The log `alice` of the store `chats` is the conversation `chats:log:alice`, and a file `notes.md` is `chats:file:notes.md`. What an id
/// may not have is written as `=` and two hexadecimal digits for each byte.
#[derive(Clone, Debug)]
pub struct SessionStore {
    store: Client,
    /// Begins the ids of its conversations.
    name: String,
}

impl SessionStore {
    /// A store with a name, of which ids of conversations are made: letters, digits, `-`, `_`, `.` and `:`.
    pub fn new(store: Client, name: impl Into<String>) -> Self {
        Self { store, name: name.into() }
    }

    /// The id of the conversation that is a log or a file. A name may have characters that an id may not, like `/`.
    fn id(&self, kind: &str, name: &str) -> String {
        let escaped = name.bytes().map(|byte| match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            _ => format!("={byte:02X}"),
        });
        format!("{}:{kind}:{}", self.name, escaped.collect::<String>())
    }

    /// Reads everything as it was at one version: where that changes between two pages, it begins again.
    async fn read(&self, id: &str) -> Result<Vec<u8>> {
        let (mut bytes, mut after, mut began) = (Vec::new(), 0, None);
        loop {
            let page = page(self.store.list_messages(id).after(after)).await?.ok_or(ErrorKind::NotFound)?;
            if *began.get_or_insert(page.version) != page.version {
                (bytes, after, began) = (Vec::new(), 0, None);
                continue;
            }
            for message in &page.data {
                let chunk: Value = message.parse()?;
                let text = chunk["bytes"].as_str().unwrap_or_default();
                let these: std::result::Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
                bytes.extend(these.map_err(Error::other)?);
            }
            if !page.has_more {
                return Ok(bytes);
            }
            after = page.after;
        }
    }

    /// Writes these bytes after the first `kept`, which are all or none, in one commit: into a new conversation, or into one that
    /// is there. Says whether that was so.
    async fn write(&self, id: &str, condition: Option<Match>, kept: u64, bytes: &[u8]) -> Result<bool> {
        let mut end = kept;
        let chunks = bytes.chunks(CHUNK).map(|bytes| {
            end += bytes.len() as u64;
            // Each byte is the character of its number: JSON has no bytes, and what is text stays readable.
            let text: String = bytes.iter().copied().map(char::from).collect();
            json!({"type": "rig_record", "end": end, "bytes": text})
        });
        let written = match condition {
            None => self.store.create_conversation().id(id).messages(chunks).if_absent().await.map(drop),
            Some(at) if kept > 0 => self.store.add_messages(id, chunks).if_match(at).await.map(drop),
            Some(at) => self.store.replace_messages(id, 0).messages(chunks).if_match(at).await.map(drop),
        };
        match written {
            Ok(()) => Ok(true),
            Err(StoreError::NotFound(_) | StoreError::VersionMismatch { .. }) => Ok(false),
            Err(error) => Err(Error::other(error)),
        }
    }

    async fn write_log(&self, name: &str, len: u64, keep: bool, bytes: &[u8]) -> LogWrite {
        check_log_name(name)?;
        let id = self.id("log", name);
        loop {
            let newest = page(self.store.list_messages(&id).limit(1)).await?;
            if length(newest.as_ref())? != len {
                return Err(LogWriteError::Changed);
            }
            // Nothing added to a log that is there changes nothing.
            if keep && bytes.is_empty() && newest.is_some() {
                return Ok(());
            }
            let condition = newest.map(|page| Match::At(page.version));
            if self.write(&id, condition, if keep { len } else { 0 }, bytes).await? {
                return Ok(());
            }
            // Another was faster. It may have left the length as it was: that is what counts, and is looked at again.
        }
    }
}

impl AsyncStore for SessionStore {
    async fn read_log_async(&self, name: &str) -> Result<Vec<u8>> {
        check_log_name(name)?;
        self.read(&self.id("log", name)).await
    }

    async fn append_log_async(&self, name: &str, len: u64, bytes: &[u8]) -> LogWrite {
        self.write_log(name, len, true, bytes).await
    }

    async fn replace_log_async(&self, name: &str, len: u64, bytes: &[u8]) -> LogWrite {
        self.write_log(name, len, false, bytes).await
    }

    async fn read_file_async(&self, name: &str) -> Result<Vec<u8>> {
        check_name(name)?;
        self.read(&self.id("file", name)).await
    }

    async fn write_file_async(&self, name: &str, bytes: &[u8]) -> Result<()> {
        check_name(name)?;
        let id = self.id("file", name);
        // Of several first writers one creates it, and the others then replace it.
        loop {
            for condition in [Some(Match::Any), None] {
                if self.write(&id, condition, 0, bytes).await? {
                    return Ok(());
                }
            }
        }
    }
}

/// Reads a page; none where there is no conversation.
async fn page(call: Call<ListMessages>) -> Result<Option<MessagePage>> {
    match call.await {
        Ok(page) => Ok(Some(page)),
        Err(StoreError::NotFound(_)) => Ok(None),
        Err(error) => Err(Error::other(error)),
    }
}

/// How long a log is, by its newest message.
fn length(newest: Option<&MessagePage>) -> Result<u64> {
    let Some(message) = newest.and_then(|page| page.data.first()) else { return Ok(0) };
    let chunk: Value = message.parse()?;
    Ok(chunk["end"].as_u64().unwrap_or(0))
}
