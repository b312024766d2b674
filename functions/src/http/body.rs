//! The JSON of a request's body.

use std::fmt;

use conversation_core::{BATCH, ConversationFields, Invalid, NewMessage, Problem};
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::failure::Failure;
use super::item;

pub(crate) fn from_json<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, Failure> {
    if !body.trim_start().starts_with('{') {
        let valid = serde_json::from_str::<&RawValue>(body);
        let problem = valid.map_or_else(|error| format!("invalid JSON: {error}"), |_| "not an object".into());
        return Err(Failure::bad_body(format!("The body must be a JSON object; it is {problem}.")));
    }
    serde_json::from_str(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Failure::bad_body(format!("The body does not fit: {error}.")),
        _ => Failure::bad_body(format!("The body must be valid JSON; {error}.")),
    })
}

/// What an array of new messages is called, holds, and how each is read.
pub(crate) struct Array {
    pub(crate) name: &'static str,
    pub(crate) max: usize,
    pub(crate) parse: fn(&str) -> Result<NewMessage, Invalid>,
}

pub(crate) const MESSAGES: Array = Array { name: "messages", max: BATCH, parse: NewMessage::parse };
/// As the OpenAI Conversations API has it.
pub(crate) const ITEMS: Array = Array { name: "items", max: 20, parse: item::parse };

impl Array {
    pub(crate) fn read(&self, array: Option<&RawValue>) -> Result<Vec<NewMessage>, Failure> {
        let Some(array) = array else { return Ok(Vec::new()) };
        let elements: Vec<&RawValue> = serde_json::from_str(array.get())
            .map_err(|_| Problem::Type { expected: "an array" }.of(self.name))?;
        // Refused before any of them is parsed: a long array costs no more than a full one.
        if elements.len() > self.max {
            return Err(Problem::TooManyMessages { max: self.max }.of(self.name).into());
        }
        let parsed = elements.iter().enumerate().map(|(at, message)| {
            (self.parse)(message.get()).map_err(|invalid| invalid.within(&format!("{}[{at}]", self.name)))
        });
        Ok(parsed.collect::<Result<_, Invalid>>()?)
    }
}

/// What is wrong with a batch, where its messages are called items.
pub(crate) fn of_items(invalid: Invalid) -> Invalid {
    let param = invalid.param.replacen(MESSAGES.name, ITEMS.name, 1);
    Invalid { param, ..invalid }
}

/// The fields of a body that are none of the operation's own: those of a conversation.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    given: Vec<(String, Value)>,
    /// The first that is none.
    unknown: Option<String>,
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields, M::Error> {
                let mut fields = Fields::default();
                // Only known names are kept, each once, however many a body has.
                while let Some(name) = map.next_key::<String>()? {
                    if fields.unknown.is_some() || !is_known(&name) {
                        map.next_value::<IgnoredAny>()?;
                        fields.unknown.get_or_insert(name);
                    } else if fields.given.iter().any(|(other, _)| *other == name) {
                        return Err(M::Error::custom(format_args!("duplicate field `{name}`")));
                    } else {
                        fields.given.push((name, map.next_value()?));
                    }
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// Whether a conversation has a field of that name; each takes null.
fn is_known(name: &str) -> bool {
    matches!(ConversationFields::default().set(name, Value::Null), Ok(true))
}

impl Fields {
    /// Without those that are null, which in a new conversation is nothing.
    pub(crate) fn without_nulls(mut self) -> Self {
        self.given.retain(|(_, value)| !value.is_null());
        self
    }

    pub(crate) fn read(self) -> Result<ConversationFields, Failure> {
        if let Some(name) = self.unknown {
            return Err(Failure::bad_body(format!("The body does not fit: unknown field `{name}`.")));
        }
        let mut fields = ConversationFields::default();
        for (name, value) in self.given {
            fields.set(&name, value)?;
        }
        Ok(fields)
    }
}

pub(crate) fn string(param: &'static str) -> impl Fn(&RawValue) -> Result<String, Invalid> {
    move |value| {
        serde_json::from_str(value.get()).map_err(|_| Problem::Type { expected: "a string" }.of(param))
    }
}
