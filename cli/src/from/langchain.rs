//! langchain-postgres: one table, a row a message, the message as LangChain serialises it.

use conversation_core::ExportedMessage;
use serde_json::{Map, Value, json};

use super::row::MessageRow;

pub(super) const QUERY: &str =
    "select session_id::text as session, null::text as title, null::text as metadata,
        (extract(epoch from min(created_at) over everything) * 1000000)::bigint as created_at,
        (extract(epoch from max(created_at) over everything) * 1000000)::bigint as updated_at,
        count(*) over everything as total, row_number() over so_far as seq, id::text as row_id,
        (extract(epoch from created_at) * 1000000)::bigint as at, message::text as body
    from {table}
    window everything as (partition by session_id), so_far as (partition by session_id order by id)
    order by session_id, id";

pub(super) fn convert(found: &MessageRow) -> Result<ExportedMessage, String> {
    let message: Value = serde_json::from_str(&found.body).map_err(|error| error.to_string())?;
    let body = chat_completion(&message)?.to_string();
    ExportedMessage::named(found.seq, &format!("langchain_{}", found.row), found.at, &body)
        .map_err(|invalid| invalid.to_string())
}

/// Converts a message to Chat Completions. Fields that have no place there are kept under `metadata.langchain`.
fn chat_completion(message: &Value) -> Result<Value, String> {
    let kind = message["type"].as_str().unwrap_or_default();
    let Some(data) = message["data"].as_object() else { return Err("it has no data".into()) };
    let role = match kind.trim_end_matches("MessageChunk").to_ascii_lowercase().as_str() {
        "human" => "user",
        "ai" => "assistant",
        "system" => "system",
        "tool" => "tool",
        "chat" => data.get("role").and_then(Value::as_str).unwrap_or_default(),
        _ => return Err(format!("a message of type {kind:?} has no role here")),
    };
    let mut body = Map::from_iter([
        ("role".to_owned(), role.into()),
        ("content".to_owned(), content(data.get("content"))),
    ]);
    let calls: Vec<Value> =
        data.get("tool_calls").and_then(Value::as_array).into_iter().flatten().map(call).collect();
    if !calls.is_empty() {
        body.insert("tool_calls".into(), calls.into());
    }
    for name in ["name", "tool_call_id"] {
        if let Some(text @ Value::String(_)) = data.get(name) {
            body.insert(name.into(), text.clone());
        }
    }
    let rest = rest(data);
    if !rest.is_empty() {
        body.insert("metadata".into(), json!({ "langchain": rest }));
    }
    Ok(body.into())
}

/// Converts content; strings among its parts become text parts.
fn content(content: Option<&Value>) -> Value {
    match content {
        Some(Value::Array(parts)) => parts
            .iter()
            .map(|part| {
                part.as_str().map_or_else(|| part.clone(), |text| json!({ "type": "text", "text": text }))
            })
            .collect(),
        Some(content) => content.clone(),
        None => Value::Null,
    }
}

fn call(call: &Value) -> Value {
    json!({
        "id": call["id"], "type": "function",
        "function": { "name": call["name"], "arguments": call["args"].to_string() },
    })
}

fn rest(data: &Map<String, Value>) -> Map<String, Value> {
    let is_converted = |name: &str| {
        ["content", "type", "tool_calls", "name", "tool_call_id", "example", "role"].contains(&name)
    };
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    let rest = data.iter().filter(|(name, value)| !is_converted(name) && !is_empty(value));
    rest.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_and_its_result_become_those_of_chat_completions() {
        let ai = json!({ "type": "ai", "data": {
            "content": "", "type": "ai", "id": "run-1", "name": null, "example": false, "additional_kwargs": {},
            "tool_calls": [{ "name": "f", "args": { "x": 1 }, "id": "c1", "type": "tool_call" }],
        }});
        assert_eq!(
            chat_completion(&ai).unwrap(),
            json!({
                "role": "assistant", "content": "", "metadata": { "langchain": { "id": "run-1" } },
                "tool_calls": [{ "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{\"x\":1}" } }],
            })
        );
        let tool =
            json!({ "type": "tool", "data": { "content": ["a", { "type": "x" }], "tool_call_id": "c1" } });
        assert_eq!(
            chat_completion(&tool).unwrap(),
            json!({ "role": "tool", "content": [{ "type": "text", "text": "a" }, { "type": "x" }], "tool_call_id": "c1" })
        );
        assert!(chat_completion(&json!({ "type": "remove", "data": {} })).is_err());
    }
}
