//! `erase` and `erasures`: the erasure of everything that an owner has, and its receipts.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use conversation_core::{
    CacheConfig, ConversationStore, DatabaseConfig, Erasure, OwnerHash, OwnerId, conversation_index, store,
};
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use crate::arguments::owner;
use crate::terminal::{note, say};

/// How long one call goes on with hiding.
const BUDGET: Duration = Duration::from_secs(600);
/// How often it is looked how far the sweep has come.
const PAUSE: Duration = Duration::from_secs(2);
const SWEEP: Duration = Duration::from_secs(20);

/// Erases everything that an owner has, and writes the receipt to stdout.
///
/// Nobody can read any of it when the receipt is written; then it is removed from both stores, which --no-wait leaves to the scheduled
/// sweep. Receipts have nothing of what was erased: keep them apart from the database, and run `erase --replay` after a restore. Needs
/// DATABASE_URL and REDIS_URL.
#[derive(Args, Debug)]
pub struct Erase {
    /// Whose data to erase.
    #[arg(value_parser = owner, required_unless_present = "replay")]
    owner: Option<OwnerId>,
    /// Erases again what a restore has brought back: the owners of these receipts, one JSON object in each line. To be done before
    /// anybody writes: whatever such an owner has is erased.
    #[arg(long, value_name = "FILE", conflicts_with = "owner")]
    replay: Option<PathBuf>,
    /// Who asks for it, as the receipt says.
    #[arg(long, value_name = "NAME", default_value = "operator")]
    by: String,
    /// Does not wait until the sweep has removed everything.
    #[arg(long)]
    no_wait: bool,
}

/// What is read of a receipt, or of the line in the log that says the same.
#[derive(Deserialize)]
struct Replayed {
    id: String,
    owner_hash: String,
}

/// Erases the data of an owner, or again those of receipts.
///
/// # Errors
/// A store cannot be reached or refuses, or a file of receipts cannot be read.
pub async fn erase(what: &Erase) -> Result<()> {
    let (database, cache) = (DatabaseConfig::from_env()?, CacheConfig::from_env()?);
    let store = store(&database, &cache);
    match (&what.owner, &what.replay) {
        (Some(owner), _) => {
            let receipt = store.erase_owner(owner, &what.by, Instant::now() + BUDGET).await?;
            finish(&store, owner, receipt, what.no_wait).await
        }
        (None, Some(path)) => replay(&store, path, &what.by, what.no_wait).await,
        (None, None) => bail!("whose data are to be erased?"),
    }
}

/// Waits until nothing is left, and writes the receipt.
async fn finish(
    store: &ConversationStore,
    owner: &OwnerId,
    mut receipt: Erasure,
    no_wait: bool,
) -> Result<()> {
    if !no_wait && receipt.completed_at.is_none() {
        note(&format!(
            "hidden; removing what {} conversations had takes a minute at least",
            receipt.conversations
        ));
    }
    while !no_wait && receipt.completed_at.is_none() {
        store.sweep(SWEEP).await?;
        sleep(PAUSE).await;
        let (_, last) = store.index().owner(owner).await?;
        receipt = last.context("the receipt is gone")?;
    }
    say(&serde_json::to_string(&receipt)?);
    Ok(())
}

async fn replay(store: &ConversationStore, path: &PathBuf, by: &str, no_wait: bool) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let receipts: Vec<Replayed> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .with_context(|| path.display().to_string())?;
    let known = store.index().erasures().await?;
    let owners = store.index().owners().await?;
    let mut again = 0;
    for receipt in receipts {
        // The restored database has come that far by itself.
        let of_it = |known: &Erasure| known.id == receipt.id || known.requested_by.ends_with(&receipt.id);
        if known.iter().any(of_it) {
            continue;
        }
        let of_receipt = |owner: &&OwnerId| OwnerHash::of(owner).as_str() == receipt.owner_hash;
        let Some(owner) = owners.iter().find(of_receipt) else { continue };
        let by = format!("{by}: replay of {}", receipt.id);
        let erasure = store.erase_owner(owner, &by, Instant::now() + BUDGET).await?;
        finish(store, owner, erasure, no_wait).await?;
        again += 1;
    }
    note(&format!("{again} owners had data again"));
    Ok(())
}

/// Writes the receipts of all erasures to stdout, one JSON object in each line.
///
/// Needs DATABASE_URL.
#[derive(Args, Debug)]
pub struct Erasures {}

/// Writes all receipts.
///
/// # Errors
/// Postgres cannot be read.
pub async fn erasures(_: &Erasures) -> Result<()> {
    let index = conversation_index(&DatabaseConfig::from_env()?);
    for receipt in index.erasures().await? {
        say(&serde_json::to_string(&receipt)?);
    }
    Ok(())
}
