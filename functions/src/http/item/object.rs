//! Objects as they are read and written: each value keeps its spelling.

use conversation_core::{JsonFields, JsonText};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The status of what is all there, as JSON.
pub(super) const COMPLETED: &str = "\"completed\"";

/// An object's fields in their order.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Fields<'a>(#[serde(borrow)] JsonFields<'a>);

impl<'a> Fields<'a> {
    pub(super) fn parse(json: &'a str) -> Option<Self> {
        JsonFields::parse(json).map(Self)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&JsonText<'a>, &'a str)> {
        self.0.0.iter().map(|(key, value)| (key, value.get()))
    }

    /// Fields whose names are none of these and whose values say something.
    pub(super) fn others<'b>(
        &'b self,
        names: &'b [&str],
    ) -> impl Iterator<Item = (&'b JsonText<'a>, &'a str)> {
        self.iter().filter(|(key, value)| !names.iter().any(|name| **key == **name) && !says_nothing(value))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.iter().any(|(key, _)| *key == *name)
    }

    /// A field that is not null, as it was spelt.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.iter().find(|(key, _)| **key == *name)?;
        (value != "null").then_some(value)
    }

    /// A field that says something.
    pub(super) fn some(&self, name: &str) -> Option<&'a str> {
        self.get(name).filter(|value| !says_nothing(value))
    }

    /// A field that is a string.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        JsonText::parse(self.get(name)?).map(|text| text.lossy().into_owned())
    }

    /// A field that is an object.
    pub(super) fn object(&self, name: &str) -> Option<Self> {
        Self::parse(self.get(name)?)
    }

    /// A field that is an array of objects.
    pub(super) fn objects(&self, name: &str) -> Option<Vec<Self>> {
        serde_json::from_str(self.get(name)?).ok()
    }

    /// A field that is an array.
    pub(super) fn elements(&self, name: &str) -> Option<Vec<&'a RawValue>> {
        serde_json::from_str(self.get(name)?).ok()
    }

    /// All fields but these.
    pub(super) fn without(&self, names: &[&str]) -> Object {
        let mut object = Object::new();
        for (key, value) in self.iter().filter(|(key, _)| !names.iter().any(|name| **key == **name)) {
            object.put(key, value);
        }
        object
    }
}

/// Whether a value stands for there being none.
fn says_nothing(value: &str) -> bool {
    matches!(value, "null" | "[]" | "{}" | "\"\"")
}

/// An object that is being written.
#[derive(Clone, Debug)]
pub(super) struct Object(String);

impl Object {
    pub(super) fn new() -> Self {
        Self("{".into())
    }

    /// Adds a field whose value is JSON.
    pub(super) fn with(mut self, name: &str, json: &str) -> Self {
        self.name(&quoted(name), json);
        self
    }

    /// Adds a field of another object.
    pub(super) fn put(&mut self, key: &JsonText<'_>, json: &str) {
        self.name(&key.to_json(), json);
    }

    fn name(&mut self, name: &str, json: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(name);
        self.0.push(':');
        self.0.push_str(json);
    }

    /// Adds the fields of another one.
    pub(super) fn and(mut self, other: &Self) -> Self {
        if other.0.len() > 1 {
            self.0.push(',');
            self.0.push_str(&other.0[1..]);
        }
        self
    }

    /// Adds fields of another object.
    pub(super) fn with_others<'b, 'a: 'b>(
        mut self,
        others: impl Iterator<Item = (&'b JsonText<'a>, &'a str)>,
    ) -> Self {
        for (key, json) in others {
            self.put(key, json);
        }
        self
    }

    pub(super) fn close(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
