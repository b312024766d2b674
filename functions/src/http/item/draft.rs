//! An item before it is known what it is called.

use conversation_core::{JsonText, MessageId};

use super::object::{Fields, Object, quoted};

/// An item without its id.
#[derive(Debug)]
pub(super) struct Draft {
    kind: &'static str,
    fields: Object,
}

impl Draft {
    pub(super) fn new(kind: &'static str, fields: Object) -> Self {
        Self { kind, fields }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        name == "id"
            || name == "type"
            || Fields::parse(&self.fields.clone().close()).is_some_and(|fields| fields.has(name))
    }

    pub(super) fn add<'b, 'a: 'b>(&mut self, others: impl Iterator<Item = (&'b JsonText<'a>, &'a str)>) {
        for (key, value) in others {
            self.fields.put(key, value);
        }
    }

    pub(super) fn add_all(&mut self, others: Object) {
        let json = others.close();
        if let Some(fields) = Fields::parse(&json) {
            self.add(fields.iter());
        }
    }

    /// The item under its id.
    pub(super) fn named(self, id: &str) -> String {
        let head = Object::new().with("id", &quoted(id)).with("type", &quoted(self.kind));
        head.and(&self.fields).close()
    }
}

/// The items of a record under their ids. A message that is the only one has the record's own.
pub(super) fn named(drafts: Vec<Draft>, record: &str) -> Vec<(String, String)> {
    let alone = drafts.len() == 1 && drafts[0].kind == "message";
    let named = drafts.into_iter().enumerate().map(|(at, draft)| {
        let id = if alone { record.to_owned() } else { MessageId::of_part(record, draft.kind, at) };
        let json = draft.named(&id);
        (id, json)
    });
    named.collect()
}
