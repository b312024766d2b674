//! Messages: the client's JSON, kept to the byte.

mod batch;
mod id;

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{Invalid, Problem};

pub use batch::{BATCH, Batch};
pub use id::MessageId;

/// The largest message, in bytes of JSON.
pub const MESSAGE_BYTES: usize = 256 * 1024;
/// The deepest nesting within a message. With the list around it, an answer stays below the 128 levels that common
/// parsers read.
pub const MESSAGE_DEPTH: usize = 100;

/// Who speaks, in the vocabulary of Chat Completions. LangChain's `human` and `ai` are read as aliases; what is stored
/// and answered is the client's own spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions of the application.
    System,
    /// The same, under its newer name.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

impl Role {
    fn parse(role: &str) -> Option<Self> {
        Some(match role {
            "system" => Self::System,
            "developer" => Self::Developer,
            "user" | "human" => Self::User,
            "assistant" | "ai" => Self::Assistant,
            "tool" => Self::Tool,
            _ => return None,
        })
    }
}

/// A message that may be stored: a JSON object that obeys the rules of its kind, and its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    pub(crate) id: MessageId,
    pub(crate) id_in_body: bool,
    pub(crate) body: String,
}

/// The fields that have rules. All others are the client's business and are kept as they are.
#[derive(Deserialize)]
struct Fields<'a> {
    // A null would stand beside the id, position or time that the answer bears, so here it counts as given.
    #[serde(borrow, default, deserialize_with = "given")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "given")]
    seq: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "given")]
    created_at: Option<&'a RawValue>,
    #[serde(borrow)]
    role: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    audio: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_call_id: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

/// Any value, null too.
fn given<'a, D: serde::Deserializer<'a>>(value: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

impl NewMessage {
    /// Reads a message from the JSON that a client sent. A message has a `role` and `content`; an object without them is
    /// an item of the OpenAI Conversations API and has a `type` that says which.
    ///
    /// # Errors
    /// The first rule that it breaks, with the path to the value within the message.
    pub fn parse(json: &str) -> Result<Self, Invalid> {
        let body = json.trim_matches([' ', '\t', '\r', '\n']);
        if body.len() > MESSAGE_BYTES {
            return Err(Problem::TooLarge { max: MESSAGE_BYTES }.of(""));
        }
        if depth(body) > MESSAGE_DEPTH {
            return Err(Problem::TooDeep { max: MESSAGE_DEPTH }.of(""));
        }
        let fields = parse_fields(body)?;
        fields.check()?;
        let id = fields.id.map(|id| string(id, "id").and_then(MessageId::new)).transpose()?;
        Ok(Self {
            id_in_body: id.is_some(),
            id: id.unwrap_or_else(|| MessageId::generate(fields.item_kind().as_deref())),
            body: body.to_owned(),
        })
    }
}

fn parse_fields(body: &str) -> Result<Fields<'_>, Invalid> {
    if !body.starts_with('{') {
        return Err(Problem::Type { expected: "an object" }.of(""));
    }
    // Every field is any JSON at all, so what fails beside the syntax is a key that stands twice.
    serde_json::from_str(body).map_err(|error| match error.to_string().split('`').nth(1) {
        Some(key) => Problem::DuplicateKey { key: key.to_owned() }.of(""),
        None => Problem::Type { expected: "valid JSON" }.of(""),
    })
}

impl Fields<'_> {
    fn check(&self) -> Result<(), Invalid> {
        for (name, field) in [("seq", self.seq), ("created_at", self.created_at)] {
            if field.is_some() {
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
        if let Some(metadata) = self.metadata {
            expect(metadata, '{', "an object", "metadata")?;
        }
        let calls = self.tool_calls.map(check_tool_calls).transpose()?.unwrap_or(0);
        match self.content {
            Some(content) => check_content(content),
            None if role == Role::Assistant && (calls > 0 || self.has_stand_in()) => Ok(()),
            None if self.item_kind().is_some() => Ok(()),
            None => Err(Problem::NoContent.of("content")),
        }
    }

    /// Whether an assistant's message may be without content although it calls no tool.
    fn has_stand_in(&self) -> bool {
        self.function_call.is_some() || self.refusal.is_some() || self.audio.is_some()
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
        let has_content = self.content.is_some() || self.tool_calls.is_some() || self.has_stand_in();
        let is_message = self.role.is_some() && has_content;
        kind.filter(|kind| !is_message && !matches!(kind.as_str(), "message" | ""))
    }
}

fn check_content(content: &RawValue) -> Result<(), Invalid> {
    match content.get().as_bytes().first() {
        Some(b'"') => string(content, "content").map(drop),
        Some(b'[') => check_parts(content),
        _ => Err(Problem::Type { expected: "a string, an array of parts or null" }.of("content")),
    }
}

fn check_parts(content: &RawValue) -> Result<(), Invalid> {
    #[derive(Deserialize)]
    struct Part<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<&'a RawValue>,
    }
    for (at, part) in objects(content, "content")?.into_iter().enumerate() {
        let path = format!("content[{at}].type");
        let part: Part<'_> = serde_json::from_str(part.get())
            .map_err(|_| Problem::DuplicateKey { key: "type".into() }.of(format!("content[{at}]")))?;
        string(part.kind.ok_or_else(|| Problem::Missing.of(path.as_str()))?, &path)?;
    }
    Ok(())
}

