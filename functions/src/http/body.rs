//! The JSON of a request's body.

use std::fmt;

use conversation_core::{
    BATCH, Batch, ConversationFields, Invalid, JsonFields, JsonText, MESSAGE_DEPTH, NewMessage, Problem,
    nests_deeper,
};
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::failure::Failure;
use super::item;

/// A body's fields: those that an operation names, and those of a conversation.
#[derive(Debug)]
pub(crate) struct Body<'a, const N: usize> {
    /// In the places of their names; none: there is no such field, or it is null.
    pub(crate) named: [Option<&'a RawValue>; N],
    pub(crate) conversation: Fields<'a>,
}

/// Reads a body that is an object.
///
/// # Errors
/// It is none, or one of its known fields stands twice.
pub(crate) fn read_body<'a, const N: usize>(body: &'a str, names: [&str; N]) -> Result<Body<'a, N>, Failure> {
    if !body.trim_start().starts_with('{') {
        return Err(match serde_json::from_str::<&RawValue>(body) {
            Ok(_) => Failure::bad_body("The body must be a JSON object; it is not an object."),
            Err(error) => {
                Failure::bad_json(format!("The body must be a JSON object; it is invalid JSON: {error}."))
            }
        });
    }
    let mut json = serde_json::Deserializer::from_str(body);
    let read = Names(names).deserialize(&mut json).and_then(|read| json.end().map(|()| read));
    read.map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Failure::bad_body(format!("The body does not fit: {error}.")),
        _ => Failure::bad_json(format!("The body must be valid JSON; {error}.")),
    })
}

/// Of the fields of an object those of these names.
struct Names<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Names<'_, N> {
    type Value = Body<'de, N>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Names<'_, N> {
    type Value = Body<'de, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let (mut named, mut conversation) = ([None; N], Fields::default());
        // Only known names are kept, each once, however many a body has.
        while let Some(name) = map.next_key::<JsonText<'de>>()? {
            let name = name.lossy().into_owned();
            if let Some(at) = self.0.iter().position(|known| *known == name) {
                if named[at].replace(map.next_value::<&RawValue>()?).is_some() {
                    return Err(M::Error::custom(format_args!("duplicate field `{name}`")));
                }
            } else if is_known(&name) {
                conversation.take(name, map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
                conversation.unknown.get_or_insert(name);
            }
        }
        Ok(Body { named: named.map(|value| value.filter(|value| value.get() != "null")), conversation })
    }
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

/// The elements of an array.
///
/// # Errors
/// It is none.
pub(crate) fn elements<'a>(array: &'a RawValue, name: &str) -> Result<Vec<&'a RawValue>, Invalid> {
    serde_json::from_str(array.get()).map_err(|_| Problem::Type { expected: "an array" }.of(name))
}

/// The fields of an object that has no others.
///
/// # Errors
/// It is no object, or has another field, or one twice.
pub(crate) fn read_fields<'a, const N: usize>(
    json: &'a str,
    names: [&str; N],
) -> Result<[Option<&'a RawValue>; N], Invalid> {
    let mut named = [None; N];
    let JsonFields(fields) =
        JsonFields::parse(json).ok_or_else(|| Problem::Type { expected: "an object" }.of(""))?;
    for (name, value) in fields {
        let name = name.lossy();
        let Some(at) = names.iter().position(|known| *known == name) else {
            return Err(Problem::Type { expected: "left out: it is unknown" }.of(name.into_owned()));
        };
        if named[at].replace(value).is_some() {
            return Err(Problem::DuplicateKey { key: name.into_owned() }.of(""));
        }
    }
    Ok(named)
}

impl Array {
    pub(crate) fn read(&self, array: Option<&RawValue>) -> Result<Vec<NewMessage>, Failure> {
        let Some(array) = array else { return Ok(Vec::new()) };
        let elements = elements(array, self.name)?;
        // Refused before any of them is parsed: a long array costs no more than a full one.
        if elements.len() > self.max {
            return Err(Problem::TooManyMessages { max: self.max }.of(self.name).into());
        }
        let parsed = elements.iter().enumerate().map(|(at, message)| {
            (self.parse)(message.get()).map_err(|invalid| invalid.within(&format!("{}[{at}]", self.name)))
        });
        Ok(parsed.collect::<Result<_, Invalid>>()?)
    }

