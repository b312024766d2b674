//! Messages as the OpenAI Conversations API has them: as items. One record is one item, with one id.
//!
//! What has a type of its own, as `function_call`, is answered as it came. A message of Chat Completions becomes the
//! item that says the same, with the fields that the Responses API knows, so that what is read here can be sent there;
//! the native view has all of them.

use std::fmt;

use conversation_core::{Invalid, Message, NewMessage};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A message as an item: its JSON.
#[derive(Debug)]
pub(crate) struct Item(String);

/// Types of items that the OpenAI SDKs expect to have a `status`, which callers may leave out.
const WITH_STATUS: &[&str] = &[
    "apply_patch_call",
    "apply_patch_call_output",
    "code_interpreter_call",
    "computer_call",
    "computer_call_output",
    "file_search_call",
    "function_call",
    "function_call_output",
    "image_generation_call",
    "local_shell_call",
    "program_output",
    "shell_call",
    "shell_call_output",
    "tool_search_call",
    "tool_search_output",
    "web_search_call",
];
const COMPLETED: &str = "\"completed\"";

/// Reads an item that a caller sent: a message, under the same rules. An `id` of null, which the SDKs may send, is none.
pub(crate) fn parse(json: &str) -> Result<NewMessage, Invalid> {
    let fields = Fields::parse(json).filter(|fields| fields.has("id") && fields.get("id").is_none());
    match fields {
        Some(fields) => NewMessage::parse(&fields.without(&["id"]).close()),
        None => NewMessage::parse(json),
    }
}

impl Item {
    pub(crate) fn of(message: &Message) -> Self {
        // Whatever is stored was an object when it came.
        let fields = Fields::parse(message.json());
        Self(fields.map_or_else(|| message.json().to_owned(), |fields| fields.as_item()))
    }

    pub(crate) fn json(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_json(self) -> String {
        self.0
    }
}

/// An object's fields in their order, each value as it was spelt.
#[derive(Debug)]
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl<'a> Fields<'a> {
    fn parse(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    /// A field that is not null, as it was spelt.
    fn get(&self, name: &str) -> Option<&'a str> {
        let value = self.0.iter().find(|(key, _)| key == name)?.1.get();
        (value != "null").then_some(value)
    }

    /// A field that is a string.
    fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?).ok()
    }

    /// A field that is an object.
    fn object(&self, name: &str) -> Option<Self> {
        Self::parse(self.get(name)?)
    }

    /// A field that is an array of objects.
    fn objects(&self, name: &str) -> Option<Vec<Self>> {
        serde_json::from_str(self.get(name)?).ok()
    }

    /// All fields but these.
    fn without(&self, names: &[&str]) -> Object {
        let mut object = Object::new();
        for (key, value) in self.0.iter().filter(|(key, _)| !names.contains(&key.as_str())) {
            object.put(key, value.get());
        }
        object
    }
}

