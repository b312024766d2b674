//! `export`: writes conversations as lines.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use conversation_core::{
    ConversationId, ConversationIndex, ConversationKey, DatabaseConfig, Exported, OwnerId, Scope,
    conversation_index, write_line,
};

use crate::arguments::{conversation, owner};
use crate::progress::{Counts, Progress};
use crate::terminal::note;

/// How many bytes are written at a time.
const BUFFER: usize = 1 << 20;

/// Writes conversations with all of their messages and records as NDJSON: one line for each conversation, then one for each message and one
/// for each record. Owners' own records come before all conversations.
///
/// The output is one snapshot of the database, in the order of owners and ids, with messages to the byte as clients sent
/// them. Imported into an empty store and exported again, it is the same file. Deleted conversations are not included. Needs
/// DATABASE_URL.
#[derive(Args, Debug)]
pub struct Export {
    /// Exports the conversations of this owner.
    #[arg(long, value_parser = owner, required_unless_present = "all", conflicts_with = "all")]
    owner: Option<OwnerId>,
    /// Exports only this conversation of the owner.
    #[arg(long, value_parser = conversation, requires = "owner", value_name = "ID")]
    conversation: Option<ConversationId>,
    /// Exports the conversations of all owners.
    #[arg(long)]
    all: bool,
    /// The output file (default: stdout). It appears under its name only when it is complete.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Exports conversations.
///
/// # Errors
/// Postgres cannot be read, or the output cannot be written.
pub async fn export(what: Export) -> Result<()> {
    let index = conversation_index(&DatabaseConfig::from_env()?);
    let scope = match (what.owner, what.conversation) {
        (Some(owner), Some(id)) => Scope::Conversation(ConversationKey { owner, id }),
        (Some(owner), None) => Scope::Owner(owner),
        (None, _) => Scope::Everything,
    };
    let progress = Progress::start("export", None, 0);
    let counts = progress.counts();
    match &what.output {
        None => write(&index, &scope, io::stdout().lock(), &counts).await?,
        Some(path) => {
            let part = beside(path);
            let file = File::create(&part).with_context(|| part.display().to_string())?;
            write(&index, &scope, &file, &counts).await?;
            let kept = file.sync_all().and_then(|()| fs::rename(&part, path));
            kept.with_context(|| path.display().to_string())?;
        }
    }
    drop(progress);
    note(&format!("exported {} in {:.1} s", counts.text(), counts.elapsed().as_secs_f64()));
    if matches!(scope, Scope::Conversation(_)) && counts.conversations.load(Ordering::Relaxed) == 0 {
        bail!("the owner has no such conversation");
    }
    Ok(())
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

async fn write(index: &ConversationIndex, scope: &Scope, out: impl Write, counts: &Counts) -> Result<()> {
    let mut export = index.export(scope).await?;
    let mut out = BufWriter::with_capacity(BUFFER, out);
    let (mut buffer, mut of) = (Vec::new(), None);
    loop {
        let records = export.next().await?;
        if records.is_empty() {
            break;
        }
        for record in records {
            match &record {
                Exported::Conversation(conversation) => of = Some(conversation.key.id.clone()),
                Exported::Owner(_) => of = None,
                Exported::Message(_) | Exported::Record(_) => {}
            }
            write_line(&record, of.as_ref(), &mut buffer).context("cannot serialise a record")?;
            let count = match record {
                Exported::Conversation(_) => &counts.conversations,
                Exported::Message(_) => &counts.messages,
                Exported::Record(_) => &counts.records,
                Exported::Owner(_) => continue,
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
        out.write_all(&buffer).context("cannot write")?;
        buffer.clear();
    }
    out.flush().context("cannot write")
}
