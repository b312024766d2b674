//! The JSON of a request's body.

use std::collections::BTreeMap;

use conversation_core::{BATCH, Invalid, Metadata, NewMessage, Problem};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::Failure;
use crate::item;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewFields<'a> {
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) title: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) messages: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) items: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ItemFields<'a> {
    #[serde(borrow)]
    pub(super) items: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeFields<'a> {
    #[serde(borrow, default, deserialize_with = "given")]
    pub(super) title: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "given")]
    pub(super) metadata: Option<&'a RawValue>,
}

/// Any value, null too.
fn given<'a, D: serde::Deserializer<'a>>(value: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(value).map(Some)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchFields<'a> {
    #[serde(borrow)]
    pub(super) messages: Option<&'a RawValue>,
}

pub(super) fn from_json<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, Failure> {
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
pub(super) struct Array {
    pub(super) name: &'static str,
    pub(super) max: usize,
    pub(super) parse: fn(&str) -> Result<NewMessage, Invalid>,
}

pub(super) const MESSAGES: Array = Array { name: "messages", max: BATCH, parse: NewMessage::parse };
/// As the OpenAI Conversations API has it.
pub(super) const ITEMS: Array = Array { name: "items", max: 20, parse: item::parse };

impl Array {
    pub(super) fn read(&self, array: Option<&RawValue>) -> Result<Vec<NewMessage>, Failure> {
        let Some(array) = array else { return Ok(Vec::new()) };
        let elements: Vec<&RawValue> = serde_json::from_str(array.get())
            .map_err(|_| Problem::Type { expected: "an array" }.of(self.name))?;
        // CacheUpdate before any of them is parsed: a long array costs no more than a full one.
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
pub(super) fn of_items(invalid: Invalid) -> Invalid {
    let param = invalid.param.replacen(MESSAGES.name, ITEMS.name, 1);
    Invalid { param, ..invalid }
}

pub(super) fn metadata(object: &RawValue) -> Result<Metadata, Invalid> {
    let expected = "an object with string values";
    let pairs: BTreeMap<String, String> =
        serde_json::from_str(object.get()).map_err(|_| Problem::Type { expected }.of("metadata"))?;
    Metadata::new(pairs)
}

pub(super) fn string(param: &'static str) -> impl Fn(&RawValue) -> Result<String, Invalid> {
    move |value| {
        serde_json::from_str(value.get()).map_err(|_| Problem::Type { expected: "a string" }.of(param))
    }
}
