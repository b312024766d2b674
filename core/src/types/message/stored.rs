//! Messages as they are stored and answered.

use std::fmt::Write as _;

use super::{MessageId, Role};
use crate::types::json::{JsonFields, JsonText};

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

    /// Its id.
    pub fn id(&self) -> MessageId {
        // What is stored has one.
        MessageId(self.text("id").unwrap_or_default())
    }

    /// Who speaks; none: what has no role, such as a call.
    pub fn role(&self) -> Option<Role> {
        Role::parse(&self.text("role")?)
    }

    /// A field that is text.
    fn text(&self, name: &str) -> Option<String> {
        let fields = JsonFields::parse(self.json())?;
        let (_, value) = fields.0.into_iter().find(|(key, _)| *key == *name)?;
        JsonText::parse(value.get()).map(|text| text.lossy().into_owned())
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