    /// Messages together, whose errors say where they stand in the array. At least one, unless none may be.
    pub(crate) fn batch(&self, array: Option<&RawValue>, may_be_empty: bool) -> Result<Batch, Failure> {
        self.batch_of(self.read(array)?, may_be_empty)
    }

    pub(crate) fn batch_of(&self, messages: Vec<NewMessage>, may_be_empty: bool) -> Result<Batch, Failure> {
        let batch = if may_be_empty { Batch::initial(messages) } else { Batch::new(messages) };
        let batch = batch.map_err(|invalid| Invalid {
            param: invalid.param.replacen(MESSAGES.name, self.name, 1),
            ..invalid
        })?;
        Ok(batch.called(self.name).compared_by(item::difference))
    }
}

/// The fields of a body that are none of the operation's own: those of a conversation.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    given: Vec<(String, &'a RawValue)>,
    /// The first that is none.
    unknown: Option<String>,
    /// The first that stands twice.
    twice: Option<String>,
}

/// Whether a conversation has a field of that name; each takes null.
fn is_known(name: &str) -> bool {
    matches!(ConversationFields::default().set(name, Value::Null), Ok(true))
}

impl<'a> Fields<'a> {
    fn take(&mut self, name: String, value: &'a RawValue) {
        if self.given.iter().any(|(other, _)| *other == name) {
            self.twice.get_or_insert(name);
        } else {
            self.given.push((name, value));
        }
    }

    /// Without those that are null, which in a new conversation is nothing.
    pub(crate) fn without_nulls(mut self) -> Self {
        self.given.retain(|(_, value)| value.get() != "null");
        self
    }

    /// Nothing of a conversation is set.
    ///
    /// # Errors
    /// There is a field.
    pub(crate) fn none(self) -> Result<(), Failure> {
        let first = self.given.into_iter().next().map(|(name, _)| name);
        first.or(self.unknown).map_or(Ok(()), |name| Err(unknown_field(&name)))
    }

    pub(crate) fn read(self) -> Result<ConversationFields, Failure> {
        if let Some(name) = self.unknown {
            return Err(unknown_field(&name));
        }
        if let Some(name) = self.twice {
            return Err(Failure::bad_body(format!("The body does not fit: duplicate field `{name}`.")));
        }
        let mut fields = ConversationFields::default();
        for (name, value) in self.given {
            fields.set(&name, lossy(value.get(), &name)?)?;
        }
        Ok(fields)
    }
}

fn unknown_field(name: &str) -> Failure {
    Failure::bad_body(format!("The body does not fit: unknown field `{name}`."))
}

/// A value with U+FFFD in the place of each unpaired surrogate, which Postgres text cannot hold: what is left of a text that was
/// cut through a character. Keys that would be the same then are told apart by further ones.
fn lossy(json: &str, param: &str) -> Result<Value, Invalid> {
    if let Ok(value) = serde_json::from_str(json) {
        return Ok(value);
    }
    if nests_deeper(json, MESSAGE_DEPTH) {
        return Err(Problem::TooDeep { max: MESSAGE_DEPTH }.of(param));
    }
    Ok(replaced(json))
}

fn replaced(json: &str) -> Value {
    if let Ok(value) = serde_json::from_str(json) {
        return value;
    }
    if let Some(text) = JsonText::parse(json) {
        return text.lossy().into();
    }
    let Some(JsonFields(fields)) = JsonFields::parse(json) else {
        let elements: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
        return elements.iter().map(|element| replaced(element.get())).collect();
    };
    // Of a key that stands twice the last value counts, as it does everywhere else.
    let mut last: Vec<(JsonText<'_>, &RawValue)> = Vec::new();
    for (key, value) in fields {
        match last.iter_mut().find(|(other, _)| *other == key) {
            Some(field) => field.1 = value,
            None => last.push((key, value)),
        }
    }
    let mut object = serde_json::Map::new();
    for (key, value) in &last {
        let mut name = key.lossy().into_owned();
        while object.contains_key(&name) || last.iter().any(|(other, _)| *other == *name && other != key) {
            name.push(char::REPLACEMENT_CHARACTER);
        }
        object.insert(name, replaced(value.get()));
    }
    Value::Object(object)
}

pub(crate) fn string(param: &'static str) -> impl Fn(&RawValue) -> Result<String, Invalid> {
    move |value| {
        let text =
            JsonText::parse(value.get()).ok_or_else(|| Problem::Type { expected: "a string" }.of(param))?;
        Ok(text.lossy().into_owned())
    }
}
