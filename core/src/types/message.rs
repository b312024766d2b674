//! Messages: the client's JSON, kept to the byte.

mod batch;
mod id;
mod role;
mod stored;

use serde_json::value::RawValue;

use super::error::{Invalid, Problem};
use super::json::{JsonFields, JsonText, difference, nests_deeper};

pub use batch::{BATCH, Batch, Compare, join};
pub use id::MessageId;
pub use role::Role;
pub use stored::Message;

/// The largest message, in bytes of JSON.
pub const MESSAGE_BYTES: usize = 256 * 1024;
/// The deepest nesting within a message. With the list around it, an answer stays below the 128 levels that common
/// parsers read.
pub const MESSAGE_DEPTH: usize = 100;

/// A message that may be stored: a JSON object that obeys the rules of its kind, and its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    pub(crate) id: MessageId,
    pub(crate) id_in_body: bool,
    pub(crate) body: String,
}

/// The fields that have rules. All others are the client's business and are kept as they are.
#[derive(Default)]
struct Fields<'a> {
    id: Option<&'a RawValue>,
    seq: Option<&'a RawValue>,
    created_at: Option<&'a RawValue>,
    role: Option<&'a RawValue>,
    kind: Option<&'a RawValue>,
    content: Option<&'a RawValue>,
    parts: Option<&'a RawValue>,
    tool_calls: Option<&'a RawValue>,
    function_call: Option<&'a RawValue>,
    refusal: Option<&'a RawValue>,
    audio: Option<&'a RawValue>,
    tool_call_id: Option<&'a RawValue>,
    name: Option<&'a RawValue>,
    metadata: Option<&'a RawValue>,
}

impl NewMessage {
    /// Reads a message from the JSON that a client sent. A message has a `role` and `content`, or `parts` as the AI SDK has
    /// them; an object without them is an item of the OpenAI Conversations API and has a `type` that says which. What was read
    /// here can be put back: beside an `id`, `seq` and `created_at` are left out.
    ///
    /// # Errors
    /// The first rule that it breaks, with the path to the value within the message.
    pub fn parse(json: &str) -> Result<Self, Invalid> {
        let body = trimmed(json)?;
        if !body.starts_with('{') {
            return Err(Problem::Type { expected: "an object" }.of(""));
        }
        let all = JsonFields::parse(body).ok_or_else(|| Problem::Type { expected: "valid JSON" }.of(""))?;
        Self::checked(body, &all)
    }

    /// The same, of JSON whose fields were read before.
    ///
    /// # Errors
    /// As [`NewMessage::parse`].
    pub fn of_fields(json: &str, all: &JsonFields<'_>) -> Result<Self, Invalid> {
        Self::checked(trimmed(json)?, all)
    }

    fn checked(body: &str, all: &JsonFields<'_>) -> Result<Self, Invalid> {
        let fields = Fields::of(all)?;
        fields.check()?;
        let id = fields.id.map(|id| string(id, "id").and_then(MessageId::new)).transpose()?;
        let was_read = fields.seq.or(fields.created_at).is_some();
        Ok(Self {
            id_in_body: id.is_some(),
            id: id.unwrap_or_else(|| MessageId::generate(fields.item_kind().as_deref())),
            body: if was_read { all.without(&["seq", "created_at"]) } else { body.to_owned() },
        })
    }

    /// Its id: the client's, or one that was made for it.
    pub fn id(&self) -> &MessageId {
        &self.id
    }

    /// The client's JSON.
    pub fn json(&self) -> &str {
        &self.body
    }

    /// A message as it is stored.
    pub(crate) fn stored(id: MessageId, body: String) -> Self {
        let id_in_body = JsonFields::parse(&body).is_some_and(|fields| fields.has("id"));
        Self { id, id_in_body, body }
    }
}

/// A message's JSON without what stands around it.
fn trimmed(json: &str) -> Result<&str, Invalid> {
    let body = json.trim_matches([' ', '\t', '\r', '\n']);
    if body.len() > MESSAGE_BYTES {
        return Err(Problem::TooLarge { max: MESSAGE_BYTES }.of(""));
    }
    if nests_deeper(body, MESSAGE_DEPTH) {
        return Err(Problem::TooDeep { max: MESSAGE_DEPTH }.of(""));
    }
    Ok(body)
}

