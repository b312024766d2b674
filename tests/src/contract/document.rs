//! YAML in the order in which it was written.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// A part of a document.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Node {
    /// Nothing, and what stands for a part that is not there.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Text.
    Text(String),
    /// Several parts.
    List(Vec<Node>),
    /// Named parts.
    Map(IndexMap<String, Node>),
}

impl Node {
    /// The part of that name.
    pub fn get(&self, name: &str) -> &Self {
        match self {
            Self::Map(parts) => parts.get(name).unwrap_or(&Self::Null),
            _ => &Self::Null,
        }
    }

    /// Its text, if that is what it is.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether there is nothing.
    pub fn is_null(&self) -> bool {
        *self == Self::Null
    }

    /// Its parts, if it is a list.
    pub fn items(&self) -> impl Iterator<Item = &Self> {
        let items = if let Self::List(items) = self { items.as_slice() } else { &[] };
        items.iter()
    }

    /// Its parts with their names.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Self)> {
        let parts = if let Self::Map(parts) = self { Some(parts) } else { None };
        parts.into_iter().flatten().map(|(name, part)| (name.as_str(), part))
    }

    /// It as JSON.
    pub fn json(&self) -> serde_json::Value {
        // Every part of it has a JSON form.
        serde_json::to_value(self).unwrap_or_default()
    }
}
