//! `export`: conversations to lines.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use clap::Args;
use conversation_core::{
    ConversationId, ConversationIndex, ConversationKey, DatabaseConfig, OwnerId, Record, Scope,
    conversation_index,
};

use crate::progress::{Counts, Progress};
use crate::{Outcome, Trouble, line, note};

/// How many bytes are written at a time.
const BUFFER: usize = 1 << 20;

/// Writes conversations with all of their messages as NDJSON: one line for each conversation, then one for each message.
///
/// What is written is one snapshot of the database, in the order of owners and ids, and to the byte what clients stored.
/// Imported into an empty store and exported again it is the same file. Deleted conversations are not in it. Needs
/// DATABASE_URL.
#[derive(Args, Debug)]
pub struct Export {
    /// The conversations of this owner.
    #[arg(long, value_parser = owner, required_unless_present = "all", conflicts_with = "all")]
    owner: Option<OwnerId>,
    /// Only this one of the owner's.
    #[arg(long, value_parser = conversation, requires = "owner", value_name = "ID")]
    conversation: Option<ConversationId>,
    /// The conversations of all owners.
    #[arg(long)]
    all: bool,
    /// Where to write; by default, to standard output. The file is there only when it is complete.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn owner(text: &str) -> Result<OwnerId, String> {
    OwnerId::new(text).map_err(|invalid| invalid.problem.to_string())
}

pub(crate) fn conversation(text: &str) -> Result<ConversationId, String> {
    ConversationId::new(text).map_err(|invalid| invalid.problem.to_string())
}

/// Exports.
///
/// # Errors
/// Postgres cannot be read, or the output not written.
pub async fn export(what: Export) -> Outcome<()> {
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
            let file = File::create(&part).map_err(|error| Trouble::because(part.display(), &error))?;
            write(&index, &scope, &file, &counts).await?;
            let kept = file.sync_all().and_then(|()| fs::rename(&part, path));
            kept.map_err(|error| Trouble::because(path.display(), &error))?;
        }
    }
    drop(progress);
    note(&format!("exported {} in {:.1} s", counts.text(), counts.elapsed().as_secs_f64()));
    if matches!(scope, Scope::Conversation(_)) && counts.conversations.load(Ordering::Relaxed) == 0 {
        return Err(Trouble::new("the owner has no such conversation"));
    }
    Ok(())
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

async fn write(index: &ConversationIndex, scope: &Scope, out: impl Write, counts: &Counts) -> Outcome<()> {
    let mut export = index.export(scope).await?;
    let mut out = BufWriter::with_capacity(BUFFER, out);
    let (mut buffer, mut of) = (Vec::new(), None);
    loop {
        let records = export.next().await?;
        if records.is_empty() {
            break;
        }
        for record in records {
            if let Record::Conversation(conversation) = &record {
                of = Some(conversation.key.id.clone());
            }
            let Some(of) = &of else { continue };
            line::write(&record, of, &mut buffer)
                .map_err(|error| Trouble::because("a record has no line", &error))?;
            let count = match record {
                Record::Conversation(_) => &counts.conversations,
                Record::Message(_) => &counts.messages,
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
        out.write_all(&buffer).map_err(|error| Trouble::because("cannot write", &error))?;
        buffer.clear();
    }
    out.flush().map_err(|error| Trouble::because("cannot write", &error))
}
