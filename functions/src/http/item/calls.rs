//! Which calls results answer: what a tool returned names its call, but not of which kind that was.

use std::collections::HashMap;

use super::object::{Fields, quoted};

/// How many positions before its result a call is looked for. What a result reads as does not depend on the page that it is on.
const REACH: i64 = 100;

/// The calls of messages, as far as results depend on them. Ids are JSON strings as they were spelt.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// Whether the call of that id is one of a custom tool, and the position of its message.
    kinds: HashMap<String, (bool, i64)>,
    /// The id of the last call of a function of that name, of those without ids, and the position of its message.
    legacy: HashMap<String, (String, i64)>,
}

/// The calls that a result at a position may answer.
pub(super) struct CallsBefore<'a> {
    calls: &'a Calls,
    seq: i64,
}

impl CallsBefore<'_> {
    fn reaches(&self, call: i64) -> bool {
        call >= self.seq - REACH
    }

    pub(super) fn is_custom(&self, id: &str) -> bool {
        self.calls.kinds.get(id).is_some_and(|(custom, call)| *custom && self.reaches(*call))
    }

    pub(super) fn legacy(&self, name: &str) -> Option<&str> {
        let (id, call) = self.calls.legacy.get(name)?;
        self.reaches(*call).then_some(id)
    }
}

/// The id of a call that has none: those of `function_call`, which came before there were ids.
pub(super) fn legacy_id(record: &str) -> String {
    quoted(&format!("call_{record}"))
}

impl Calls {
    pub(super) fn at(&self, seq: i64) -> CallsBefore<'_> {
        CallsBefore { calls: self, seq }
    }

    /// Takes in what a message calls, at a position.
    pub(super) fn note(&mut self, message: &Fields<'_>, record: &str, seq: i64) {
        for request in message.some("tool_calls").and(message.objects("tool_calls")).unwrap_or_default() {
            if let Some(id) = request.get("id") {
                self.kinds.insert(id.to_owned(), (request.object("custom").is_some(), seq));
            }
        }
        if let Some(name) = message.object("function_call").and_then(|function| function.text("name")) {
            self.legacy.insert(name, (legacy_id(record), seq));
        }
        // Of items, too: a history may begin in one view and go on in the other.
        let kind = message.text("type").unwrap_or_default();
        if let (Some(id), "function_call" | "custom_tool_call") = (message.get("call_id"), kind.as_str()) {
            self.kinds.insert(id.to_owned(), (kind == "custom_tool_call", seq));
        }
    }

    /// Whether a message is the result of a call that is not among these.
    pub(super) fn lacks(&self, message: &Fields<'_>) -> bool {
        match message.text("role").as_deref() {
            Some("tool") => message.get("tool_call_id").is_some_and(|id| !self.kinds.contains_key(id)),
            Some("function") => message.text("name").is_some_and(|name| !self.legacy.contains_key(&name)),
            _ => false,
        }
    }
}
