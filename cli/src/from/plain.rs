//! Two plain tables, `conversations` and `messages`, with a column for each field, under one of a few names.

use conversation_core::{ExportedMessage, MessageId};
use serde_json::{Map, Value};

use super::row::MessageRow;

// Rows as JSON, so that columns may be there or not.
pub(super) const QUERY: &str = "with c as (
        select coalesce(j ->> 'conversation_id', j ->> 'id') as id, j ->> 'title' as title,
            case when jsonb_typeof(j -> 'metadata') = 'object' then j ->> 'metadata' end as metadata,
            (j ->> 'created_at')::timestamptz as created_at, (j ->> 'updated_at')::timestamptz as updated_at
        from (select to_jsonb(t) as j from conversations t) rows),
    m as (
        select j ->> 'conversation_id' as conversation, coalesce(j -> 'message_id', j -> 'id') as id, j,
            (j ->> 'created_at')::timestamptz as at
        from (select to_jsonb(t) as j from {table} t) rows)
    select c.id as session, c.title, c.metadata,
        (extract(epoch from coalesce(c.created_at, min(m.at) over everything, now())) * 1000000)::bigint as created_at,
        (extract(epoch from coalesce(greatest(c.updated_at, max(m.at) over everything), c.created_at, now())) * 1000000)
            ::bigint as updated_at,
        count(m.j) over everything as total, case when m.j is not null then row_number() over so_far end as seq,
        m.id #>> '{}' as row_id, (extract(epoch from coalesce(m.at, now())) * 1000000)::bigint as at, m.j::text as body
    from c left join m on m.conversation = c.id
    window everything as (partition by c.id), so_far as (partition by c.id order by m.at, m.id)
    order by c.id, m.at, m.id";

/// The columns that become fields of a message.
const FIELDS: [&str; 6] = ["role", "content", "name", "tool_calls", "tool_call_id", "metadata"];

pub(super) fn convert(found: &MessageRow) -> Result<ExportedMessage, String> {
    let row: Map<String, Value> = serde_json::from_str(&found.body).map_err(|error| error.to_string())?;
    let is_field = |name: &String, value: &Value| {
        FIELDS.contains(&name.as_str()) && (name == "content" || !value.is_null())
    };
    let body: Map<String, Value> = row.into_iter().filter(|(name, value)| is_field(name, value)).collect();
    let id = MessageId::new(found.row.as_str()).map_err(|invalid| invalid.to_string())?;
    ExportedMessage::new(found.seq, id, found.at, &Value::from(body).to_string())
        .map_err(|invalid| invalid.to_string())
}
