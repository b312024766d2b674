//! The JSON of a request's body.

use std::collections::BTreeMap;

use conversation_core::{BATCH, Invalid, Metadata, NewMessage, Problem};
use serde::Deserialize;
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

pub(crate) fn metadata(object: &RawValue) -> Result<Metadata, Invalid> {
    let expected = "an object with string values";
    let pairs: BTreeMap<String, String> =
        serde_json::from_str(object.get()).map_err(|_| Problem::Type { expected }.of("metadata"))?;
    Metadata::new(pairs)
}

pub(crate) fn string(param: &'static str) -> impl Fn(&RawValue) -> Result<String, Invalid> {
    move |value| {
        serde_json::from_str(value.get()).map_err(|_| Problem::Type { expected: "a string" }.of(param))
    }
}