/// Where two messages differ, in the JSON that was sent and the one that is stored; none: they are the same. What the store adds
/// makes no difference: the id by which both are known, position and time, and `completed`, the status of an item that came
/// without.
pub fn difference_of_messages(sent: &str, stored: &str) -> Option<String> {
    let (Some(sent), Some(stored)) = (JsonFields::parse(sent), JsonFields::parse(stored)) else {
        return Some(String::new());
    };
    let own = |message: &JsonFields<'_>| {
        let mut status =
            message.0.iter().filter(|(key, _)| *key == *"status").map(|(_, status)| status.get());
        let is_added = status.all(|status| matches!(status, "null" | "\"completed\""));
        let added = ["id", "seq", "created_at", "status"];
        message.without(if is_added { &added } else { &added[..3] })
    };
    difference(&own(&sent), &own(&stored))
}

impl<'a> Fields<'a> {
    fn of(all: &JsonFields<'a>) -> Result<Self, Invalid> {
        let mut fields = Self::default();
        for (key, value) in &all.0 {
            let Some(field) = fields.named(key) else { continue };
            if field.replace(*value).is_some() {
                return Err(Problem::DuplicateKey { key: key.lossy().into_owned() }.of(""));
            }
        }
        Ok(fields.without_nulls())
    }

    fn named(&mut self, key: &JsonText<'_>) -> Option<&mut Option<&'a RawValue>> {
        Some(match key.lossy().as_ref() {
            "id" => &mut self.id,
            "seq" => &mut self.seq,
            "created_at" => &mut self.created_at,
            "role" => &mut self.role,
            "type" => &mut self.kind,
            "content" => &mut self.content,
            "parts" => &mut self.parts,
            "tool_calls" => &mut self.tool_calls,
            "function_call" => &mut self.function_call,
            "refusal" => &mut self.refusal,
            "audio" => &mut self.audio,
            "tool_call_id" => &mut self.tool_call_id,
            "name" => &mut self.name,
            "metadata" => &mut self.metadata,
            _ => return None,
        })
    }

    /// A null says as little as no field, but for those which the answer bears: there it would stand beside them.
    fn without_nulls(mut self) -> Self {
        for field in [
            &mut self.role,
            &mut self.kind,
            &mut self.content,
            &mut self.parts,
            &mut self.tool_calls,
            &mut self.function_call,
            &mut self.refusal,
            &mut self.audio,
            &mut self.tool_call_id,
            &mut self.name,
            &mut self.metadata,
        ] {
            *field = field.filter(|value| value.get() != "null");
        }
        self
    }

    fn check(&self) -> Result<(), Invalid> {
        for (name, field) in [("seq", self.seq), ("created_at", self.created_at)] {
            // Whoever sends them beside an id puts back what was read.
            let is_number =
                |value: &RawValue| value.get().starts_with(|c: char| c == '-' || c.is_ascii_digit());
            if field.is_some_and(|value| self.id.is_none() || !is_number(value)) {
                return Err(Problem::Reserved.of(name));
            }
        }
        match self.role {
            Some(role) => self.check_message(role),
            None => self.check_item(),
        }
    }

    fn check_message(&self, role: &RawValue) -> Result<(), Invalid> {
        let role = string(role, "role")?;
        let role = Role::parse(&role).ok_or_else(|| Problem::UnknownRole { role }.of("role"))?;
        for (name, field) in [("name", self.name), ("tool_call_id", self.tool_call_id)] {
            field.map(|field| string(field, name)).transpose()?;
        }
        // The AI SDK leaves it to the application what its metadata is.
        if let Some(metadata) = self.metadata.filter(|_| self.parts.is_none() || self.content.is_some()) {
            expect(metadata, '{', "an object", "metadata")?;
        }
        self.tool_calls.map(|calls| objects(calls, "tool_calls")).transpose()?;
        match (self.content, self.parts) {
            (Some(content), _) => check_content(content),
            (None, Some(parts)) => check_parts(parts, "parts"),
            // What a model says may be anything, and now and then is nothing.
            (None, None)
                if matches!(role, Role::Assistant | Role::Function) || self.item_kind().is_some() =>
            {
                Ok(())
            }
            (None, None) => Err(Problem::NoContent.of("content")),
        }
    }

    fn check_item(&self) -> Result<(), Invalid> {
        let kind = self.kind.ok_or_else(|| Problem::Missing.of("role"))?;
        string(kind, "type")?;
        self.item_kind().map(drop).ok_or_else(|| Problem::Missing.of("role"))
    }

    /// The type of what is no message. One with a role is an item all the same where it has a type and no content:
    /// `additional_tools` is.
    fn item_kind(&self) -> Option<String> {
        let kind = self.kind.and_then(|kind| string(kind, "type").ok());
        let content =
            [self.content, self.parts, self.tool_calls, self.function_call, self.refusal, self.audio];
        let is_message = self.role.is_some() && content.iter().any(Option::is_some);
        kind.filter(|kind| !is_message && !matches!(kind.as_str(), "message" | ""))
    }
}

fn check_content(content: &RawValue) -> Result<(), Invalid> {
    match content.get().as_bytes().first() {
        Some(b'"') => Ok(()),
        Some(b'[') => check_parts(content, "content"),
        _ => Err(Problem::Type { expected: "a string, an array of parts or null" }.of("content")),
    }
}

fn check_parts(parts: &RawValue, param: &str) -> Result<(), Invalid> {
    for (at, part) in objects(parts, param)?.into_iter().enumerate() {
        let JsonFields(fields) = JsonFields::parse(part.get()).unwrap_or_default();
        let mut kinds = fields.iter().filter(|(key, _)| *key == *"type");
        let path = format!("{param}[{at}].type");
        let (_, kind) = kinds.next().ok_or_else(|| Problem::Missing.of(path.as_str()))?;
        string(kind, &path)?;
        if kinds.next().is_some() {
            return Err(Problem::DuplicateKey { key: "type".into() }.of(format!("{param}[{at}]")));
        }
    }
    Ok(())
}

/// The elements of an array that must hold objects.
fn objects<'a>(array: &'a RawValue, param: &str) -> Result<Vec<&'a RawValue>, Invalid> {
    expect(array, '[', "an array", param)?;
    let elements: Vec<&RawValue> =
        serde_json::from_str(array.get()).map_err(|_| Problem::Type { expected: "an array" }.of(param))?;
    for (at, element) in elements.iter().enumerate() {
        expect(element, '{', "an object", &format!("{param}[{at}]"))?;
    }
    Ok(elements)
}

