//! openai-agents' SQLAlchemySession: a table of sessions and one of items, which are those of the Responses API.

use std::collections::HashSet;

use conversation_core::{ExportedMessage, MessageId};
use indexmap::IndexMap;
use serde_json::value::RawValue;

use super::row::MessageRow;

// Its times have no zone: they are in that of the database's sessions.
pub(super) const QUERY: &str = "select s.session_id::text as session, null::text as title, null::text as metadata,
        (extract(epoch from s.created_at::timestamptz) * 1000000)::bigint as created_at,
        (extract(epoch from greatest(s.updated_at, max(m.created_at) over everything)::timestamptz) * 1000000)::bigint
            as updated_at,
        count(m.id) over everything as total,
        case when m.id is not null then row_number() over so_far end as seq, m.id::text as row_id,
        (extract(epoch from m.created_at::timestamptz) * 1000000)::bigint as at, m.message_data as body
    from agent_sessions s left join {table} m on m.session_id = s.session_id
    window everything as (partition by s.session_id), so_far as (partition by s.session_id order by m.id)
    order by s.session_id, m.id";

/// Keeps an item to the byte, but removes an id that is a placeholder, is not valid here, or that an earlier item has.
pub(super) fn convert(found: &MessageRow, ids: &mut HashSet<String>) -> Result<ExportedMessage, String> {
    let name = format!("agents_{}", found.row);
    let record = ExportedMessage::named(found.seq, &name, found.at, &found.body);
    match record {
        Ok(record)
            if record.id().as_str() != MessageId::PLACEHOLDER
                && ids.insert(record.id().as_str().to_owned()) =>
        {
            return Ok(record);
        }
        Err(invalid) if invalid.param != "id" => return Err(invalid.to_string()),
        _ => {}
    }
    let mut fields: IndexMap<String, Box<RawValue>> =
        serde_json::from_str(&found.body).map_err(|error| error.to_string())?;
    fields.shift_remove("id");
    let body = serde_json::to_string(&fields).map_err(|error| error.to_string())?;
    ExportedMessage::named(found.seq, &name, found.at, &body).map_err(|invalid| invalid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_and_invalid_ids_are_removed() {
        let mut ids = HashSet::new();
        let mut converted = |row: &str, body: &str| {
            let found = MessageRow { seq: 1, row: row.into(), at: 0, body: body.into() };
            let record = convert(&found, &mut ids).unwrap();
            (record.id().as_str().to_owned(), record.json().to_owned())
        };
        let with = r#"{"id": "msg_1", "role": "assistant", "content": "a"}"#;
        let without = r#"{"role":"assistant","content":"a"}"#;
        assert_eq!(converted("1", with), ("msg_1".into(), with.into()));
        assert_eq!(converted("2", with), ("msg_agents_2".into(), without.into()));
        assert_eq!(
            converted("3", &with.replace("msg_1", "__fake_id__")),
            ("msg_agents_3".into(), without.into())
        );
        assert_eq!(converted("4", r#"{"type":"function_call"}"#).0, "fc_agents_4");
    }
}
