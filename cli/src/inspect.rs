//! `inspect`: shows both stores side by side, or the largest owners.

use std::iter;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use conversation_core::{
    CacheConfig, Conversation, ConversationId, ConversationKey, DatabaseConfig, EntryState, Inspection,
    LargestOwners, OwnerId, RowState, conversation_index, store,
};
use serde::Serialize;

use crate::arguments::{conversation, owner};
use crate::terminal::say;

/// Shows a conversation in Postgres and in Redis side by side, and the differences; or the largest owners.
///
/// Reads only. Exits with 1 if the next read would return something that Postgres does not have. Needs DATABASE_URL, and for a
/// conversation REDIS_URL.
#[derive(Args, Debug)]
pub struct Inspect {
    /// The conversation's id.
    #[arg(value_parser = conversation, required_unless_present = "largest_owners", requires = "owner")]
    id: Option<ConversationId>,
    /// The conversation's owner.
    #[arg(long, value_parser = owner, requires = "id")]
    owner: Option<OwnerId>,
    /// Shows the owners with the most messages instead, ten or as many as are given. Reads every conversation's row in Postgres.
    #[arg(long, value_name = "COUNT", num_args = 0..=1, default_missing_value = "10", conflicts_with = "id")]
    largest_owners: Option<u32>,
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Inspects a conversation, or the owners. Returns whether the next read of the conversation returns what Postgres has.
///
/// # Errors
/// A store cannot be read, or neither has the conversation.
pub async fn inspect(what: Inspect) -> Result<bool> {
    let database = DatabaseConfig::from_env()?;
    let (Some(id), Some(owner)) = (what.id, what.owner) else {
        let largest = conversation_index(&database).largest_owners(what.largest_owners.unwrap_or(10)).await?;
        say(&if what.json { json(&largest)? } else { owners(&largest) });
        return Ok(true);
    };
    let store = store(&database, &CacheConfig::from_env()?);
    let inspection = store.inspect(&ConversationKey { owner, id }).await?;
    if inspection.postgres.is_none() && inspection.redis.is_none() {
        bail!("neither store has such a conversation");
    }
    say(&if what.json { json(&inspection)? } else { table(&inspection) });
    Ok(!inspection.is_wrong())
}

fn json(what: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(what).context("cannot serialise what was found")
}

/// Owners, the largest first, with each one's share of all messages.
fn owners(largest: &LargestOwners) -> String {
    let headings = ["owner", "shard", "conversations", "messages", "of all"].map(str::to_owned);
    let rows = largest.largest.iter().map(|size| {
        let share = 100.0 * size.messages as f64 / largest.messages.max(1) as f64;
        let numbers = [size.conversations, size.messages].map(|number| number.to_string());
        let [conversations, messages] = numbers;
        [
            size.owner.as_str().to_owned(),
            size.shard.to_string(),
            conversations,
            messages,
            format!("{share:.1} %"),
        ]
    });
    let mut text = aligned(&iter::once(headings).chain(rows).collect::<Vec<_>>());
    text.push(format!(
        "\n{} owners, {} conversations, {} messages",
        largest.owners, largest.conversations, largest.messages
    ));
    text.join("\n")
}

/// The rows of a table as lines.
fn aligned<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A row of the table: its name, Postgres's value, Redis's value.
type Line = [String; 3];

fn table(inspection: &Inspection) -> String {
    let mut lines: Vec<Line> = vec![["".into(), "Postgres".into(), "Redis".into()]];
    lines.extend(rows(inspection.postgres.as_ref(), inspection.redis.as_ref()));
    let mut text = aligned(&lines);
    text.push(format!("\nnext read: {}", inspection.next_read));
    if inspection.in_motion {
        text.push("It changed while being read: a difference may be a write on its way.".into());
    }
    match inspection.differences.as_slice() {
        [] if inspection.redis.is_some() => text.push("no differences".into()),
        differences => text.extend(differences.iter().map(|difference| format!("≠ {difference}"))),
    }
    text.join("\n")
}

fn rows(row: Option<&RowState>, entry: Option<&EntryState>) -> Vec<Line> {
    let of_row = |get: &dyn Fn(&RowState) -> String| row.map_or_else(|| "-".to_owned(), get);
    let of_entry = |get: &dyn Fn(&EntryState) -> String| entry.map_or_else(|| "-".to_owned(), get);
    let line = |name: &str, row: &dyn Fn(&RowState) -> String, entry: &dyn Fn(&EntryState) -> String| {
        [name.to_owned(), of_row(row), of_entry(entry)]
    };
    let of = |get: fn(&Conversation) -> String| {
        move |conversation: &Option<Conversation>| conversation.as_ref().map_or_else(|| "-".to_owned(), get)
    };
    let (title, times) = (of(|c| c.title.clone().unwrap_or_default()), of(|c| c.updated_at.to_string()));
    let origin = of(|c| match (&c.forked_from, c.forked_at) {
        (Some(of), Some(at)) => format!("{of} at {at}"),
        _ => "none".to_owned(),
    });
    let metadata = of(|c| serde_json::to_string(&c.metadata).unwrap_or_default());
    let nothing = |_: &RowState| String::new();
    vec![
        line("state", &|row| if row.deleted { "deleted" } else { "live" }.into(), &|entry| state(entry)),
        line("version", &|row| row.version.to_string(), &|entry| number(entry.version)),
        line("epoch", &|row| number(row.epoch), &|entry| number(entry.epoch)),
        line("messages", &|row| of(|c| c.message_count.to_string())(&row.conversation), &|e| number(e.count)),
        line("window", &|row| span(row.window_first, row.window_last, row.window_length), &|entry| {
            let span = span(entry.window_first, entry.window_last, entry.window_length);
            format!("{span}, {} bytes", entry.window_bytes)
        }),
        line("floor", &|row| number(row.window_first), &|entry| number(entry.first)),
        line("last position", &|row| row.last_seq.to_string(), &|entry| number(entry.window_last)),
        line("title", &|row| title(&row.conversation), &|entry| title(&entry.conversation)),
        line("metadata", &|row| metadata(&row.conversation), &|entry| metadata(&entry.conversation)),
        line("forked from", &|row| origin(&row.conversation), &|entry| origin(&entry.conversation)),
        line("updated at", &|row| times(&row.conversation), &|entry| times(&entry.conversation)),
        line(
            "pending invalidation",
            &|row| {
                row.pending_invalidation.map_or("none".into(), |version| format!("up to version {version}"))
            },
            &|_| String::new(),
        ),
        line("records", &|row| format!("{}, {} bytes", row.records, row.record_bytes), &|_| String::new()),
        line("positions to remove", &|row| row.positions_to_remove.to_string(), &|_| String::new()),
        line("validated", &nothing, &|entry| validity(entry)),
        line("write intents", &nothing, &|entry| intents(entry)),
        line("lease", &nothing, &|e| {
            e.leased_ms_ago.map_or("none".into(), |ms| format!("{} ago", millis(ms)))
        }),
        line("server", &nothing, &|entry| {
            let same = entry.held_for_server.as_ref() == Some(&entry.server);
            format!(
                "{}, {}",
                entry.role,
                if same { "the one it was written on" } else { "not the one it was written on" }
            )
        }),
        line("lives for", &nothing, &|e| {
            format!("{}, window {}", millis(e.entry_ttl_ms), millis(e.window_ttl_ms))
        }),
    ]
}

fn state(entry: &EntryState) -> String {
    match entry.deleted_at_version {
        Some(version) => format!("deleted at version {version}"),
        None if entry.conversation.is_some() => "cached".into(),
        None => "control fields only".into(),
    }
}

fn validity(entry: &EntryState) -> String {
    entry.validated_ms_ago.map_or_else(|| "no".into(), |ms| format!("{} ago", millis(ms)))
}

fn intents(entry: &EntryState) -> String {
    let ages: Vec<String> =
        entry.intents.iter().map(|intent| format!("{} old", millis(intent.set_ms_ago))).collect();
    if ages.is_empty() { "none".into() } else { format!("{} ({})", ages.len(), ages.join(", ")) }
}

fn span(first: Option<i64>, last: Option<i64>, length: usize) -> String {
    match (first, last) {
        (Some(first), Some(last)) => format!("{first}-{last}, {length} messages"),
        _ => "empty".into(),
    }
}

fn number(number: Option<i64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

/// Spells milliseconds for people.
fn millis(ms: i64) -> String {
    match ms {
        ..0 => "-".into(),
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{:.1} s", ms as f64 / 1e3),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} days", ms / 86_400_000),
    }
}
