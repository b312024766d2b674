//! Records as the OpenAI Conversations API has them: as items.
//!
//! What has a type of its own, as `function_call`, is answered as it came. A message of Chat Completions, or of the AI SDK,
//! becomes the items that say the same: what is said, each call, and what each call returned. Such items have ids that follow
//! from the record's; a message that says nothing beside its text has the record's own.

mod calls;
mod chat;
mod draft;
mod object;
mod part;
mod ui;

use conversation_core::{
    ConversationId, ID_CHARS, Invalid, JsonText, Message, MessageId, NewMessage, difference_of_messages,
};

pub(crate) use calls::Calls;
use object::{COMPLETED, Fields, Object};

/// The longest id of a part of a record, in characters: a prefix, the record's id, and a place.
const ITEM_ID_CHARS: usize = ID_CHARS + 12;

/// What a caller calls an item: a record by its own id, or a part of a record.
#[derive(Clone, Debug)]
pub struct ItemId {
    text: String,
    /// The record of that id; none: no record can have it.
    pub(crate) record: Option<MessageId>,
    /// The record that the item is a part of; none: it is no part's id.
    pub(crate) whole: Option<MessageId>,
}

impl ItemId {
    /// Checks an id.
    ///
    /// # Errors
    /// It is neither a record's nor a part's.
    pub(crate) fn new(text: &str) -> Result<Self, Invalid> {
        let record = MessageId::new(text);
        // What is only too long for a record's id may be a part's.
        let may_be_part = (ID_CHARS..=ITEM_ID_CHARS).contains(&text.len())
            && text.bytes().all(ConversationId::may_contain)
            && text.bytes().any(|byte| byte != b'.');
        if !may_be_part {
            record.clone()?;
        }
        Ok(Self { text: text.to_owned(), record: record.ok(), whole: MessageId::record_of(text) })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether an item is meant. Of which kind a result is follows from its call: without that, it is called otherwise.
    pub(crate) fn names(&self, item: &Item) -> bool {
        let place =
            |id: &str| id.strip_prefix("ctco_").or_else(|| id.strip_prefix("fco_")).map(str::to_owned);
        item.id == self.text || place(&self.text).is_some_and(|ours| place(&item.id).as_ref() == Some(&ours))
    }
}

/// An item: its id and its JSON.
#[derive(Debug)]
pub(crate) struct Item {
    id: String,
    json: String,
    /// The position of its record.
    seq: i64,
}

/// Records as items.
#[derive(Debug, Default)]
pub(crate) struct Items {
    pub(crate) items: Vec<Item>,
    /// There is a result whose call is in none of the records: it may be of another kind than it was taken for.
    pub(crate) lacks_calls: bool,
}

/// Where an item or a message that was sent differs from one that is stored; none: they are the same, be it that the stored one
/// was read as an item and put back.
pub(crate) fn difference(sent: &str, stored: &str) -> Option<String> {
    let path = difference_of_messages(sent, stored)?;
    let fields = Fields::parse(stored).unwrap_or_default();
    let read = items(&fields, 0, &Calls::default());
    let put_back = read.len() == 1 && difference_of_messages(sent, &read[0].json).is_none();
    (!put_back).then_some(path)
}

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

/// Types of items that say who does what they stand for, which callers may leave out.
const WITH_EXECUTION: &[&str] = &["tool_search_call", "tool_search_output"];

/// Whether an item only refers to another one, by its id.
pub(crate) fn is_reference(json: &str) -> bool {
    json.contains("item_reference")
        && Fields::parse(json).is_some_and(|fields| fields.text("type").as_deref() == Some("item_reference"))
}

/// Reads an item that a caller sent: a message, under the same rules. An `id` of null, which the SDKs may send, is none, and
/// neither is a placeholder.
pub(crate) fn parse(json: &str) -> Result<NewMessage, Invalid> {
    let is_none = |fields: &Fields<'_>| {
        let names_none = fields.text("id").is_some_and(|id| id == MessageId::PLACEHOLDER);
        fields.has("id") && (names_none || fields.get("id").is_none())
    };
    let fields = Fields::parse(json).filter(is_none);
    match fields {
        Some(fields) => NewMessage::parse(&fields.without(&["id"]).close()),
        None => NewMessage::parse(json),
    }
}