fn check_tool_calls(calls: &RawValue) -> Result<usize, Invalid> {
    objects(calls, "tool_calls").map(|calls| calls.len())
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

/// A JSON string's text. Only its kind is checked where it will not be looked at: an unpaired surrogate is JSON.
fn string(value: &RawValue, param: &str) -> Result<String, Invalid> {
    expect(value, '"', "a string", param)?;
    Ok(serde_json::from_str(value.get()).unwrap_or_default())
}

/// How deep objects and arrays nest in valid JSON.
fn depth(json: &str) -> usize {
    let (mut deepest, mut level, mut in_string, mut escaped) = (0, 0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                level += 1;
                deepest = deepest.max(level);
            }
            b'}' | b']' if !in_string => level = level.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A stored message: its position, and the JSON that is answered for it: the client's own, with `id` (where the client
/// gave none), `seq` and `created_at` spliced in behind the opening brace.
///
/// It is held as the element that the cache keeps, `<seq> <json>`, so that a cached read copies nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    element: String,
    json_at: usize,
    seq: i64,
}

impl Message {
    /// Its position in the conversation, from 1.
    pub fn seq(&self) -> i64 {
        self.seq
    }

    /// The message as it is answered.
    pub fn json(&self) -> &str {
        &self.element[self.json_at..]
    }

    /// What the cache keeps for it.
    pub fn element(&self) -> &str {
        &self.element
    }

    /// Reads what the cache kept. None: no element of this store.
    pub fn from_element(element: Vec<u8>) -> Option<Self> {
        let element = String::from_utf8(element).ok()?;
        let (seq, json) = element.split_once(' ')?;
        let (seq, json_at) = (seq.parse().ok()?, seq.len() + 1);
        json.starts_with('{').then_some(Self { json_at, seq, element })
    }

    /// Puts a message together from what Postgres keeps. `id` is none where the body carries it.
    pub(crate) fn assemble(seq: i64, id: Option<&str>, created_at: i64, body: &str) -> Self {
        let mut element = String::with_capacity(body.len() + 96);
        // Writing to a String cannot fail.
        let _ = write!(element, "{seq} ");
        let json_at = element.len();
        element.push('{');
        if let Some(id) = id {
            let _ = write!(element, "\"id\":\"{id}\",");
        }
        let _ = write!(element, "\"seq\":{seq},\"created_at\":{created_at},");
        element.push_str(body.get(1..).unwrap_or_default());
        Self { element, json_at, seq }
    }
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
        ] {
            assert_eq!(NewMessage::parse(json).unwrap().body, json);
        }
        assert_eq!(NewMessage::parse(" {\"role\":\"user\",\"content\":\"\"}\n").unwrap().body.len(), 28);
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
            (r#"{"role":"assistant","content":null,"tool_calls":[]}"#, of("content", Problem::NoContent)),
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

    #[test]
    fn an_element_carries_position_and_answer() {
        let message = Message::assemble(7, Some("msg_1"), 1_700_000_000, r#"{ "role":"user"}"#);
        assert_eq!(message.json(), r#"{"id":"msg_1","seq":7,"created_at":1700000000, "role":"user"}"#);
        let back = Message::from_element(message.element().as_bytes().to_vec()).unwrap();
        assert_eq!((back.seq(), &back), (7, &message));
        for bad in [&b"7{}"[..], b"x {}", b"7 x", b"7 \xff", b""] {
            assert!(Message::from_element(bad.to_vec()).is_none());
        }
    }
}
