//! The tables of other stores, read as if they were an export.

mod langchain;
mod openai_agents;
mod plain;
mod row;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, anyhow};
use clap::ValueEnum;
use conversation_core::{
    ConversationFields, ConversationId, ConversationKey, Exported, ExportedConversation, ExportedMessage,
    Metadata, OwnerId, Title,
};
use futures_util::TryStreamExt as _;
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection, Row as _};

use crate::source::{Parter, Parts};
use crate::terminal::note;
use row::{MessageRow, Row};

/// The kind of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// PostgresChatMessageHistory of langchain-postgres; --table, by default chat_history.
    LangchainPostgres,
    /// SQLAlchemySession of openai-agents; --table, by default agent_messages, with agent_sessions.
    OpenaiAgentsSqlalchemy,
    /// Tables `conversations` (id, and if there are title, metadata, created_at, updated_at) and `messages`
    /// (id, conversation_id, role, content, created_at, and if there are name, tool_calls, tool_call_id, metadata);
    /// --table names the latter.
    Plain,
}

/// A connection to the tables of another store.
pub(crate) struct Origin {
    kind: Kind,
    connection: PgConnection,
    owner: OwnerId,
    table: String,
    /// How many messages there are.
    pub(crate) total: u64,
}

impl Kind {
    fn table(self) -> &'static str {
        match self {
            Self::LangchainPostgres => "chat_history",
            Self::OpenaiAgentsSqlalchemy => "agent_messages",
            Self::Plain => "messages",
        }
    }

    fn query(self, table: &str) -> String {
        match self {
            Self::LangchainPostgres => langchain::QUERY,
            Self::OpenaiAgentsSqlalchemy => openai_agents::QUERY,
            Self::Plain => plain::QUERY,
        }
        .replace("{table}", table)
    }

    /// Converts a message to this store's form.
    fn convert(self, message: &MessageRow, ids: &mut HashSet<String>) -> Result<ExportedMessage, String> {
        match self {
            Self::LangchainPostgres => langchain::convert(message),
            Self::OpenaiAgentsSqlalchemy => openai_agents::convert(message, ids),
            Self::Plain => plain::convert(message),
        }
    }
}

impl Origin {
    pub(crate) async fn open(kind: Kind, url: &str, owner: &OwnerId, table: Option<&str>) -> Result<Self> {
        const FAILURE: &str = "cannot read the source";
        let options: PgConnectOptions = url.parse().context(FAILURE)?;
        let mut connection =
            options.application_name("conversation-store import").connect().await.context(FAILURE)?;
        let table = quoted(table.unwrap_or(kind.table()));
        let count = AssertSqlSafe(format!("select count(*) from {table}"));
        let total: i64 = sqlx::query_scalar(count).fetch_one(&mut connection).await.context(FAILURE)?;
        let total = u64::try_from(total).unwrap_or(0);
        Ok(Self { kind, connection, owner: owner.clone(), table, total })
    }
}

/// Quotes a table's name, perhaps with its schema's, for SQL.
fn quoted(name: &str) -> String {
    let part = |part: &str| format!("\"{}\"", part.replace('"', "\"\""));
    name.split('.').map(part).collect::<Vec<_>>().join(".")
}