impl Items {
    /// Records in their order, after those whose calls are known.
    pub(crate) fn of(records: &[Message], mut calls: Calls) -> Self {
        let mut all = Self::default();
        for record in records {
            // Whatever is stored was an object when it came.
            let fields = Fields::parse(record.json()).unwrap_or_default();
            all.lacks_calls |= calls.lacks(&fields);
            all.items.extend(items(&fields, record.seq(), &calls));
            calls.note(&fields, &id_of(&fields), record.seq());
        }
        all
    }
}

impl Calls {
    /// What records call.
    pub(crate) fn of(records: &[Message]) -> Self {
        let mut calls = Self::default();
        for record in records {
            let fields = Fields::parse(record.json()).unwrap_or_default();
            calls.note(&fields, &id_of(&fields), record.seq());
        }
        calls
    }
}

impl Item {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn json(&self) -> &str {
        &self.json
    }

    pub(crate) fn seq(&self) -> i64 {
        self.seq
    }

    pub(crate) fn into_json(self) -> String {
        self.json
    }
}

fn id_of(fields: &Fields<'_>) -> String {
    fields.text("id").unwrap_or_default()
}

fn items(fields: &Fields<'_>, seq: i64, calls: &Calls) -> Vec<Item> {
    let (kind, id) = (fields.text("type").unwrap_or_default(), id_of(fields));
    let role = fields.text("role").filter(|_| is_message(fields, &kind));
    let Some(role) = role else {
        return vec![Item { json: as_it_came(fields, &kind), id, seq }];
    };
    let role = match role.as_str() {
        "human" => "user",
        "ai" => "assistant",
        role => role,
    };
    let drafts = if ui::is_ui(fields) {
        ui::items(fields, role)
    } else {
        chat::items(fields, role, &id, &calls.at(seq))
    };
    draft::named(drafts, &id).into_iter().map(|(id, json)| Item { id, json, seq }).collect()
}

/// The same rule by which an item needs no content.
fn is_message(fields: &Fields<'_>, kind: &str) -> bool {
    let content = ["content", "tool_calls", "function_call", "refusal", "audio", "parts"];
    matches!(kind, "" | "message") || content.iter().any(|name| fields.get(name).is_some())
}

fn as_it_came(fields: &Fields<'_>, kind: &str) -> String {
    let left_out = |name: &str, kinds: &[&str]| kinds.contains(&kind) && fields.get(name).is_none();
    let needs_status = left_out("status", WITH_STATUS);
    let needs_execution = left_out("execution", WITH_EXECUTION);
    let is_hidden = |key: &JsonText<'_>| match () {
        () if *key == *"seq" || *key == *"created_at" => true,
        () if *key == *"status" => needs_status,
        () => *key == *"execution" && needs_execution,
    };
    let output =
        fields.get("output").filter(|output| output.starts_with('[') && output.contains("\"input_image\""));
    let output = output.map(|output| part::array(&part::parts(Some(output), false)));
    let mut object = Object::new();
    for (key, value) in fields.iter().filter(|(key, _)| !is_hidden(key)) {
        let is_output = *key == *"output";
        object.put(key, output.as_deref().filter(|_| is_output).unwrap_or(value));
    }
    if needs_execution {
        // A search that a client does is called by an id.
        let by = if fields.get("call_id").is_some() { "\"client\"" } else { "\"server\"" };
        object = object.with("execution", by);
    }
    if needs_status { object.with("status", COMPLETED).close() } else { object.close() }
}