fn expect(value: &RawValue, opening: char, expected: &'static str, param: &str) -> Result<(), Invalid> {
    if value.get().starts_with(opening) { Ok(()) } else { Err(Problem::Type { expected }.of(param)) }
}

/// A JSON string's text, in which an unpaired surrogate may be.
fn string(value: &RawValue, param: &str) -> Result<String, Invalid> {
    let text =
        JsonText::parse(value.get()).ok_or_else(|| Problem::Type { expected: "a string" }.of(param))?;
    Ok(text.lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(json: &str) -> (String, Problem) {
        let invalid = NewMessage::parse(json).unwrap_err();
        (invalid.param, invalid.problem)
    }

    #[test]
    fn messages_and_items_are_kept_to_the_byte() {
        for json in [
            r#"{"role":"user","content":"hi","name":null}"#,
            r#"{ "content" : [ {"type":"text","text":"\u0000 \ud800"} ],	"role":"human" }"#,
            r#"{"role":"assistant","content":null,"tool_calls":[{"id":"1"}]}"#,
            r#"{"role":"assistant","tool_calls":[{"id":"1"}],"n":123456789012345678901234567890,"m":-0.0}"#,
            r#"{"role":"assistant","refusal":"no"}"#,
            r#"{"role":"tool","tool_call_id":"1","content":""}"#,
            r#"{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}"#,
            r#"{"type":"additional_tools","role":"developer","tools":[]}"#,
            r#"{"role":"assistant","content":null,"reasoning_content":"hm"}"#,
            r#"{"role":"assistant","content":null,"tool_calls":[]}"#,
            r#"{"role":"assistant"}"#,
            r#"{"role":"function","name":"f","content":"7"}"#,
            r#"{"id":"ui","role":"user","parts":[{"type":"text","text":"hi"}]}"#,
            r#"{"role":"user","content":"x","\ud800":1,"\ud801":{"\udc00":2}}"#,
        ] {
            assert_eq!(NewMessage::parse(json).unwrap().body, json);
        }
        assert_eq!(NewMessage::parse(" {\"role\":\"user\",\"content\":\"\"}\n").unwrap().body.len(), 28);
    }

    #[test]
    fn what_was_read_can_be_put_back() {
        let sent = r#"{ "role":"user", "content":"\u00e9" }"#;
        let read = Message::assemble(7, Some("msg_1"), 1_700_000_000, sent);
        let back = NewMessage::parse(read.json()).unwrap();
        assert_eq!((back.id.as_str(), back.id_in_body), ("msg_1", true));
        assert_eq!(difference_of_messages(&back.body, sent), None);
        for (other, path) in [
            (r#"{"role":"user","content":"e"}"#, Some("content")),
            (r#"{"role":"user","content":"é","name":"ann"}"#, Some("name")),
            (r#"{"content":"é","role":"user","status":"completed"}"#, None),
            (r#"{"id":"msg_2","content":"\u00E9","role":"user"}"#, None),
        ] {
            assert_eq!(difference_of_messages(&back.body, other).as_deref(), path, "{other}");
        }
        let done = |status: &str| format!(r#"{{"type":"function_call","status":"{status}"}}"#);
        let path = difference_of_messages(&done("completed"), &done("incomplete"));
        assert_eq!(path.as_deref(), Some("status"));
    }

    #[test]
    fn every_broken_rule_is_named() {
        let of = |param: &str, problem: Problem| (param.to_owned(), problem);
        let kind = |expected| Problem::Type { expected };
        for (json, expected) in [
            ("[]", of("", kind("an object"))),
            ("{}", of("role", Problem::Missing)),
            (r#"{"role":1,"content":""}"#, of("role", kind("a string"))),
            (r#"{"role":"bot","content":""}"#, of("role", Problem::UnknownRole { role: "bot".into() })),
            (r#"{"role":"user"}"#, of("content", Problem::NoContent)),
            (r#"{"role":"user","content":null,"tool_calls":[{}]}"#, of("content", Problem::NoContent)),
            (r#"{"role":"tool","tool_call_id":"c"}"#, of("content", Problem::NoContent)),
            (r#"{"role":"user","parts":"x"}"#, of("parts", kind("an array"))),
            (r#"{"role":"user","parts":[{"text":"x"}]}"#, of("parts[0].type", Problem::Missing)),
            (r#"{"role":"user","content":"","id":"a","seq":"1"}"#, of("seq", Problem::Reserved)),
            (
                r#"{"role":"user","content":"","id":"a","created_at":"2026"}"#,
                of("created_at", Problem::Reserved),
            ),
            (r#"{"role":"assistant","tool_calls":{}}"#, of("tool_calls", kind("an array"))),
            (r#"{"role":"assistant","tool_calls":[1]}"#, of("tool_calls[0]", kind("an object"))),
            (r#"{"role":"user","content":7}"#, of("content", kind("a string, an array of parts or null"))),
            (r#"{"role":"user","content":["a"]}"#, of("content[0]", kind("an object"))),
            (r#"{"role":"user","content":[{}]}"#, of("content[0].type", Problem::Missing)),
            (r#"{"role":"user","content":[{"type":1}]}"#, of("content[0].type", kind("a string"))),
            (r#"{"role":"user","content":"","name":1}"#, of("name", kind("a string"))),
            (r#"{"role":"user","content":"","metadata":1}"#, of("metadata", kind("an object"))),
            (r#"{"role":"user","content":"","id":"a b"}"#, of("id", Problem::NotAnId)),
            (r#"{"role":"user","content":"","id":5}"#, of("id", kind("a string"))),
            (r#"{"role":"user","content":"","seq":1}"#, of("seq", Problem::Reserved)),
            (r#"{"role":"user","content":"","created_at":null}"#, of("created_at", Problem::Reserved)),
            (r#"{"role":"user","content":"","id":null}"#, of("id", kind("a string"))),
            (
                r#"{"role":"user","role":"user","content":""}"#,
                of("", Problem::DuplicateKey { key: "role".into() }),
            ),
            (r#"{"type":"message","content":""}"#, of("role", Problem::Missing)),
            (r#"{"type":"message","role":"user"}"#, of("content", Problem::NoContent)),
            (
                r#"{"type":"additional_tools","role":"bot"}"#,
                of("role", Problem::UnknownRole { role: "bot".into() }),
            ),
            (r#"{"type":3}"#, of("type", kind("a string"))),
        ] {
            assert_eq!(problem(json), expected, "{json}");
        }
    }

    #[test]
    fn size_and_depth_have_bounds() {
        let sized = |bytes: usize| {
            let shell = r#"{"role":"user","content":""}"#.len();
            format!(r#"{{"role":"user","content":"{}"}}"#, "x".repeat(bytes - shell))
        };
        assert!(NewMessage::parse(&sized(MESSAGE_BYTES)).is_ok());
        assert_eq!(problem(&sized(MESSAGE_BYTES + 1)).1, Problem::TooLarge { max: MESSAGE_BYTES });
        let nested =
            |n: usize| format!(r#"{{"role":"user","content":"[[","x":{}{}}}"#, "[".repeat(n), "]".repeat(n));
        assert!(NewMessage::parse(&nested(MESSAGE_DEPTH - 1)).is_ok());
        assert_eq!(problem(&nested(MESSAGE_DEPTH)).1, Problem::TooDeep { max: MESSAGE_DEPTH });
    }
}
