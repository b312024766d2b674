//! Messages of Chat Completions as items: what an assistant says, each tool that it calls, and what a tool returned.

use super::calls::{CallsBefore, legacy_id};
use super::draft::Draft;
use super::object::{COMPLETED, Fields, Object, quoted};
use super::part::{annotations, array, parts};

/// What the store has added, or what an item says elsewhere.
const SHOWN: [&str; 6] = ["id", "seq", "created_at", "type", "status", "role"];

/// A message as items, in order: at least one.
pub(super) fn items(message: &Fields<'_>, role: &str, record: &str, calls: &CallsBefore<'_>) -> Vec<Draft> {
    match role {
        "tool" if message.get("tool_call_id").is_some() => vec![tool_output(message, calls)],
        "function" => vec![function_output(message, calls)],
        "assistant" => by_assistant(message, record),
        role => vec![message_item(message, role, &[])],
    }
}

/// Everything that a message says beside what stands in items of their own.
fn message_item(message: &Fields<'_>, role: &str, elsewhere: &[&str]) -> Draft {
    let by_assistant = role == "assistant";
    let mut content = parts(message.get("content"), by_assistant);
    if let Some(refusal) = message.get("refusal") {
        content.push(Object::new().with("type", "\"refusal\"").with("refusal", refusal).close());
    }
    let annotations = annotations(message).filter(|_| by_assistant);
    let annotated = annotations.and_then(|annotations| annotate(&mut content, &annotations)).is_some();
    let object = Object::new()
        .with("status", message.get("status").unwrap_or(COMPLETED))
        .with("role", &quoted(role))
        .with("content", &array(&content));
    let mut hidden = [&SHOWN[..], &["content", "refusal"], elsewhere].concat();
    if annotated {
        hidden.push("annotations");
    }
    // Who names the type speaks of items, whose fields all come back, also those that say nothing.
    let others = if message.has("type") {
        object.with_others(message.iter().filter(|(key, _)| !hidden.iter().any(|name| **key == **name)))
    } else {
        object.with_others(message.others(&hidden))
    };
    Draft::new("message", others)
}

/// Puts annotations into the last part that is text and has none.
fn annotate(content: &mut [String], annotations: &str) -> Option<()> {
    let part = content.iter_mut().rev().find(|part| part.starts_with("{\"type\":\"output_text\""))?;
    let fields = Fields::parse(part).filter(|fields| fields.some("annotations").is_none())?;
    let annotated = fields.without(&["annotations"]).with("annotations", annotations).close();
    *part = annotated;
    Some(())
}

/// What an assistant says, then what it calls. Who only calls says nothing: the other fields of the message then are those of
/// the first call.
fn by_assistant(message: &Fields<'_>, record: &str) -> Vec<Draft> {
    let Called { items: mut called, elsewhere, left } = calls(message, record);
    if called.is_empty() {
        return vec![message_item(message, "assistant", &[])];
    }
    if !left.is_empty() {
        called[0].add_all(Object::new().with("tool_calls", &array(&left)));
    }
    let hidden = [&SHOWN[..], &["content", "refusal", "annotations"], &elsewhere].concat();
    let says = ["content", "refusal", "audio", "annotations"].iter().any(|name| message.some(name).is_some());
    let clashes = message.others(&hidden).any(|(key, _)| called[0].has(&key.lossy()));
    if says || clashes {
        called.insert(0, message_item(message, "assistant", &elsewhere));
    } else {
        called[0].add(message.others(&hidden));
    }
    called
}

/// The tools that a message calls.
struct Called {
    items: Vec<Draft>,
    /// The fields whose calls are among the items.
    elsewhere: Vec<&'static str>,
    /// Calls that cannot be said as items, as JSON. The others are items all the same: their results are.
    left: Vec<String>,
}