/// A message, seen as an item.
impl Fields<'_> {
    fn as_item(&self) -> String {
        let kind = self.text("type").unwrap_or_default();
        match self.text("role").filter(|_| self.is_message(&kind)).as_deref() {
            Some("tool") if self.get("tool_call_id").is_some() => self.as_call_output(),
            Some("assistant" | "ai") => self.as_call().unwrap_or_else(|| self.as_message("assistant", &kind)),
            Some("human") => self.as_message("user", &kind),
            Some(role) => self.as_message(role, &kind),
            None => self.as_it_came(&kind),
        }
    }

    /// The same rule by which an item needs no content.
    fn is_message(&self, kind: &str) -> bool {
        let content = ["content", "tool_calls", "function_call", "refusal", "audio"];
        matches!(kind, "" | "message") || content.iter().any(|name| self.get(name).is_some())
    }

    fn as_it_came(&self, kind: &str) -> String {
        if self.get("status").is_some() || !WITH_STATUS.contains(&kind) {
            return self.without(&["seq", "created_at"]).close();
        }
        self.without(&["seq", "created_at", "status"]).with("status", COMPLETED).close()
    }

    fn as_message(&self, role: &str, kind: &str) -> String {
        let object = self
            .begin("message")
            .with("status", self.get("status").unwrap_or(COMPLETED))
            .with("role", &quoted(role))
            .with("content", &self.parts(role == "assistant"));
        let shown = ["id", "seq", "created_at", "type", "status", "role", "content", "refusal"];
        // Callers that name the type speak of items, and so do all their fields. Of other messages what stands for content
        // that no part can hold is kept too.
        let kept = ["phase", "tool_calls", "function_call", "audio"];
        let rest = self.0.iter().filter(|(key, value)| {
            !shown.contains(&key.as_str())
                && (kind == "message"
                    || (kept.contains(&key.as_str()) && !matches!(value.get(), "null" | "[]")))
        });
        rest.fold(object, |object, (key, value)| object.with(key, value.get())).close()
    }

    /// The result of a tool request.
    fn as_call_output(&self) -> String {
        let content = self.get("content").filter(|content| content.starts_with('"'));
        let output = content.map_or_else(|| self.parts(false), str::to_owned);
        self.begin("function_call_output")
            .with("call_id", self.get("tool_call_id").unwrap_or("null"))
            .with("output", &output)
            .with("status", COMPLETED)
            .close()
    }

    /// An assistant's message that is one request of a function and nothing else. Several calls are one record too, and stay
    /// one message.
    fn as_call(&self) -> Option<String> {
        let silent = self.get("content").is_none_or(|content| matches!(content, "\"\"" | "[]"));
        let calls = self.objects("tool_calls").filter(|calls| silent && calls.len() == 1)?;
        let request = calls.first().filter(|_| self.get("refusal").is_none())?;
        let function = request.object("function")?;
        let object = self
            .begin("function_call")
            .with("call_id", request.get("id")?)
            .with("name", function.get("name")?)
            .with("arguments", function.get("arguments")?);
        Some(object.with("status", COMPLETED).close())
    }

    fn begin(&self, kind: &str) -> Object {
        Object::new().with("id", self.get("id").unwrap_or("null")).with("type", &quoted(kind))
    }

    /// The content as an array of parts.
    fn parts(&self, by_assistant: bool) -> String {
        let text = |text: &str| {
            let part = Object::new().with("type", &quoted(text_type(by_assistant))).with("text", text);
            if by_assistant { part.with("annotations", "[]").close() } else { part.close() }
        };
        let mut parts = match self.get("content") {
            Some(content) if content.starts_with('"') => vec![text(content)],
            _ => {
                let parts = self.objects("content").unwrap_or_default();
                parts.iter().map(|part| part.as_part(by_assistant)).collect()
            }
        };
        if let Some(refusal) = self.get("refusal") {
            parts.push(Object::new().with("type", "\"refusal\"").with("refusal", refusal).close());
        }
        format!("[{}]", parts.join(","))
    }
}

/// A part of a message's content.
impl Fields<'_> {
    /// The part under the name that items have for it, with what they always have.
    fn as_part(&self, by_assistant: bool) -> String {
        match self.text("type").as_deref() {
            Some("text" | "output_text") if by_assistant => self.as_output_text(),
            Some("text") => self.renamed(text_type(by_assistant)).close(),
            Some("image_url") => self.as_image(),
            Some("input_image") if self.get("detail").is_none() => {
                self.without(&["detail"]).with("detail", "\"auto\"").close()
            }
            Some("file") => self.as_file(),
            _ => self.without(&[]).close(),
        }
    }

    fn renamed(&self, kind: &str) -> Object {
        self.0.iter().fold(Object::new(), |object, (key, value)| {
            if key == "type" { object.with(key, &quoted(kind)) } else { object.with(key, value.get()) }
        })
    }

    fn as_output_text(&self) -> String {
        let part = self.renamed("output_text");
        if self.has("annotations") { part.close() } else { part.with("annotations", "[]").close() }
    }

    /// `{"type":"image_url","image_url":{"url":...,"detail":...}}`; some callers leave out the inner object.
    fn as_image(&self) -> String {
        let image = self.object("image_url");
        let url = image.as_ref().map_or_else(|| self.get("image_url"), |image| image.get("url"));
        let detail = image.as_ref().and_then(|image| image.get("detail"));
        Object::new()
            .with("type", "\"input_image\"")
            .with("image_url", url.unwrap_or("null"))
            .with("detail", detail.unwrap_or("\"auto\""))
            .close()
    }

    /// `{"type":"file","file":{"file_id":...}}`.
    fn as_file(&self) -> String {
        let part = Object::new().with("type", "\"input_file\"");
        let file = self.object("file").unwrap_or(Fields(Vec::new()));
        file.0.iter().fold(part, |part, (key, value)| part.with(key, value.get())).close()
    }
}

fn text_type(by_assistant: bool) -> &'static str {
    if by_assistant { "output_text" } else { "input_text" }
}

/// An object that is being written.
struct Object(String);

impl Object {
    fn new() -> Self {
        Self("{".into())
    }

    /// Adds a field whose value is JSON.
    fn put(&mut self, name: &str, json: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&quoted(name));
        self.0.push(':');
        self.0.push_str(json);
    }

    fn with(mut self, name: &str, json: &str) -> Self {
        self.put(name, json);
        self
    }

    fn close(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
