//! Lists of messages or items, as large as an answer may be.

use conversation_core::Message;
use serde_json::Value;

use super::item::Item;

/// What a list is made of.
pub(crate) trait Element {
    /// The element as it is answered.
    fn json(&self) -> &str;

    fn id(&self) -> String;
}

impl Element for Message {
    fn id(&self) -> String {
        self.id().as_str().to_owned()
    }

    fn json(&self) -> &str {
        self.json()
    }
}

impl Element for Item {
    fn id(&self) -> String {
        self.id().to_owned()
    }

    fn json(&self) -> &str {
        self.json()
    }
}

/// Drops the messages that do not fit into so many bytes, from the end that is farthest from where the reading began.
pub(crate) fn fit<T: Element>(messages: &mut Vec<T>, answer_bytes: usize, forward: bool) -> bool {
    let mut room = answer_bytes - 1_024;
    // Escaping makes six bytes of one at the most: as a rule nothing has to be looked at byte by byte.
    if messages.iter().map(|message| 6 * message.json().len() + 1).sum::<usize>() <= room {
        return false;
    }
    let mut takes = |message: &T| {
        let size = enveloped(message.json()) + 1;
        let fits = size <= room;
        room = room.saturating_sub(size);
        fits
    };
    let kept = if forward {
        messages.iter().take_while(|message| takes(message)).count()
    } else {
        messages.iter().rev().take_while(|message| takes(message)).count()
    };
    let cut = kept < messages.len();
    if forward {
        messages.truncate(kept);
    } else {
        messages.drain(..messages.len() - kept);
    }
    cut
}

/// How long text is as a JSON string, which is what the runtime makes of the body.
pub(crate) fn enveloped(text: &str) -> usize {
    let escapes = text.bytes().map(|byte| match byte {
        b'"' | b'\\' => 1,
        0..0x20 => 5,
        _ => 0,
    });
    text.len() + escapes.sum::<usize>()
}

/// The list envelope around messages, with fields before and behind.
pub(crate) fn list<T: Element>(messages: &[T], head: &[(&str, Value)], tail: &[(&str, Value)]) -> String {
    let size: usize = messages.iter().map(|message| message.json().len() + 1).sum();
    let mut body = String::with_capacity(size + 512);
    body.push_str("{\"object\":\"list\"");
    for (name, value) in head {
        push_field(&mut body, name, value);
    }
    body.push_str(",\"data\":[");
    for (at, message) in messages.iter().enumerate() {
        if at > 0 {
            body.push(',');
        }
        body.push_str(message.json());
    }
    body.push(']');
    push_field(&mut body, "first_id", &id_of(messages.first()));
    push_field(&mut body, "last_id", &id_of(messages.last()));
    for (name, value) in tail {
        push_field(&mut body, name, value);
    }
    body.push('}');
    body
}

fn push_field(body: &mut String, name: &str, value: &Value) {
    body.push_str(",\"");
    body.push_str(name);
    body.push_str("\":");
    body.push_str(&value.to_string());
}

fn id_of<T: Element>(element: Option<&T>) -> Value {
    element.map_or(Value::Null, |element| element.id().into())
}