fn calls(message: &Fields<'_>, record: &str) -> Called {
    let mut called = Called { items: Vec::new(), elsewhere: Vec::new(), left: Vec::new() };
    let requests = message.some("tool_calls").and(message.objects("tool_calls")).unwrap_or_default();
    for (at, request) in requests.iter().enumerate() {
        match tool_call(request, record, at) {
            Some(item) => called.items.push(item),
            None => called.left.push(request.without(&[]).close()),
        }
    }
    if called.items.is_empty() {
        called.left.clear();
    } else {
        called.elsewhere.push("tool_calls");
    }
    let function = message.object("function_call");
    if let Some(call) = function.and_then(|it| function_call(&legacy_id(record), &it, Object::new())) {
        called.items.push(call);
        called.elsewhere.push("function_call");
    }
    called
}

fn tool_call(request: &Fields<'_>, record: &str, at: usize) -> Option<Draft> {
    let id = request.get("id").map_or_else(|| quoted(&format!("call_{record}_{at}")), str::to_owned);
    if let Some(custom) = request.object("custom") {
        let object = Object::new()
            .with("call_id", &id)
            .with("name", custom.get("name")?)
            .with("input", &as_string(custom.get("input").unwrap_or("\"\"")))
            .with_others(request.others(&["id", "type", "custom"]))
            .with_others(custom.others(&["name", "input"]));
        return Some(Draft::new("custom_tool_call", object));
    }
    if let Some(function) = request.object("function") {
        let others = Object::new().with_others(request.others(&["id", "type", "function"]));
        return function_call(&id, &function, others);
    }
    // As LangChain has them.
    let object = Object::new()
        .with("call_id", &id)
        .with("name", request.get("name")?)
        .with("arguments", &as_string(request.get("args").unwrap_or("{}")))
        .with("status", COMPLETED)
        .with_others(request.others(&["id", "type", "name", "args"]));
    Some(Draft::new("function_call", object))
}

fn function_call(id: &str, function: &Fields<'_>, others: Object) -> Option<Draft> {
    let object = Object::new()
        .with("call_id", id)
        .with("name", function.get("name")?)
        .with("arguments", &as_string(function.get("arguments").unwrap_or("\"{}\"")))
        .with("status", COMPLETED)
        .with_others(function.others(&["name", "arguments"]));
    let mut draft = Draft::new("function_call", object);
    draft.add_all(others);
    Some(draft)
}

/// A JSON string: of what is none, its JSON.
pub(super) fn as_string(json: &str) -> String {
    if json.starts_with('"') { json.to_owned() } else { quoted(json) }
}

/// What a tool returned, as the counterpart of the call that it answers.
fn tool_output(message: &Fields<'_>, calls: &CallsBefore<'_>) -> Draft {
    let id = message.get("tool_call_id").unwrap_or("null");
    let object = Object::new().with("call_id", id).with("output", &output(message));
    let others = [&SHOWN[..], &["content", "tool_call_id"]].concat();
    if calls.is_custom(id) {
        return Draft::new("custom_tool_call_output", object.with_others(message.others(&others)));
    }
    let object = object.with("status", &status(message)).with_others(message.others(&others));
    Draft::new("function_call_output", object)
}

/// What a function returned, before there were ids: it answers the last call of that name.
fn function_output(message: &Fields<'_>, calls: &CallsBefore<'_>) -> Draft {
    let name = message.text("name").unwrap_or_default();
    let id = calls.legacy(&name).map_or_else(|| quoted(&format!("call_{name}")), str::to_owned);
    let object =
        Object::new().with("call_id", &id).with("output", &output(message)).with("status", &status(message));
    Draft::new(
        "function_call_output",
        object.with_others(message.others(&[&SHOWN[..], &["content"]].concat())),
    )
}

/// How far a tool has come, in the words of items. LangChain says `success` and `error`.
fn status(message: &Fields<'_>) -> String {
    match message.text("status").as_deref() {
        None | Some("success") => COMPLETED.to_owned(),
        Some(status @ ("in_progress" | "completed" | "incomplete")) => quoted(status),
        Some(_) => quoted("incomplete"),
    }
}

fn output(message: &Fields<'_>) -> String {
    match message.get("content") {
        None => quoted(""),
        Some(text) if text.starts_with('"') => text.to_owned(),
        content => array(&parts(content, false)),
    }
}