/// Reads all messages. One that cannot be stored here is reported, counted and left out.
pub(crate) async fn read(origin: Origin, parts: Parts, left_out: &AtomicU64) -> Result<()> {
    let Origin { kind, mut connection, owner, table, .. } = origin;
    let mut rows = sqlx::query(AssertSqlSafe(kind.query(&table))).fetch(&mut connection);
    let (mut parter, mut ids, mut at) = (Parter::new(parts), HashSet::new(), 0_u64);
    let mut session: Option<String> = None;
    while let Some(row) = rows.try_next().await.context("cannot read the source")? {
        let row = read_row(&row).context("cannot read the source")?;
        if session.as_deref() != Some(row.session.as_str()) {
            let record = conversation(&owner, &row)
                .map_err(|error| anyhow!("conversation {} of the source: {error}", row.session))?;
            if !parter.take(Exported::Conversation(record), at, at).await? {
                return Ok(());
            }
            session = Some(row.session.clone());
            ids.clear();
        }
        let Some(message) = row.message else { continue };
        at += 1;
        match kind.convert(&message, &mut ids) {
            Ok(record) => {
                if !parter.take(Exported::Message(record), at - 1, at).await? {
                    return Ok(());
                }
            }
            Err(reason) => {
                left_out.fetch_add(1, Ordering::Relaxed);
                note(&format!("left out: message {} of {}: {reason}", message.row, row.session));
                parter.leave_out();
            }
        }
    }
    parter.finish(at).await.map(drop)
}

fn read_row(row: &PgRow) -> sqlx::Result<Row> {
    let message = match row.try_get::<Option<i64>, _>("seq")? {
        None => None,
        Some(seq) => Some(MessageRow {
            seq,
            row: row.try_get("row_id")?,
            at: row.try_get("at")?,
            body: row.try_get("body")?,
        }),
    };
    Ok(Row {
        session: row.try_get("session")?,
        title: row.try_get("title")?,
        metadata: row.try_get("metadata")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
        total: row.try_get("total")?,
        message,
    })
}

fn conversation(owner: &OwnerId, row: &Row) -> Result<ExportedConversation, String> {
    let id = ConversationId::new(conversation_id(&row.session)).map_err(|invalid| invalid.to_string())?;
    let title = row.title.clone().map(Title::new).transpose().map_err(|invalid| invalid.to_string())?;
    let has_messages = row.message.is_some();
    let record = ExportedConversation {
        key: ConversationKey { owner: owner.clone(), id },
        fields: ConversationFields::of(title, metadata(row.metadata.as_deref())?),
        version: 0,
        last_seq: row.total,
        message_count: row.total,
        created_at: row.created_at,
        updated_at: row.updated_at,
        last_message_at: has_messages.then_some(row.updated_at),
        forked_from: None,
        forked_at: None,
        record_revision: 0,
        record_count: 0,
    };
    record.check().map_err(|invalid| invalid.to_string())?;
    Ok(record)
}

/// Converts metadata to pairs of strings; values of other kinds become their JSON.
fn metadata(json: Option<&str>) -> Result<Metadata, String> {
    let Some(json) = json else { return Ok(Metadata::default()) };
    let values: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(json).map_err(|error| format!("metadata: {error}"))?;
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    let pairs = values.into_iter().map(|(key, value)| (key, text(value))).collect();
    Metadata::new(pairs).map_err(|invalid| invalid.to_string())
}

/// Converts a session's name to an id: a byte that an id cannot hold becomes `~` and two hexadecimal digits, and so do dots
/// where there is nothing else. No name is `~` alone.
fn conversation_id(session: &str) -> String {
    let is_only_dots = session.bytes().all(|byte| byte == b'.');
    let fits = |byte: u8| ConversationId::may_contain(byte) && byte != b'~' && !is_only_dots;
    let mut id = String::with_capacity(session.len() + 1);
    if session.is_empty() {
        id.push('~');
    }
    for byte in session.bytes() {
        if fits(byte) {
            id.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(id, "~{byte:02x}");
        }
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_an_id_of_its_own() {
        for (session, id) in [
            ("0198c2f0-7e1a", "0198c2f0-7e1a"),
            ("user 42/ü", "user~2042~2f~c3~bc"),
            ("_a~b", "_a~7eb"),
            ("+1415=;|", "+1415=;|"),
            ("..", "~2e~2e"),
            ("", "~"),
        ] {
            assert_eq!(conversation_id(session), id);
            assert!(ConversationId::new(id).is_ok());
        }
    }

    #[test]
    fn tables_are_named_literally() {
        assert_eq!(quoted("chat.history\"; drop"), "\"chat\".\"history\"\"; drop\"");
    }
}
